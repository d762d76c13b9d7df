"""One panoptic id map taken apart into a semantic map and instance masks.

The work is done on the row-wise runs of the map; a mask is compared within the
window of its own pixels only. Neither cost grows with segments times pixels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mmext.functional.panoptic_files import segment_positions
from mmext.functional.row_runs import group_extents, row_runs

IGNORE_LABEL = 255


def split_panoptic_map(
    ids: npt.NDArray[np.signedinteger[Any]],
    segment_ids: Sequence[int],
    segment_labels: Sequence[int],
    instance_ids: Sequence[int],
    source: str,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """The semantic map of all segments and the masks of some.

    Args:
        ids: segment of each pixel ``[H, W]``, 0 = void.
        segment_ids: the segments that the map is to have, ``[S]``.
        segment_labels: their labels in ``[0, 255)``, ``[S]``.
        instance_ids: segments that a mask is wanted of, ``[n]`` out of ``segment_ids``.
        source: name of the map, for the errors.

    Returns:
        Labels ``[H, W]`` with 255 for void, and masks ``[n, H, W]`` of 0 and 1.

    Raises:
        ValueError: the map has other segments than those listed.

    >>> labels, masks = split_panoptic_map(np.array([[7, 7, 0, 9]]), [9, 7], [4, 2], [7], 'map')
    >>> labels.tolist(), masks.tolist()
    ([[2, 2, 255, 4]], [[[1, 1, 0, 0]]])
    """
    starts, lengths = row_runs(ids)
    found, groups = np.unique(ids.ravel()[starts], return_inverse=True)
    positions = segment_positions(found, segment_ids, source)
    labels = np.full(len(found), IGNORE_LABEL, dtype=np.uint8)
    labels[positions] = segment_labels
    seg_map = np.repeat(labels[groups], lengths).reshape(ids.shape)

    # the map with small numbers for ids: a quarter of the bytes to compare
    dense = groups.astype(np.uint8 if len(found) <= 256 else np.uint16)
    dense_map = np.repeat(dense, lengths).reshape(ids.shape)
    extents = group_extents(starts, lengths, groups, len(found), ids.shape[1]).tolist()
    position_of = dict(zip(segment_ids, positions.tolist(), strict=True))
    masks = np.zeros((len(instance_ids), *ids.shape), dtype=np.uint8)
    for mask, instance in zip(masks, instance_ids, strict=True):
        position = position_of[instance]
        x1, y1, x2, y2 = extents[position]
        window = slice(y1, y2), slice(x1, x2)
        np.equal(dense_map[window], position, out=mask[window].view(bool))
    return seg_map, masks
