"""Numbers that objects keep from frame to frame, by the overlap of their masks.

For drawing: an object keeps its color while it can be followed. No appearance, no motion; an object
that was not seen for some frames and comes back elsewhere has a new number.

Shapes: n objects of a frame, m remembered ones, H x W the picture.
"""

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.structures import InstanceData
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from mmext.errors import InputError
from mmext.layers.frame_memory import VideoOrder
from mmext.registry import TASK_UTILS


@TASK_UTILS.register_module()
class MaskTracker:
    """Remembers the masks of a video's objects.

    Args:
        min_iou: masks that overlap less are of different objects.
        score_thr: objects below are not remembered, and always new; their numbers are not drawn.
        max_age: frames after which an object that was not seen is forgotten.
    """

    def __init__(self, min_iou: float = 0.3, score_thr: float = 0.2, max_age: int = 10) -> None:
        if not 0 < min_iou <= 1 or max_age < 1:
            raise InputError(
                f'tracker: expected 0 < min_iou <= 1 and max_age >= 1, got {min_iou}, {max_age}'
            )
        self.min_iou, self.score_thr, self.max_age = min_iou, score_thr, max_age
        self._order = VideoOrder()
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next frame is the first of a video."""
        self._order.reset()
        self._begin()

    def _begin(self) -> None:
        self._masks: Tensor | None = None  # bool [m, H, W]
        self._labels = self._ids = self._seen = torch.zeros(0, dtype=torch.int64)
        self._next_id, self._frame = 1, 0

    def track(self, objects: InstanceData, meta: Mapping[str, Any]) -> Tensor:
        """The numbers of the objects of the next frame.

        Args:
            objects: ``masks`` ``[n, H, W]`` bool, ``labels`` and ``scores`` ``[n]``.
            meta: ``video_id`` and ``frame_id``.

        Returns:
            int64 ``[n]``, over 0, all different; an object takes that of the remembered one of its
            class whose mask overlaps most, in the assignment that overlaps most in all.
        """
        masks, labels = objects.masks, objects.labels.cpu()
        if not self._order.follows(meta) or self._size_changed(masks):
            self._begin()
        self._frame += 1
        count = len(labels)
        ids = torch.zeros(count, dtype=torch.int64)
        sure = (objects.scores >= self.score_thr).cpu()
        if self._masks is not None and len(self._masks) and count:
            overlap = mask_iou(masks, self._masks).cpu()
            overlap *= (labels[:, None] == self._labels) & sure[:, None]
            overlap = overlap.where(overlap >= self.min_iou, 0.0)
            rows, columns = map(
                torch.from_numpy, linear_sum_assignment(overlap.numpy(), maximize=True)
            )
            same = overlap[rows, columns] > 0
            ids[rows[same]] = self._ids[columns[same]]
        new = ids == 0
        ids[new] = torch.arange(self._next_id, self._next_id + int(new.sum()))
        self._next_id += int(new.sum())
        self._remember(masks, labels, ids, sure)
        return ids.to(objects.labels.device)

    def _size_changed(self, masks: Tensor) -> bool:
        return self._masks is not None and self._masks.shape[1:] != masks.shape[1:]

    def _remember(self, masks: Tensor, labels: Tensor, ids: Tensor, sure: Tensor) -> None:
        kept_masks = masks[sure.to(masks.device)]
        labels, ids = labels[sure], ids[sure]
        if self._masks is None:
            self._masks = kept_masks[:0]
        old = ~torch.isin(self._ids, ids) & (self._seen > self._frame - self.max_age)
        self._masks = torch.cat((self._masks[old.to(masks.device)], kept_masks))
        self._labels = torch.cat((self._labels[old], labels))
        self._seen = torch.cat((self._seen[old], torch.full_like(ids, self._frame)))
        self._ids = torch.cat((self._ids[old], ids))


def mask_iou(masks: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of every pair of masks ``[n, H, W]`` and ``[m, H, W]``: ``[n, m]``.

    0 for a pair of empty masks.
    """
    first, second = masks.flatten(1).float(), others.flatten(1).float()
    shared = first @ second.T
    union = first.sum(1)[:, None] + second.sum(1) - shared
    return shared / union.clamp(min=1)
