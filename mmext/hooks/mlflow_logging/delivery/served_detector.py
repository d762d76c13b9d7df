"""The code inside a logged model: loads a detector and answers requests.

MLflow copies this file into the model and runs the copy wherever the model is
loaded ("models from code"), so it stands alone, on mmdet and what mmdet needs.

Input is a list of images, each of them an ``[H, W, 3]`` uint8 RGB array, the
path of a picture, or an encoded picture (JPEG, PNG) as bytes or as base64 text:

    mlflow.pyfunc.load_model('models:/…').predict(['street.jpg'])
    curl $SERVER/invocations -H 'Content-Type: application/json' -d '{"inputs": ["<base64>"]}'

A request is limited, and refused with status 400 beyond: ``max_images``, ``max_megapixels``,
``max_megabytes`` (half as much again of JSON) and ``max_seconds``, all of it together; one that
waits so long for others gets a 429. What a server answers to a bad request never repeats it.
Nothing of the model is executed: its config is read as plain values that name registered classes
and those of the host, its weights as tensors. Modules of ``custom_imports`` are imported where the
setting ``custom_imports`` says so, as it does for models of a training that had imported them.

Output is one dict for each image, of plain numbers, texts and lists:

``size``
    ``[H, W]`` of the image, px.
``objects``
    best first; ``label``, ``label_id``, ``score``, ``box_xyxy`` (px), and where the model has
    them ``mask`` (COCO's compressed RLE), ``keypoints`` (``[[x, y, …], …]``, px) and ``caption``.
``caption``
    where the model says a sentence about the image.
``panoptic``
    where the model has it: ``segments_info`` (``id``, ``label``, ``label_id``, ``isthing``,
    ``area_px``) and ``png``, COCO's panoptic PNG in base64, ``id = R + 256 G + 65536 B``.
"""

import ast
import base64
import binascii
import contextlib
import ctypes
import functools
import gc
import importlib.util
import io
import math
import os
import pickle
import sys
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import ErrorCode
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from mlflow.types import type_hints

_INSTANCE_OFFSET = 1000  # mmdet's panoptic map: label + number * 1000

LIMITS = {'max_images': 16.0, 'max_megapixels': 40.0, 'max_megabytes': 32.0, 'max_seconds': 50.0}
_BASE64_AND_MORE = 1.5  # bytes of JSON for a byte of a picture
_HOST = ('mmcv', 'mmdet', 'mmengine', 'mmext', 'mmpose', 'mmpretrain', 'mmseg', 'torch')
_NAMED = ('type', 'warp_mode')  # entries that the host looks up by name, the second by `eval`
_FORMATS = ('BMP', 'JPEG', 'JPEG2000', 'PNG', 'PPM', 'TIFF', 'WEBP')
_HEADERS = threading.Lock()


def _without_news_of_any_type() -> None:
    """MLflow has no type for "an image", and says so in color whenever it looks at the class.

    A filter of warnings does not help: MLflow turns them on again around each look.
    """
    say = getattr(type_hints, 'color_warning', None)
    if say is None or getattr(say, 'is_quiet', False):
        return

    def say_other(message: str, *args: Any, **kwargs: Any) -> None:
        if 'inferred as AnyType' not in message:
            say(message, *args, **kwargs)

    say_other.is_quiet = True  # type: ignore[attr-defined]
    type_hints.color_warning = say_other  # type: ignore[attr-defined]


_without_news_of_any_type()


