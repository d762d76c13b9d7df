"""Key points of the objects of a video, smoothed from frame to frame.

An object is that of the frame before with the same track id or, without ids, the one whose box it
overlaps most; its points go through a One Euro filter.

Shapes: n objects, K points.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmdet.structures import DetDataSample
from scipy.optimize import linear_sum_assignment

from mmext.errors import InputError
from mmext.functional.boxes import pairwise_iou
from mmext.functional.one_euro import DEFAULT, Filtered, OneEuro, advance, begin

_MIN_IOU = 0.3


@dataclass(frozen=True)
class _Frame:
    """What is kept of a frame; rows are objects."""

    boxes: np.ndarray
    """``[n, 4]`` xyxy px."""
    labels: np.ndarray
    """``[n]``"""
    ids: np.ndarray | None
    """``[n]`` of tracks."""
    state: Filtered


class PointSmoother:
    """Smooths ``pred_instances.keypoints`` of consecutive frames of one video.

    Objects without key points pass as they are. Points of an object that is seen for the first
    time, or again after a frame without it, are taken as they are.

    Args:
        fps: frames a second.
        rule: of the filter.

    Raises:
        InputError: no frame a second.
    """

    def __init__(self, fps: float, rule: OneEuro = DEFAULT) -> None:
        if not fps > 0:
            raise InputError(f'fps: expected more than 0, got {fps}')
        self.seconds, self.rule = 1 / fps, rule
        self._last: _Frame | None = None

    def __call__(self, samples: Sequence[DetDataSample]) -> list[DetDataSample]:
        """The samples of frames in a row, with smoothed points ``[n, K, 2]``; changed in place."""
        for sample in samples:
            self._smooth(sample)
        return list(samples)

    def _smooth(self, sample: DetDataSample) -> None:
        instances = sample.get('pred_instances')
        if instances is None or 'keypoints' not in instances or 'bboxes' not in instances:
            return
        boxes = getattr(instances.bboxes, 'tensor', instances.bboxes).float().cpu().numpy()
        labels = instances.labels.cpu().numpy()
        ids = instances.instances_ids.cpu().numpy() if 'instances_ids' in instances else None
        points = instances.keypoints.float().cpu().numpy()
        state = begin(points[..., :2])
        if self._last is not None and self._last.state.points.shape[1:] == state.points.shape[1:]:
            now, then = _matched(self._last, boxes, labels, ids)
            sizes = np.maximum(boxes[now, 2:] - boxes[now, :2], 1).max(1, initial=1)
            before = Filtered(*(values[then] for values in self._last.state))
            after = advance(before, points[now, :, :2], sizes, self.seconds, self.rule)
            for values, moved in zip(state, after, strict=True):
                values[now] = moved
        self._last = _Frame(boxes, labels, ids, state)
        smoothed = torch.as_tensor(state.points).to(instances.keypoints)
        instances.keypoints = torch.cat((smoothed, instances.keypoints[..., 2:]), dim=-1)


def _matched(
    last: _Frame, boxes: np.ndarray, labels: np.ndarray, ids: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Which objects of a frame are which of the last one: two indices of equal length."""
    if ids is not None and last.ids is not None:
        common, now, then = np.intersect1d(ids, last.ids, return_indices=True)
        return now[common >= 0], then[common >= 0]
    iou = pairwise_iou(torch.from_numpy(boxes), torch.from_numpy(last.boxes)).numpy()
    iou = np.where(labels[:, None] == last.labels[None], iou, 0)
    now, then = linear_sum_assignment(-iou)
    kept = iou[now, then] >= _MIN_IOU
    return now[kept], then[kept]
