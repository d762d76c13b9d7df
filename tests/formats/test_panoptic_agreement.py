"""A panoptic PNG beside its entry in the JSON."""

from typing import Any

import numpy as np
import pytest

from mmext.formats.panoptic_agreement import compare_map, segment_extents
from mmext.formats.panoptic_files import encode_id_png

IDS = np.zeros((6, 8), np.int64)
IDS[1:4, 2:7] = 70_001
IDS[4:] = 5


def entry(**changes: Any) -> list[dict[str, Any]]:
    thing = dict(id=70_001, category_id=1, iscrowd=0, area=15.0, bbox=[2, 1, 5, 3])
    stuff = dict(id=5, category_id=9, iscrowd=0, area=16.0, bbox=[0, 4, 8, 2])
    return [thing | changes, stuff]


def test_agreement() -> None:
    found = compare_map(encode_id_png(IDS), 'a.png', entry(), (8, 6), {1})
    assert found.problems == []
    assert found.pairs == [((2, 1, 7, 4), (2, 1, 7, 4))]  # the box of stuff does not count
    assert found.pixels == {70_001: 15, 5: 16}
    assert found.void == 8 * 6 - 15 - 16


@pytest.mark.parametrize(
    ('changes', 'size', 'problem'),
    [
        (dict(area=14.0), (8, 6), 'areas of segments 70001 differ'),
        (dict(id=70_002), (8, 6), 'ids without an entry in segments_info: 70001'),
        ({}, (6, 8), 'a.png: 8x6, expected 6x8'),
    ],
)
def test_what_does_not_agree(changes: dict[str, Any], size: tuple[int, int], problem: str) -> None:
    (text,) = compare_map(encode_id_png(IDS), 'a.png', entry(**changes), size, {1}).problems
    assert problem in text


def test_what_is_not_stated_is_not_compared() -> None:
    segments = entry(iscrowd=1)
    for segment in segments:
        del segment['area'], segment['bbox']
    found = compare_map(encode_id_png(IDS), 'a.png', segments, (8, 6), {1})
    assert (found.problems, found.pairs) == ([], [])
    assert compare_map(b'', 'a.png', segments, (8, 6), {1}).problems


def test_extents_against_a_loop() -> None:
    ids = np.random.default_rng(0).integers(0, 6, (9, 7))
    found, pixels, windows = segment_extents(ids)
    for segment, count, (x1, y1, x2, y2) in zip(found, pixels, windows, strict=True):
        ys, xs = np.nonzero(ids == segment)
        assert count == len(ys)
        assert (x1, y1, x2, y2) == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
