"""A trained model applied to images, without a data set.

mmdet's ``init_detector`` loads weights without comparing them with the model, and its
``DetInferencer`` needs panopticapi and keeps all inputs; both are short enough to be written
for streams of frames.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from mmcv.transforms import Compose, LoadAnnotations, LoadImageFromFile
from mmdet.datasets.transforms import LoadProposals
from mmdet.registry import DATASETS, MODELS, TRANSFORMS
from mmdet.structures import DetDataSample
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import print_log
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from torch import nn

from mmext.configuration import remove_pretrained, walk
from mmext.data_report.config_heads import configured_heads, configured_panoptic
from mmext.drawing.colors import Picture
from mmext.drawing.panels import Classes, Scene, draw_scene
from mmext.errors import InputError
from mmext.failed_statements import first_line
from mmext.formats.json_files import read_json
from mmext.formats.landmark_sets import LANDMARK_SETS
from mmext.formats.panoptic_files import category_table
from mmext.functional.surface_pasting import SurfaceImage, paste_surfaces
from mmext.host_repairs.configs import adapt_config
from mmext.host_repairs.faults import repair_host
from mmext.host_repairs.stored_config import read_stored_config
from mmext.inference.checkpoints import load_checkpoint, load_weights
from mmext.inference.fast import fast
from mmext.language.vocabulary_hook import use_vocabulary
from mmext.pipelines.keypoint_transforms import LoadKeypoints
from mmext.pipelines.loading import LoadImage

if TYPE_CHECKING:
    from mmext.inference.onnx_predictor import OnnxPredictor
    from mmext.inference.onnx_video import GraphPredictor

_POINT_FIELDS = (
    *('mesh', 'keypoints', 'keypoint_scores', 'attributes'),
    'centers',
)
# steps of a pipeline that a picture without annotations must not go through
ANNOTATION_LOADERS = (LoadAnnotations, LoadKeypoints)
_LOADER_OPTIONS = ('color_type', 'imdecode_backend', 'value_range', 'max_pixels', 'backend_args')


class Predictor:
    """A model, its test pipeline and its class table.

    Args:
        model: in evaluation mode, on its device.
        config: with ``test_dataloader``, whose pipeline prepares the images.
        dataset_meta: ``classes`` and, if known, ``thing_classes`` and ``palette``.
    """

    def __init__(self, model: nn.Module, config: Config, dataset_meta: dict[str, Any]) -> None:
        self.model = model
        self.classes: tuple[str, ...] = tuple(dataset_meta['classes'])
        self.thing_classes = frozenset(dataset_meta.get('thing_classes', self.classes))
        self.palette = dataset_meta.get('palette')
        self.config = config
        self.dataset_meta = dataset_meta
        self.pipeline = Compose(image_pipeline(config))
        self.loader = image_loader(config)

    def __call__(
        self, images: Sequence[npt.NDArray[np.uint8]], video: Any = None, first_frame: int = 0
    ) -> list[DetDataSample]:
        """Predict a batch.

        Args:
            images: BGR ``[H, W, 3]`` uint8, of any sizes.
            video: the images are frames in a row of the video of this name; None for pictures
                that have nothing to do with each other.
            first_frame: number of the first of them.

        Returns:
            One data sample per image, in the coordinates of the image.
        """
        prepared = []
        for i, image in enumerate(images):
            place = {} if video is None else dict(video_id=video, frame_id=first_frame + i)
            prepared.append(self.pipeline(dict(img=image, img_id=i, **place)))
        test_step: Any = self.model.test_step
        with torch.inference_mode():
            return list(test_step(pseudo_collate(prepared)))

    @property
    def kind(self) -> str:
        """What sort of model it is."""
        return type(self.model).__name__

    @property
    def device(self) -> str:
        """Where it computes."""
        return str(next(self.model.parameters()).device)

    def draw(
        self,
        image: npt.NDArray[np.uint8],
        sample: DetDataSample,
        min_score: float,
        texture: Picture | None = None,
    ) -> Picture:
        """Return the prediction on the image (BGR), as RGB; see :func:`draw_prediction`."""
        rgb = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
        return draw_prediction(rgb, sample, self.dataset_meta, min_score, texture)


def load_predictor(
    config: Config | None,
    checkpoint_path: str,
    device: str,
    allow_partial: bool = False,
    precision: str = 'fp32',
    backend: str | None = None,
    vocabulary: str | Path | None = None,
) -> 'Predictor | OnnxPredictor | GraphPredictor':
    """Build the model, load its weights and make it fast; or open an ONNX file.

    Args:
        config: None takes the one that mmengine stored in the checkpoint.
        checkpoint_path: file or URL, or an ONNX file of ``mmext export``.
        device: ``'auto'`` is the first GPU, or the CPU without one.
        allow_partial: see :func:`mmext.inference.checkpoints.load_weights`.
        precision: see :func:`mmext.inference.fast.fast`.
        backend: runtime of an ONNX file, see :func:`mmext.inference.runtimes.open_runner`.
        vocabulary: table of words that a detector whose classes are words finds in their place.

    Raises:
        InputError: no config, weights of another model, no such device, or not in that precision;
            a backend that does not read the file, or words that do not fit.
    """
    if vocabulary is not None and checkpoint_path.endswith('.onnx'):
        raise InputError('other words need the checkpoint: those of an ONNX file are in its graph')
    if checkpoint_path.endswith('.onnx'):
        from mmext.inference.onnx_predictor import load_onnx
        from mmext.inference.onnx_video import load_pair

        if (pair := load_pair(Path(checkpoint_path), backend or 'onnxruntime')) is not None:
            return pair
        return load_onnx(Path(checkpoint_path), config, device, precision, backend or 'auto')
    if backend is not None:
        raise InputError(
            f'backend {backend} runs ONNX files, {checkpoint_path} is none: mmext export CONFIG '
            f'{checkpoint_path} --out FILE.onnx writes one'
        )
    repair_host()
    checkpoint = load_checkpoint(checkpoint_path)
    meta = checkpoint.get('meta', {})
    config = config or read_stored_config(meta, checkpoint_path)
    init_default_scope(config.get('default_scope', 'mmdet'))
    remove_pretrained(config)
    for line in adapt_config(config, single_process=True):
        print_log(line, 'current')
    model = revert_sync_batchnorm(MODELS.build(config.model))
    load_weights(model, checkpoint, checkpoint_path, allow_partial)
    classes = class_table(config, meta)
    if vocabulary is not None:
        classes = use_vocabulary(model, vocabulary, classes)
    if device == 'auto':
        device = 'cuda:0' if torch.cuda.is_available() else 'cpu'
    try:
        model = model.to(device).eval()
    except (RuntimeError, AssertionError) as error:
        raise InputError(f'--device {device}: {first_line(error)}') from error
    return Predictor(fast(model, precision), config, classes)


def image_pipeline(config: Config) -> list[dict[str, Any]]:
    """The test pipeline for images in memory: no file is read, no annotation loaded."""
    pipeline: list[dict[str, Any]] = []
    for step in get_test_pipeline_cfg(config):
        kind = TRANSFORMS.get(step['type'])
        if issubclass(kind, LoadProposals):
            raise InputError(
                'the model finds no objects in an image alone: its test pipeline has '
                'LoadProposals, the proposals of another model; take a detector with an RPN'
            )
        if issubclass(kind, LoadImageFromFile):
            to_float32 = step.get('to_float32', False)
            pipeline.append(dict(type='mmdet.LoadImageFromNDArray', to_float32=to_float32))
        elif not issubclass(kind, ANNOTATION_LOADERS):
            pipeline.append(step)
    if not any(step['type'] == 'mmdet.LoadImageFromNDArray' for step in pipeline):
        raise InputError('the test pipeline of the config loads no image (LoadImageFromFile)')
    return pipeline


def image_loader(config: Config) -> LoadImage:
    """What reads image files as the test pipeline does: its range, orientation and decoder.

    The images are BGR uint8, which is drawn on; other types and channels than that are the
    pipeline's business.
    """
    for step in get_test_pipeline_cfg(config):
        kind = TRANSFORMS.get(step['type'])
        if kind is LoadImageFromFile or issubclass(kind, LoadImage):
            options = {key: value for key, value in step.items() if key in _LOADER_OPTIONS}
            if not str(options.get('color_type', 'color')).startswith('color'):
                del options['color_type']
            return LoadImage(**options)
    return LoadImage()


def draw_prediction(
    image: Picture,
    sample: DetDataSample,
    dataset_meta: Mapping[str, Any],
    min_score: float,
    texture: Picture | None = None,
) -> Picture:
    """Draw what the model predicts: the panoptic map, or else boxes and all that they have.

    Args:
        image: RGB.
        sample: with ``pred_panoptic_seg`` or ``pred_instances``.
        dataset_meta: ``classes``, names in the order of the labels; ``palette``, see
            :func:`mmext.drawing.colors.class_colors`; and what
            :func:`mmext.drawing.points.draw_points` takes.
        min_score: instances below are not drawn; a panoptic map is drawn as it is.
        texture: an atlas for the surfaces of persons, which are then drawn alone.

    Raises:
        InputError: a texture for a prediction without surfaces.
    """
    classes = Classes.of(dataset_meta)
    scene = Scene((image.shape[0], image.shape[1]))
    if 'pred_panoptic_seg' in sample:
        scene.panoptic_map = panoptic_map(sample)
        scene.tracked = 'instances_ids' in sample.get('pred_instances', {})
        return draw_scene(image, scene, classes)
    instances = sample.pred_instances
    instances = instances[instances.scores >= min_score].cpu().numpy()
    scene.labels, scene.scores = instances.labels, instances.scores
    scene.boxes_xyxy = instances.bboxes
    scene.masks = instances.masks if 'masks' in instances else None
    scene.ids = instances.instances_ids if 'instances_ids' in instances else None
    scene.fields = {name: instances[name] for name in _POINT_FIELDS if name in instances}
    if 'surface' in instances:
        scene.surface = surface_image(instances, scene.frame_hw)
    if texture is not None:
        if scene.surface is None:
            raise InputError('texture: the model predicts no surface of persons')
        skin = Scene(scene.frame_hw, surface=scene.surface, texture=texture)
        return draw_scene(image, skin, classes)
    return draw_scene(image, scene, classes)


def surface_image(instances: Any, size_hw: tuple[int, int]) -> SurfaceImage:
    """The surfaces of all persons of ``pred_instances``, arrays, in one map of the image."""
    surfaces, boxes = list(instances.surface), np.asarray(instances.surface_boxes)
    return paste_surfaces(surfaces, boxes, size_hw, np.asarray(instances.scores))


def panoptic_map(sample: DetDataSample) -> npt.NDArray[np.int64]:
    """The predicted map ``[H, W]`` in mmdet's encoding."""
    ids = torch.as_tensor(sample.pred_panoptic_seg.sem_seg).squeeze(0)
    return np.asarray(ids.cpu().numpy(), np.int64)


