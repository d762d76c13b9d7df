"""The code inside a logged model: loads a detector and answers requests.

MLflow copies this file into the model and runs the copy wherever the model is
loaded ("models from code"), so it stands alone, on mmdet and what mmdet needs.

Input is a list of images, each of them an ``[H, W, 3]`` uint8 RGB array, the
path of a picture, or an encoded picture (JPEG, PNG) as bytes or as base64 text:

    mlflow.pyfunc.load_model('models:/…').predict(['street.jpg'])
    curl $SERVER/invocations -H 'Content-Type: application/json' -d '{"inputs": ["<base64>"]}'

Output is one dict for each image, of plain numbers, texts and lists:

``size``
    ``[H, W]`` of the image, px.
``objects``
    best first; ``label``, ``label_id``, ``score``, ``box_xyxy`` (px), and where the model has
    them ``mask`` (COCO's compressed RLE) and ``keypoints`` (``[[x, y, …], …]``, px).
``panoptic``
    where the model has it: ``segments_info`` (``id``, ``label``, ``label_id``, ``isthing``,
    ``area_px``) and ``png``, COCO's panoptic PNG in base64, ``id = R + 256 G + 65536 B``.
"""

import base64
import binascii
import os
import threading
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

_INSTANCE_OFFSET = 1000  # mmdet's panoptic map: label + number * 1000

# MLflow has no type for "an image"; that it cannot check one is no news at every start
warnings.filterwarnings('ignore', '.*Any type hint is inferred as AnyType', UserWarning)


class ServedDetector(PythonModel):
    """A detector of mmdet behind MLflow's protocol.

    Artifacts: ``config`` and ``weights``. The model's configuration may be
    changed where it is loaded, ``load_model(uri, model_config={'device': 'cpu'})``:
    ``device`` (``auto``: the first GPU if there is one) and ``min_score``.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Build the net and its test pipeline."""
        import torch
        from mmcv.transforms import Compose
        from mmdet.apis import init_detector
        from mmengine.config import Config

        settings = context.model_config or {}
        device = settings.get('device', 'auto')
        if device == 'auto':
            device = 'cuda:0' if torch.cuda.is_available() else 'cpu'
        config = Config.fromfile(context.artifacts['config'])
        self._min_score = float(settings.get('min_score', 0.3))
        self._model = init_detector(config, context.artifacts['weights'], device=device)
        self._pipeline = Compose(image_pipeline(config))
        self._lock = threading.Lock()  # a server calls from several threads

    def predict(
        self,
        context: PythonModelContext,
        model_input: list[Any],
        params: dict[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Predict the images one after another; see the module's text."""
        from_strangers = os.environ.get('_MLFLOW_IS_IN_SERVING_ENVIRONMENT') == 'true'
        images = [read_image(item, allow_paths=not from_strangers) for item in model_input]
        with self._lock:
            return [self._predict_one(image) for image in images]

    def _predict_one(self, image: np.ndarray) -> dict[str, Any]:
        import torch
        from mmengine.dataset import pseudo_collate

        prepared = self._pipeline({'img': np.ascontiguousarray(image[..., ::-1]), 'img_id': 0})
        with torch.inference_mode():
            (sample,) = self._model.test_step(pseudo_collate([prepared]))
        return describe(sample.cpu(), image.shape[:2], self._model.dataset_meta, self._min_score)


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


def read_image(item: Any, allow_paths: bool = True) -> np.ndarray:
    """An image in any of the accepted forms, as (H, W, 3) RGB uint8.

    Raises:
        MlflowException: it is none of them; a server answers 400.
    """
    if isinstance(item, bytes | str):
        encoded = _encoded(item, allow_paths)
        buffer = np.frombuffer(encoded, np.uint8)
        image = cv2.imdecode(buffer, cv2.IMREAD_COLOR) if buffer.size else None
        if image is None:
            raise _refusal('an encoded picture', 'bytes that are none')
        return np.ascontiguousarray(image[..., ::-1])
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
        raise _refusal('a picture in base64', f'{item[:40]!r}') from None


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
        objects.append(found)
    return objects


def _panoptic(ids: np.ndarray, meta: Mapping[str, Any]) -> dict[str, Any]:
    """COCO's form of an ``[H, W]`` map in mmdet's encoding; void is 0."""
    classes = meta['classes']
    things = set(meta.get('thing_classes', ()))
    values, numbers, areas = np.unique(ids, return_inverse=True, return_counts=True)
    segment_ids = np.zeros(len(values), np.int64)
    segments: list[dict[str, Any]] = []
    for index, (value, area) in enumerate(zip(values.tolist(), areas.tolist(), strict=True)):
        label = value % _INSTANCE_OFFSET
        if label >= len(classes):
            continue
        segment_ids[index] = len(segments) + 1
        name = str(classes[label])
        isthing = name in things if things else value >= _INSTANCE_OFFSET
        segments.append(
            {
                'id': len(segments) + 1,
                'label': name,
                'label_id': label,
                'isthing': isthing,
                'area_px': area,
            }
        )
    grid = segment_ids[numbers.reshape(ids.shape)]
    bgr = np.stack([grid >> 16, grid >> 8 & 255, grid & 255], axis=-1).astype(np.uint8)
    png = cv2.imencode('.png', bgr)[1].tobytes()
    return {'segments_info': segments, 'png': base64.b64encode(png).decode()}


def _numpy(value: Any) -> np.ndarray:
    return value.numpy() if hasattr(value, 'numpy') else np.asarray(value)


def _refusal(expected: str, actual: str) -> MlflowException:
    return MlflowException.invalid_parameter_value(f'image: expected {expected}, got {actual}')


set_model(ServedDetector())
