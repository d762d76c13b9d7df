"""Tracker: remembers the objects of a video and gives each detection its id.

Source: VPSNet (Kim et al., CVPR 2020), section 3.3, as released; the decision is in
:mod:`mmext.vpsnet.association`. A matched object takes over box and embedding of the detection and
keeps its label; everything else enters the memory with a new id.

Deviations: ids start at 1 (0 says "no id") and are never given again; a frame without detections
leaves the memory as it is (released: a dummy enters it); the memory can forget (``max_age``) and
has a bound (``max_objects``).

Shape legend: n detections, m remembered objects, D channels of an embedding.
"""

from dataclasses import dataclass

import torch
from mmengine.structures import InstanceData
from torch import Tensor

from mmext.errors import InputError
from mmext.functional.boxes import pairwise_iou
from mmext.registry import TASK_UTILS
from mmext.vpsnet.association import NEW, affinity, associate, association_scores


@dataclass
class _Memory:
    """The remembered objects, one row each, by ascending id."""

    ids: Tensor  # int64 [m]
    labels: Tensor  # [m]
    boxes_xyxy: Tensor  # [m, 4]
    embeddings: Tensor  # [m, D]
    last_seen: Tensor  # int64 [m], number of the frame

    def select(self, rows: Tensor) -> '_Memory':
        return _Memory(**{name: value[rows] for name, value in vars(self).items()})


@TASK_UTILS.register_module()
class VPSNetTracker:
    """Gives ids that are unique in a video.

    Args:
        probability_weight: of the detection score in the association.
        iou_weight: of the overlap with the object's last box.
        label_weight: of the same label.
        max_age: frames after which an object that was not seen is forgotten; None never forgets.
        max_objects: bound of the memory; beyond it those not seen for longest are forgotten.
    """

    def __init__(
        self,
        probability_weight: float = 1.0,
        iou_weight: float = 2.0,
        label_weight: float = 10.0,
        max_age: int | None = None,
        max_objects: int = 1000,
    ) -> None:
        if max_age is not None and max_age < 1:
            raise InputError(f'max_age: expected None or at least 1 frame, got {max_age}')
        if max_objects < 1:
            raise InputError(f'max_objects: expected at least 1, got {max_objects}')
        self.weights = dict(
            probability_weight=probability_weight, iou_weight=iou_weight, label_weight=label_weight
        )
        self.max_age = max_age
        self.max_objects = max_objects
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next frame is the first of a video."""
        self._memory: _Memory | None = None
        self._next_id = 1
        self._frame = 0

    def __len__(self) -> int:
        """Number of remembered objects."""
        return 0 if self._memory is None else len(self._memory.ids)

    def track(self, detections: InstanceData, embeddings: Tensor) -> Tensor:
        """Ids of the detections of the next frame.

        Args:
            detections: ``bboxes`` ``[n, 4]`` (x1, y1, x2, y2 in px), ``labels`` and ``scores``
                ``[n]``.
            embeddings: ``[n, D]``; ``[n, 0]`` to compare boxes and labels only.

        Returns:
            int64 ``[n]``, over 0, all different.
        """
        self._frame += 1
        boxes, labels = detections.bboxes, detections.labels
        memory = self._memory or _Memory(
            labels.new_zeros(0, dtype=torch.long),
            labels[:0],
            boxes[:0],
            embeddings[:0],
            labels.new_zeros(0, dtype=torch.long),
        )
        scores = association_scores(
            affinity(embeddings, memory.embeddings),
            detections.scores,
            pairwise_iou(boxes, memory.boxes_xyxy),
            labels[:, None] == memory.labels,
            **self.weights,
        )
        association = associate(scores)
        is_new = association.matches == NEW
        num_new = int(is_new.sum())  # the one transfer per frame: the memory has to grow
        new_rows = len(memory.ids) + association.new_ranks
        rows = association.matches.where(~is_new, new_rows)  # [n], all different
        grown_ids = torch.cat((memory.ids, memory.ids.new_zeros(num_new)))
        ids = grown_ids[rows].where(~is_new, self._next_id + association.new_ranks)
        self._next_id += num_new
        self._remember(memory, num_new, rows, ids, detections, embeddings)
        return ids

    def _remember(
        self,
        memory: _Memory,
        num_new: int,
        rows: Tensor,
        ids: Tensor,
        detections: InstanceData,
        embeddings: Tensor,
    ) -> None:
        """Write the detections into their rows, then forget what is too old or too much."""
        is_new = rows >= len(memory.ids)
        grown = _Memory(
            **{
                name: torch.cat((value, value.new_zeros(num_new, *value.shape[1:])))
                for name, value in vars(memory).items()
            }
        )
        grown.ids[rows] = ids
        grown.labels[rows] = detections.labels.where(is_new, grown.labels[rows])
        grown.boxes_xyxy[rows] = detections.bboxes
        grown.embeddings[rows] = embeddings
        grown.last_seen[rows] = self._frame
        self._memory = self._forget(grown)

    def _forget(self, memory: _Memory) -> _Memory:
        if self.max_age is not None:
            memory = memory.select(memory.last_seen > self._frame - self.max_age)
        if len(memory.ids) > self.max_objects:
            # the latest seen, of those the youngest ids, which are the last rows
            order = memory.last_seen.argsort(stable=True)[-self.max_objects :]
            memory = memory.select(order.sort().values)
        return memory
