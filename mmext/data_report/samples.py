"""Samples of a data set as the model sees them, and photos as they were annotated, to be drawn."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from mmcv.transforms import Compose, LoadAnnotations, LoadImageFromFile, Normalize

from mmext.drawing.colors import Picture
from mmext.drawing.ground_truth import GroundTruth
from mmext.functional.panoptic_labels import INSTANCE_OFFSET

_MAX_MASKS = 80  # more are a crowd in which none can be told apart


def all_steps(pipeline: Any) -> Iterator[Any]:
    """The transforms of a pipeline, those inside of others in their place."""
    for step in getattr(pipeline, 'transforms', pipeline) or ():
        inner = getattr(step, 'transforms', None)
        inner = getattr(inner, 'transforms', inner)
        yield step
        if isinstance(inner, list | tuple) and inner:
            yield from all_steps(inner)


def image_loader(dataset: Any) -> LoadImageFromFile | None:
    """The step of a data set's pipeline that loads the photo."""
    steps = all_steps(getattr(dataset, 'pipeline', None))
    return next((step for step in steps if isinstance(step, LoadImageFromFile)), None)


def loading_alone(dataset: Any) -> Compose:
    """The steps of a data set's pipeline that load and pack: photos as they were annotated."""
    steps = [step for step in all_steps(getattr(dataset, 'pipeline', None)) if _loads(step)]
    steps.sort(key=lambda step: _name(step).startswith('Pack'))
    return Compose(steps)


def drawable(packed: Mapping[str, Any], dataset: Any) -> tuple[Picture, GroundTruth]:
    """Picture and ground truth of what a pipeline has packed.

    Args:
        packed: ``inputs`` and ``data_samples``; of a pair of frames the key frame is taken.
        dataset: its pipeline tells the order of the channels, and whether it normalizes.

    Returns:
        RGB ``[H, W, 3]``, and what is annotated in its pixels.
    """
    inputs, sample = packed['inputs'], packed['data_samples']
    if isinstance(inputs, Mapping):
        inputs = inputs['img']
    frames = getattr(sample, 'video_data_samples', None)
    if frames:
        sample, inputs = frames[-1], inputs[-1]
    picture = as_picture(inputs.numpy(), dataset)
    instances = sample.get('gt_instances')
    ignored = sample.get('ignored_instances')
    truth = GroundTruth(
        boxes_xyxy=_boxes(instances),
        labels=_array(instances, 'labels', np.zeros(0, np.int64)),
        masks=_masks(instances, picture),
        ignored_xyxy=_boxes(ignored),
        fields=dict(_fields(instances)),
    )
    if 'gt_sem_seg' in sample:
        classes = dataset.metainfo.get('classes') or ()
        labels = np.asarray(sample.gt_sem_seg.sem_seg.squeeze(0).numpy()).astype(np.int64)
        truth.panoptic_map = panoptic_map(labels, truth, len(classes))
    return picture, truth


def as_picture(inputs: npt.NDArray[Any], dataset: Any) -> Picture:
    """``inputs`` ``[C, H, W]`` of a model as RGB ``[H, W, 3]``, normalization undone."""
    pixels = inputs.transpose(1, 2, 0).astype(np.float32)
    if pixels.shape[2] < 3:
        pixels = pixels[..., :1].repeat(3, axis=2)
    pixels = pixels[..., :3]
    loader = image_loader(dataset)
    is_rgb = getattr(loader, 'channel_order', 'bgr') == 'rgb'
    for step in all_steps(getattr(dataset, 'pipeline', None)):
        if isinstance(step, Normalize):
            pixels = pixels * np.asarray(step.std) + np.asarray(step.mean)
            is_rgb = is_rgb != bool(step.to_rgb)
    if not is_rgb:
        pixels = pixels[..., ::-1]
    return np.ascontiguousarray(pixels.round().clip(0, 255), np.uint8)


def panoptic_map(
    labels: npt.NDArray[np.int64], truth: GroundTruth, num_classes: int
) -> npt.NDArray[np.int64]:
    """The semantic map ``[H, W]`` with the instances told apart; void is ``num_classes``."""
    ids = np.where((labels >= 0) & (labels < num_classes), labels, num_classes)
    if truth.masks is not None:
        of_class: dict[int, int] = {}
        for mask, label in zip(truth.masks, truth.labels.tolist(), strict=False):
            of_class[label] = of_class.get(label, 0) + 1
            ids[mask] = label + INSTANCE_OFFSET * of_class[label]
    return ids


def _loads(step: Any) -> bool:
    is_loader = isinstance(step, LoadImageFromFile | LoadAnnotations)
    return is_loader or _name(step).startswith(('Load', 'Pack'))


def _name(step: Any) -> str:
    return type(step).__name__


def _boxes(instances: Any) -> npt.NDArray[Any]:
    if instances is None or 'bboxes' not in instances:
        return np.zeros((0, 4), np.float32)
    boxes = instances.bboxes
    if hasattr(boxes, 'convert_to'):  # turned boxes have five numbers
        boxes = boxes.convert_to('hbox')
    return np.asarray(getattr(boxes, 'tensor', boxes).numpy()).reshape(-1, 4)


def _masks(instances: Any, picture: Picture) -> npt.NDArray[np.bool_] | None:
    if instances is None or 'masks' not in instances or len(instances) > _MAX_MASKS:
        return None
    masks = instances.masks
    masks = masks.to_ndarray() if hasattr(masks, 'to_ndarray') else np.asarray(masks)
    return masks.astype(bool).reshape(-1, *picture.shape[:2])


def _fields(instances: Any) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """What is known of the objects beyond their boxes, as the drawing takes it."""
    if instances is None or not len(instances):
        return
    points = _array(instances, 'keypoints', None)
    if points is not None and points.ndim == 3:
        seen = points[..., 2] if points.shape[2] > 2 else np.ones(points.shape[:2])
        seen = _array(instances, 'keypoints_visible', seen)
        yield 'keypoints', points[..., :2]
        yield 'keypoints_visible', seen
    mesh = _array(instances, 'mesh', None)
    if mesh is not None and mesh.size:
        valid = _array(instances, 'mesh_valid', np.ones(len(mesh), bool))
        yield 'mesh', np.where(valid[:, None, None], mesh, -1e4)
    attributes = _array(instances, 'attributes', None)
    if attributes is not None and attributes.ndim == 2 and attributes.shape[1]:
        yield 'attributes', attributes


def _array(instances: Any, name: str, otherwise: Any) -> Any:
    if instances is None or name not in instances:
        return otherwise
    value = instances[name]
    return np.asarray(value.numpy() if hasattr(value, 'numpy') else value)


def sample_name(info: Mapping[str, Any]) -> str:
    """The last two parts of a photo's path."""
    return '/'.join(str(info.get('img_path', '')).replace('\\', '/').split('/')[-2:])
