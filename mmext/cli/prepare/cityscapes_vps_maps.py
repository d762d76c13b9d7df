"""One frame of Cityscapes-VPS: a map of train ids and instance masks become panoptic ids.

Things without an instance mask (the annotation has some) become one crowd region per class: their
pixels keep the class, and nothing is learned from or judged by their missing borders.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mmext.functional.row_runs import group_extents, row_runs

# in the order of the train ids; https://github.com/mcordts/cityscapesScripts, labels.py
STUFF = (
    *('road', 'sidewalk', 'building', 'wall', 'fence', 'pole', 'traffic light', 'traffic sign'),
    *('vegetation', 'terrain', 'sky'),
)
THINGS = ('person', 'rider', 'car', 'truck', 'bus', 'train', 'motorcycle', 'bicycle')
CLASSES = STUFF + THINGS
_IDS_PER_CLASS = 10_000
_NUMBERS = 1000  # instance numbers of the set are taken modulo this


class Instance(NamedTuple):
    """A thing in a frame."""

    train_id: int
    inst_id: int
    """Equal in all frames of the video."""
    mask: npt.NDArray[np.bool_]
    """``[H, W]``."""


def compose_ids(
    train_ids: npt.NDArray[np.uint8], instances: Sequence[Instance]
) -> npt.NDArray[np.int32]:
    """Segment ids of a frame, consistent in its video.

    Args:
        train_ids: class of each pixel ``[H, W]``; 19 and above is void.
        instances: later ones hide earlier ones; also the map's class, where they differ.

    Returns:
        ``[H, W]``: 0 for void, ``10000 (train id + 1)`` for stuff and for things without an
        instance, ``10000 (train id + 1) + 1 + inst_id mod 1000`` for instances.
    """
    ids = (train_ids.astype(np.int32) + 1) * _IDS_PER_CLASS
    ids[train_ids >= len(CLASSES)] = 0
    for train_id, inst_id, mask in instances:
        ids[mask] = (train_id + 1) * _IDS_PER_CLASS + 1 + inst_id % _NUMBERS
    return ids


def describe(ids: npt.NDArray[np.int32]) -> list[dict[str, Any]]:
    """The ``segments_info`` of a map of :func:`compose_ids`; category ids are train ids."""
    starts, lengths = row_runs(ids)
    found, groups = np.unique(ids.ravel()[starts], return_inverse=True)
    areas = np.bincount(groups, lengths, minlength=len(found)).astype(np.int64)
    extents = group_extents(starts, lengths, groups, len(found), ids.shape[1])
    segments = []
    for segment_id, area, (x1, y1, x2, y2) in zip(
        found.tolist(), areas.tolist(), extents.tolist(), strict=True
    ):
        if segment_id:
            train_id, number = divmod(segment_id, _IDS_PER_CLASS)
            train_id -= 1
            segments.append(
                {
                    'id': segment_id,
                    'category_id': train_id,
                    'iscrowd': int(train_id >= len(STUFF) and number == 0),
                    'bbox': [x1, y1, x2 - x1, y2 - y1],
                    'area': area,
                }
            )
    return segments