class ServedDetector(PythonModel):
    """A detector of mmdet behind MLflow's protocol.

    Artifacts: ``config`` and ``weights``. The model's configuration may be
    changed where it is loaded, ``load_model(uri, model_config={'device': 'cpu'})``:
    ``device`` (``auto``: the first GPU if there is one), ``precision`` (``auto``, ``fp32``,
    ``bf16`` or ``fp16``, where mmext is installed), ``min_score`` and the limits of a request,
    see :data:`LIMITS`.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Build the net and its test pipeline."""
        import torch
        from mmcv.transforms import Compose

        settings = context.model_config or {}
        device = settings.get('device', 'auto')
        if device == 'auto':
            device = 'cuda:0' if torch.cuda.is_available() else 'cpu'
        text = Path(context.artifacts['config']).read_text()
        config = read_config(text, bool(settings.get('custom_imports')))
        self._min_score = float(settings.get('min_score', 0.3))
        self._limits = {name: float(settings.get(name, limit)) for name, limit in LIMITS.items()}
        model = load_detector(config, context.artifacts['weights'], device)
        self._model = accelerated(model, str(settings.get('precision', 'auto')))
        self._pipeline = Compose(image_pipeline(config))
        self._lock = threading.Lock()  # a server calls from several threads
        guard_server(self._limits['max_megabytes'])

    def predict(
        self,
        context: PythonModelContext,
        model_input: list[Any],
        params: dict[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Predict the images one after another; see the module's text."""
        from_strangers = os.environ.get('_MLFLOW_IS_IN_SERVING_ENVIRONMENT') == 'true'
        limits = self._limits if from_strangers else {}
        deadline = time.monotonic() + limits.get('max_seconds', math.inf)
        forms = opened(model_input, not from_strangers, limits)
        if not self._lock.acquire(timeout=limits.get('max_seconds', -1)):
            raise Refused('the server is busy, try again later', 'REQUEST_LIMIT_EXCEEDED')
        try:
            return [self._predict_one(form, deadline) for form in forms]
        finally:
            self._lock.release()
            if from_strangers:
                _give_back_memory()

    def _predict_one(self, form: np.ndarray | bytes, deadline: float) -> dict[str, Any]:
        import torch
        from mmengine.dataset import pseudo_collate

        if time.monotonic() > deadline:
            seconds = f'{self._limits["max_seconds"]:g} seconds (max_seconds)'
            raise Refused(f'request: expected one that takes at most {seconds}, it takes longer')
        image = decoded(form)
        prepared = self._pipeline({'img': np.ascontiguousarray(image[..., ::-1]), 'img_id': 0})
        with torch.inference_mode():
            (sample,) = self._model.test_step(pseudo_collate([prepared]))
        return describe(sample.cpu(), image.shape[:2], self._model.dataset_meta, self._min_score)


class Refused(MlflowException):
    """A request is refused; the server does not put the request into the message, as it would.

    Args:
        message: for whoever asked.
        error_code: of MLflow; a server answers 400, 429 to ``REQUEST_LIMIT_EXCEEDED``.
    """

    def __init__(self, message: str, error_code: str = 'INVALID_PARAMETER_VALUE') -> None:
        super().__init__(message, ErrorCode.Value(error_code))

    @property
    def message(self) -> str:
        """What was said first."""
        return str(self.__dict__['first'])

    @message.setter
    def message(self, text: str) -> None:
        self.__dict__.setdefault('first', text)


def guard_server(max_megabytes: float) -> None:
    """Let the scoring server of this process, if it is one, refuse in few words.

    MLflow parses a request of any size, and answers to a bad one with the request itself and a
    stack trace.

    Args:
        max_megabytes: of pictures in a request; see :data:`LIMITS`.
    """
    server = sys.modules.get('mlflow.pyfunc.scoring_server')
    plain = getattr(server, 'invocations', None)
    if plain is None or hasattr(plain, '__wrapped__'):
        return

    @functools.wraps(plain)
    def invocations(data: Any, *arguments: Any, **keywords: Any) -> Any:
        limits = {'max_megabytes': max_megabytes}
        _check(limits, 'max_megabytes', len(data) / 1e6 / _BASE64_AND_MORE, 'megabytes')
        try:
            return plain(data, *arguments, **keywords)
        except Refused:
            raise
        except (MlflowException, RecursionError, MemoryError, ValueError):
            raise Refused(
                'request: expected {"inputs": [image, ...]}, an image as base64 text of a picture '
                'or as an array [H, W, 3] of uint8'
            ) from None

    vars(server)['invocations'] = invocations


def _give_back_memory() -> None:
    """Let the system have what a large request took; glibc keeps it otherwise."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def read_config(text: str, allow_imports: bool = False) -> Any:
    """The config of the model, as mmengine's Config; its text is read, not run.

    Args:
        text: assignments of plain values.
        allow_imports: whether the modules of its ``custom_imports`` are imported.

    Raises:
        ValueError: it has more than that, or names what is no class of the host's.
    """
    from mmengine.config import Config
    from mmengine.utils import import_modules_from_strings

    values = {}
    for statement in ast.parse(text).body:
        try:
            (name,) = (target.id for target in statement.targets)  # type: ignore[attr-defined]
            values[name] = ast.literal_eval(_DictCalls().visit(statement).value)
        except (AttributeError, TypeError, ValueError):
            line = f'config, line {statement.lineno}'
            raise ValueError(f'{line}: expected the assignment of a plain value') from None
    if values.get('custom_imports'):
        if not allow_imports:
            raise ValueError('config: custom_imports needs the setting custom_imports of the model')
        import_modules_from_strings(**values['custom_imports'])
    _check_names(values)
    return Config(values)


def _check_names(node: Any) -> None:
    """Refuse names that the host would import or call, but are no classes of it."""
    items = list(node.items()) if isinstance(node, dict) else []
    for key, value in items:
        if key in _NAMED and isinstance(value, str) and not _is_harmless(value):
            raise ValueError(f'config: {key}={value[:60]!r} is no class of the host')
    for value in [value for _, value in items] or (node if isinstance(node, list | tuple) else ()):
        _check_names(value)


def _is_harmless(name: str) -> bool:
    """Whether a name is looked up in a registry, or is a class of the host or a layer of torch."""
    from mmengine.utils import get_object_from_string

    package, dot, _ = name.partition('.')
    if not all(part.isidentifier() for part in name.split('.')):
        return False
    if not dot:  # what no registry has, mmengine takes for a module
        return importlib.util.find_spec(package) is None
    if package == 'cv2':  # names of constants
        return name.count('.') == 1 and name[4:].isupper()
    if package not in _HOST:
        return False
    found = get_object_from_string(name)
    if package == 'torch':
        return isinstance(found, type) and name.startswith(('torch.nn.', 'torch.optim.'))
    return found is None or isinstance(found, type)


def load_detector(config: Any, weights: str, device: str) -> Any:
    """The net in evaluation mode, with the tensors of a file.

    Raises:
        ValueError: the file holds more than tensors and plain values.
    """
    import torch
    from mmdet.apis import init_detector
    from mmengine.runner import load_state_dict

    try:
        content = torch.load(weights, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        message = 'expected tensors and plain values alone; what else there is could run code'
        raise ValueError(f'{weights}: {message}') from error
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # that there is no checkpoint: it comes below
        # without options the host looks into the backbone, which a model around another lacks
        options: dict[str, Any] | None = None if 'backbone' in config.model else {}
        model = init_detector(config, None, 'random', 'cpu', options)
    state = {key.removeprefix('module.'): value for key, value in content['state_dict'].items()}
    load_state_dict(model, state)
    model.dataset_meta = content['meta']['dataset_meta']
    return model.to(device)


def accelerated(model: Any, precision: str) -> Any:
    """A copy that predicts the same in less time, where mmext is installed; else the model."""
    if importlib.util.find_spec('mmext') is None:
        return model
    import mmext

    return mmext.fast(model, precision)


def image_pipeline(config: Any) -> list[dict[str, Any]]:
    """The test pipeline for an image in memory: nothing is read, no annotation loaded."""
    from mmdet.utils import get_test_pipeline_cfg

    steps = [dict(step) for step in get_test_pipeline_cfg(config)]
    loaders = [i for i, step in enumerate(steps) if 'LoadImage' in str(step['type'])]
    if not loaders:
        raise ValueError('test pipeline: expected a step that loads an image, found none')
    steps[loaders[0]] = {'type': 'mmdet.LoadImageFromNDArray'}
    truths = ('Annotations', 'LoadKeypoints')
    return [step for step in steps if not any(name in str(step['type']) for name in truths)]


def opened(
    items: Sequence[Any], allow_paths: bool, limits: Mapping[str, float]
) -> list[np.ndarray | bytes]:
    """Images as arrays or as encoded pictures whose size has been looked at, not yet decoded.

    Args:
        items: images in any of the accepted forms.
        allow_paths: whether a text may be the path of a file.
        limits: see :data:`LIMITS`; what it lacks is unlimited.

    Raises:
        MlflowException: one is no image, or all are beyond a limit; a server answers 400.
    """
    _check(limits, 'max_images', len(items), 'images')
    forms: list[np.ndarray | bytes] = []
    pixels = size = 0
    for item in items:
        form = item if isinstance(item, bytes | str) else _array(item)
        size += form.nbytes if isinstance(form, np.ndarray) else len(form)
        _check(limits, 'max_megabytes', size / 1e6, 'megabytes')
        if isinstance(form, np.ndarray):
            height, width = form.shape[:2]
        else:
            form = _encoded(form, allow_paths)
            width, height = _picture_size(form)
        pixels += width * height
        _check(limits, 'max_megapixels', pixels / 1e6, 'megapixels')
        forms.append(form)
    return forms


def decoded(form: np.ndarray | bytes) -> np.ndarray:
    """One of :func:`opened` as (H, W, 3) RGB uint8; a spoiled picture is refused."""
    if isinstance(form, np.ndarray):
        return form
    image = cv2.imdecode(np.frombuffer(form, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise _refusal('an encoded picture', 'one that cannot be decoded')
    return np.ascontiguousarray(image[..., ::-1])


def _check(limits: Mapping[str, float], name: str, value: float, unit: str) -> None:
    limit = limits.get(name)
    if limit is not None and value > limit:
        raise Refused(f'request: expected at most {limit:g} {unit} ({name}), got {value:.4g}')


def _picture_size(encoded: bytes) -> tuple[int, int]:
    """Width and height as the header says, px; nothing is decoded."""
    from PIL import Image, UnidentifiedImageError

    Image.init()
    formats = [name for name in _FORMATS if name in Image.OPEN]
    with _HEADERS:
        most, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # the limit is ours
        try:
            with Image.open(io.BytesIO(encoded), formats=formats) as picture:
                width, height = picture.size
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
            raise _refusal('an encoded picture (JPEG, PNG, …)', 'bytes that are none') from None
        finally:
            Image.MAX_IMAGE_PIXELS = most
    return width, height


def _array(item: Any) -> np.ndarray:
    try:
        array = np.asarray(item)
    except ValueError as error:
        raise _refusal('an image', 'lists of unequal length') from error
    if array.ndim != 3 or array.shape[2] != 3 or not array.size:
        raise _refusal('an array [H, W, 3]', f'shape {list(array.shape)}')
    if array.dtype != np.uint8:  # JSON has no such type
        whole = np.issubdtype(array.dtype, np.integer) and 0 <= array.min() <= array.max() <= 255
        if not whole:
            raise _refusal('uint8 values', f'{array.dtype}')
        array = array.astype(np.uint8)
    return array


class _DictCalls(ast.NodeTransformer):
    """Spells ``dict(a=1)`` as ``{'a': 1}``, which is a literal."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        given = [argument for argument in node.args if isinstance(argument, ast.Dict)]
        if getattr(node.func, 'id', None) != 'dict' or len(given) < len(node.args):
            return node
        keys = [key for argument in given for key in argument.keys]
        values = [value for argument in given for value in argument.values]
        named = [(ast.Constant(part.arg), part.value) for part in node.keywords]
        return ast.Dict([*keys, *(k for k, _ in named)], [*values, *(v for _, v in named)])


def describe(
    sample: Any, size_hw: Sequence[int], meta: Mapping[str, Any], min_score: float
) -> dict[str, Any]:
    """One image's prediction in plain types.

    Args:
        sample: an mmdet data sample on the CPU.
        size_hw: height and width of the image, px.
        meta: ``classes`` and, if known, ``thing_classes``.
        min_score: objects below are left out; a panoptic map is given as it is.
    """
    result: dict[str, Any] = {'size': [int(side) for side in size_hw]}
    instances = getattr(sample, 'pred_instances', None)
    if instances is not None:
        result['objects'] = _objects(instances, meta['classes'], min_score)
    caption = getattr(sample, 'pred_caption', None)
    if caption is not None:
        result['caption'] = str(caption)
    panoptic = getattr(sample, 'pred_panoptic_seg', None)
    if panoptic is not None:
        result['panoptic'] = _panoptic(_numpy(panoptic.sem_seg).squeeze(0), meta)
    return result


def _encoded(item: bytes | str, allow_paths: bool) -> bytes:
    """The bytes of a picture from a path, base64 text or bytes of either kind."""
    if isinstance(item, str) and not item.startswith('data:') and len(item) < 4096:
        path = Path(item)
        if path.suffix and allow_paths:  # base64 has no dot
            if not path.is_file():
                raise _refusal('a picture', f'{item!r}, which is no file')
            return path.read_bytes()
    text = item.encode('ascii', 'replace') if isinstance(item, str) else item
    if text.startswith(b'data:'):
        text = text.partition(b',')[2]
    try:
        return base64.b64decode(b''.join(text.split()), validate=True)
    except binascii.Error:
        if isinstance(item, bytes):
            return item
        raise _refusal('a picture in base64', f'a text of {len(item)} characters') from None


def _objects(instances: Any, classes: Sequence[str], min_score: float) -> list[dict[str, Any]]:
    from pycocotools import mask as rle

    instances = instances[instances.scores >= min_score]
    instances = instances[instances.scores.argsort(descending=True)]
    objects = []
    for index, label in enumerate(instances.labels.tolist()):
        found: dict[str, Any] = {
            'label': str(classes[label]),
            'label_id': label,
            'score': float(instances.scores[index]),
            'box_xyxy': instances.bboxes[index].tolist(),
        }
        if 'masks' in instances:
            mask = _numpy(instances.masks[index])
            code = rle.encode(np.asfortranarray(mask, dtype=np.uint8))
            found['mask'] = {'size': list(code['size']), 'counts': code['counts'].decode()}
        if 'keypoints' in instances:
            found['keypoints'] = instances.keypoints[index].tolist()
        if 'captions' in instances:
            found['caption'] = str(instances.captions[index])
        objects.append(found)
    return objects


def _panoptic(ids: np.ndarray, meta: Mapping[str, Any]) -> dict[str, Any]:
    """COCO's form of an ``[H, W]`` map in mmdet's encoding; void is 0."""
    classes = meta['classes']
    things = set(meta.get('thing_classes', ()))
    values, numbers, areas = np.unique(ids, return_inverse=True, return_counts=True)
    known = values % _INSTANCE_OFFSET < len(classes)
    segment_ids = np.where(known, known.cumsum(), 0)
    columns = (column[known].tolist() for column in (segment_ids, values, areas))
    segments = []
    for number, value, area in zip(*columns, strict=True):
        label = value % _INSTANCE_OFFSET
        name = str(classes[label])
        isthing = name in things if things else value >= _INSTANCE_OFFSET
        facts = {'label': name, 'label_id': label, 'isthing': isthing, 'area_px': area}
        segments.append({'id': number, **facts})
    grid = segment_ids[numbers.reshape(ids.shape)]
    bgr = np.stack([grid >> 16, grid >> 8 & 255, grid & 255], axis=-1).astype(np.uint8)
    png = cv2.imencode('.png', bgr)[1].tobytes()
    return {'segments_info': segments, 'png': base64.b64encode(png).decode()}


def _numpy(value: Any) -> np.ndarray:
    return value.numpy() if hasattr(value, 'numpy') else np.asarray(value)


def _refusal(expected: str, actual: str) -> MlflowException:
    return Refused(f'image: expected {expected}, got {actual}')


set_model(ServedDetector())
