"""Does a panoptic PNG show what its entry in the JSON says?"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mmext.formats.box_agreement import Box
from mmext.formats.coco_values import some
from mmext.formats.panoptic_files import VOID_ID, decode_id_png, segment_positions
from mmext.functional.row_runs import group_extents, row_runs


@dataclass
class MapComparison:
    """A PNG beside its entry in the JSON.

    Attributes:
        problems: what does not agree, one sentence each.
        pairs: box of each thing that is no crowd, and the window of its pixels: x1, y1, x2, y2.
        pixels: of each segment that both have, by id.
        void: pixels without a segment.
    """

    problems: list[str] = field(default_factory=list)
    pairs: list[tuple[Box, Box]] = field(default_factory=list)
    pixels: dict[int, int] = field(default_factory=dict)
    void: int = 0


def segment_extents(
    ids: npt.NDArray[np.integer[Any]],
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[np.int64]]:
    """The segments of a map ``[H, W]``.

    Returns:
        Ids ``[S]``, ascending; pixels of each ``[S]``; window of each ``[S, 4]``: x1, y1, x2, y2.
    """
    starts, lengths = row_runs(ids)
    found, groups = np.unique(ids.ravel()[starts], return_inverse=True)
    pixels = np.bincount(groups, lengths, len(found)).astype(np.int64)
    return found, pixels, group_extents(starts, lengths, groups, len(found), ids.shape[1])


def compare_map(
    data: bytes,
    source: str,
    segments: Sequence[Mapping[str, Any]],
    size_wh: tuple[int, int],
    things: Container[Any],
) -> MapComparison:
    """Compare ids, size, areas and boxes.

    Args:
        data: of the PNG.
        source: its name, for the sentences.
        segments: ``segments_info``, as :func:`~.panoptic_records.panoptic_records` reads it.
        size_wh: of the photo, by the JSON.
        things: ids of the categories whose boxes count.
    """
    listed = [segment for segment in segments if segment.get('area', 1) > 0]
    try:
        ids = decode_id_png(data, source)
        found, pixels, windows = segment_extents(ids)
        positions = segment_positions(found, [s['id'] for s in listed], source)
    except ValueError as error:
        return MapComparison([str(error)])
    if ids.shape[::-1] != tuple(size_wh):
        size = f'{ids.shape[1]}x{ids.shape[0]}'
        return MapComparison([f'{source}: {size}, expected {size_wh[0]}x{size_wh[1]}'])
    areas = pixels[positions].tolist()
    wrong = [s['id'] for s, area in zip(listed, areas, strict=True) if s.get('area', area) != area]
    pairs = [
        (_corners(segment['bbox']), tuple(windows[position].tolist()))
        for segment, position in zip(listed, positions, strict=True)
        if segment['category_id'] in things
        and not segment['iscrowd']
        and segment.get('bbox') is not None
    ]
    return MapComparison(
        [f'{source}: areas of segments {some(wrong)} differ'] if wrong else [],
        pairs,
        {segment['id']: area for segment, area in zip(listed, areas, strict=True)},
        int(pixels[found == VOID_ID].sum()),
    )


def _corners(box_xywh: Sequence[float]) -> Box:
    x, y, w, h = box_xywh
    return x, y, x + w, y + h
