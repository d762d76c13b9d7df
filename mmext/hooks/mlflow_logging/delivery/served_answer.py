"""What a served model answers: one image's prediction in plain types.

Part of the script inside a model, see :mod:`.served_script`.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

_INSTANCE_OFFSET = 1000  # mmdet's panoptic map: label + number * 1000


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
        if 'surface' in instances:
            rgb = np.moveaxis(_numpy(instances.surface[index]), 0, -1)
            found['surface'] = _png(rgb[..., ::-1])
            found['surface_box'] = [int(side) for side in instances.surface_boxes[index]]
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
    return {'segments_info': segments, 'png': _png(bgr)}


def _png(bgr: np.ndarray) -> str:
    """An ``[H, W, 3]`` uint8 picture as a PNG in base64."""
    png = cv2.imencode('.png', np.ascontiguousarray(bgr))[1].tobytes()
    return base64.b64encode(png).decode()


def _numpy(value: Any) -> np.ndarray:
    return value.numpy() if hasattr(value, 'numpy') else np.asarray(value)