def class_table(config: Config, checkpoint_meta: Mapping[str, Any]) -> dict[str, Any]:
    """``classes`` and what else is known of them: by the checkpoint, the config, or its data set.

    Args:
        config: with ``model`` and ``test_dataloader``.
        checkpoint_meta: what mmengine has stored with the weights.

    Raises:
        InputError: nothing names the classes, or fewer are named than the model tells apart.
    """
    given = checkpoint_meta.get('dataset_meta')
    stored = {str(k).lower(): v for k, v in given.items()} if isinstance(given, Mapping) else {}
    table = stored if stored.get('classes') else _configured_table(config)
    if not table.get('classes'):
        raise InputError(
            'neither checkpoint nor config names the classes: set metainfo of the data set'
        )
    _check_classes(table['classes'], config.model)
    if 'num_things_classes' in config.model:
        table.setdefault('thing_classes', table['classes'][: config.model.num_things_classes])
    return table


def _check_classes(classes: Any, model: Mapping[str, Any]) -> None:
    named = isinstance(classes, list | tuple) and all(isinstance(name, str) for name in classes)
    if not named:
        raise InputError(
            f'the classes of the checkpoint or config are no list of names, but {classes!r:.60}: '
            'set metainfo of the data set'
        )
    for key, number in [
        *configured_heads(model),
        *((key, sum(numbers)) for key, numbers in configured_panoptic(model)),
    ]:
        if len(classes) < number:
            raise InputError(
                f'the checkpoint or config names {len(classes)} classes, and {key} tells {number} '
                'apart: the weights are of another data set, or metainfo of the data set is wrong'
            )


def _configured_table(config: Config) -> dict[str, Any]:
    """The first class table of the test data: of its config, or of its class; {} if it has none."""
    for _, part in walk(config.get('test_dataloader') or {}):
        if 'ann_file' in part:
            table = _configured_classes(part)
            table = table or dict(getattr(DATASETS.get(part['type']), 'METAINFO', {}))
            if table.get('classes'):
                return table
    return {}


def _configured_classes(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """The ``metainfo`` of a data set's config, its class list completed; {} without classes."""
    points = LANDMARK_SETS.get(dataset.get('landmark_set') or '')
    table = {**(points.metainfo() if points else {}), **(dataset.get('metainfo') or {})}
    listed = (*table.get('thing_classes', ()), *table.get('stuff_classes', ()))
    if listed:
        table.setdefault('classes', listed)
    if table.get('classes') == 'auto':  # those of the annotation file
        file = Path(dataset.get('data_root') or '', dataset['ann_file'])
        if not file.is_file():
            raise InputError(
                "the checkpoint does not name the classes, the config says classes='auto', and "
                f'there is no {file.absolute()} to read them from: list them in metainfo'
            )
        table |= category_table(read_json(file)['categories'])
    return table if table.get('classes') else {}
