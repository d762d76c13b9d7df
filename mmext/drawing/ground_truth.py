"""Ground truth on a picture, scaled so that it can be read.

N objects, K points, V vertices, A attributes; H, W of the picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mmext.drawing.colors import Picture, class_colors
from mmext.drawing.instances import draw_instances
from mmext.drawing.points import draw_points
from mmext.drawing.segments import draw_panoptic

_MIN_NAMED_PX = 22.0  # a name would cover a smaller box
_DASH_PX = 5
_IGNORED_COLOUR = (235, 235, 235)
Floats = npt.NDArray[np.floating[Any]]


@dataclass
class GroundTruth:
    """What is annotated in a picture. Every part may be missing.

    Attributes:
        boxes_xyxy: ``[N, 4]``, px of the picture.
        labels: ``[N]``.
        masks: ``[N, H, W]`` bool.
        ignored_xyxy: ``[M, 4]``, boxes that are neither right nor wrong.
        panoptic_map: ``[H, W]``, ``label + instance number * 1000``; void: labels behind the last.
        fields: ``keypoints`` ``[N, K, 2]`` with ``keypoints_visible`` ``[N, K]`` (0: not
            annotated, 1: occluded), ``mesh`` ``[N, V, 3]``, ``attributes`` ``[N, A]``.
    """

    boxes_xyxy: Floats = field(default_factory=lambda: np.zeros((0, 4)))
    labels: npt.NDArray[np.integer[Any]] = field(default_factory=lambda: np.zeros(0, np.int64))
    masks: npt.NDArray[np.bool_] | None = None
    ignored_xyxy: Floats = field(default_factory=lambda: np.zeros((0, 4)))
    panoptic_map: npt.NDArray[np.integer[Any]] | None = None
    fields: dict[str, npt.NDArray[Any]] = field(default_factory=dict)

    def scaled(self, factor: float, size_wh: tuple[int, int]) -> 'GroundTruth':
        """The same in a picture that is ``factor`` times as large, of ``size_wh`` px."""
        fields = dict(self.fields)
        for name in ('keypoints', 'mesh'):
            if name in fields:
                fields[name] = fields[name] * factor
        masks = self.masks
        if masks is not None:
            each = [_resized(mask.astype(np.uint8), size_wh) > 0 for mask in masks]
            masks = np.stack(each) if each else np.zeros((0, *size_wh[::-1]), bool)
        ids = self.panoptic_map
        return GroundTruth(
            self.boxes_xyxy * factor,
            self.labels,
            masks,
            self.ignored_xyxy * factor,
            None if ids is None else _resized(ids.astype(np.int32), size_wh),
            fields,
        )


def draw_ground_truth(
    picture: Picture, truth: GroundTruth, meta: Mapping[str, Any], side_px: int
) -> Picture:
    """The picture with its ground truth, scaled to a longer side of ``side_px``.

    Args:
        picture: RGB ``[H, W, 3]``.
        truth: in px of the picture.
        meta: of the data set: ``classes`` and, as far as known, ``palette``, ``skeleton``,
            ``mesh_triangles``, ``attributes``.
        side_px: of the result.
    """
    height, width = picture.shape[:2]
    factor = side_px / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    canvas = np.asarray(cv2.resize(picture, size, interpolation=method), np.uint8)
    truth = truth.scaled(factor, size)
    classes, palette = _names(meta, truth.labels), meta.get('palette')
    if truth.panoptic_map is not None:
        canvas = draw_panoptic(canvas, truth.panoptic_map, classes, palette)
        colors = class_colors(palette, len(classes))
        for box, label in zip(truth.boxes_xyxy, truth.labels, strict=True):
            left, top, right, bottom = (round(float(edge)) for edge in box)
            cv2.rectangle(canvas, (left, top), (right - 1, bottom - 1), colors[label], 1)
    else:
        canvas = draw_instances(
            canvas,
            truth.boxes_xyxy,
            truth.labels,
            None,
            truth.masks,
            classes,
            palette,
            min_named_px=_MIN_NAMED_PX,
        )
    if truth.fields:
        canvas = draw_points(canvas, truth.boxes_xyxy, truth.fields, meta)
    for box in truth.ignored_xyxy:
        _draw_dashed(canvas, box)
    return canvas


def _names(meta: Mapping[str, Any], labels: npt.NDArray[np.integer[Any]]) -> Sequence[str]:
    """The names of the classes; labels without one are named by their number."""
    classes = [str(name) for name in meta.get('classes') or ()]
    return [*classes, *map(str, range(len(classes), int(labels.max(initial=-1)) + 1))]


def _resized(grid: npt.NDArray[Any], size_wh: tuple[int, int]) -> npt.NDArray[Any]:
    return np.asarray(cv2.resize(grid, size_wh, interpolation=cv2.INTER_NEAREST))


def _draw_dashed(picture: Picture, box: Floats) -> None:
    """A dashed rectangle, in place; its part inside the picture."""
    height, width = picture.shape[:2]
    left, right = np.clip(np.round(box[[0, 2]]), 0, width - 1).astype(int)
    top, bottom = np.clip(np.round(box[[1, 3]]), 0, height - 1).astype(int)
    for x in range(left, right + 1, 2 * _DASH_PX):
        for y in (top, bottom):
            picture[y, x : min(x + _DASH_PX, right + 1)] = _IGNORED_COLOUR
    for y in range(top, bottom + 1, 2 * _DASH_PX):
        for x in (left, right):
            picture[y : min(y + _DASH_PX, bottom + 1), x] = _IGNORED_COLOUR
