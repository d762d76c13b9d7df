"""Splits a panoptic id map into a semantic map and a map of instances.

The work is done on the row-wise runs of the map; its cost does not grow with segments
times pixels.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mmext.formats.panoptic_files import segment_positions
from mmext.functional.row_runs import group_extents, row_runs

IGNORE_LABEL = 255


class PanopticMaps(NamedTuple):
    """The two maps of an id map, and the boxes of its instances."""

    labels: npt.NDArray[np.uint8]
    """``[H, W]``, 255 for void"""
    numbers: npt.NDArray[np.unsignedinteger[Any]]
    """``[H, W]``: i + 1 at the pixels of instance i, else 0; uint8 if n < 256, else uint16"""
    windows: npt.NDArray[np.int64]
    """``[n, 4]``: x1, y1, x2, y2 around the pixels of each instance"""


def split_panoptic_map(
    ids: npt.NDArray[np.signedinteger[Any]],
    segment_ids: Sequence[int],
    segment_labels: Sequence[int],
    instance_ids: Sequence[int],
    source: str,
) -> PanopticMaps:
    """The semantic map of all segments and the instance map of some.

    Args:
        ids: segment of each pixel ``[H, W]``, 0 = void.
        segment_ids: the segments that the map must have, ``[S]``.
        segment_labels: their labels in ``[0, 255)``, ``[S]``.
        instance_ids: segments that are instances, ``[n]`` different ones of ``segment_ids``.
        source: name of the map, for the errors.

    Returns:
        See :class:`PanopticMaps`.

    Raises:
        ValueError: the map has other segments than those listed.

    >>> maps = split_panoptic_map(np.array([[7, 7, 0, 9]]), [9, 7], [4, 2], [7], 'map')
    >>> maps.labels.tolist(), maps.numbers.tolist(), maps.windows.tolist()
    ([[2, 2, 255, 4]], [[1, 1, 0, 0]], [[0, 0, 2, 1]])
    """
    starts, lengths = row_runs(ids)
    map_ids, groups = np.unique(ids.ravel()[starts], return_inverse=True)
    positions = segment_positions(map_ids, segment_ids, source)
    labels = np.full(len(map_ids), IGNORE_LABEL, dtype=np.uint8)
    labels[positions] = segment_labels
    seg_map = np.repeat(labels[groups], lengths).reshape(ids.shape)

    position_of = dict(zip(segment_ids, positions.tolist(), strict=True))
    numbers = np.zeros(len(map_ids), dtype=np.uint8 if len(instance_ids) < 256 else np.uint16)
    of_instances = [position_of[i] for i in instance_ids]
    numbers[of_instances] = np.arange(1, len(instance_ids) + 1)
    windows = group_extents(starts, lengths, groups, len(map_ids), ids.shape[1])[of_instances]
    return PanopticMaps(seg_map, np.repeat(numbers[groups], lengths).reshape(ids.shape), windows)


def expand_masks(
    numbers: npt.NDArray[np.unsignedinteger[Any]],
    wanted: npt.NDArray[np.unsignedinteger[Any]],
) -> npt.NDArray[np.uint8]:
    """Masks of 0 and 1, ``[n, H, W]``, out of a map ``[H, W]``: mask i is where ``wanted[i]`` is.

    >>> expand_masks(np.array([[1, 0, 2]], np.uint8), np.array([2, 1], np.uint8)).tolist()
    [[[0, 0, 1]], [[1, 0, 0]]]
    """
    masks = np.empty((len(wanted), *numbers.shape), dtype=np.uint8)
    for mask, number in zip(masks, wanted, strict=True):
        np.equal(numbers, number, out=mask.view(bool))
    return masks
