"""Semantic map and masks of a panoptic map, against one comparison per segment."""

import numpy as np
import pytest

from mmext.upsnet.annotation_maps import expand_masks, split_panoptic_map


def random_map(seed: int, count: int, shape: tuple[int, int]) -> tuple[np.ndarray, list[int]]:
    rng = np.random.default_rng(seed)
    ids = np.zeros(shape, dtype=np.int32)
    for colour in rng.choice(1 << 24, count, replace=False) + 1:
        y, x = rng.integers(0, shape)
        h, w = rng.integers(1, shape[0]), rng.integers(1, shape[1])
        ids[y : y + h, x : x + w] = colour
    return ids, [int(i) for i in np.unique(ids) if i]


@pytest.mark.parametrize('seed', range(30))
def test_against_comparisons(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ids, segments = random_map(seed, 12, (17, 23))
    rng.shuffle(segments)
    labels = rng.integers(0, 255, len(segments)).tolist()
    instances = segments[::2][::-1]
    before = ids.copy()
    seg_map, numbers, windows = split_panoptic_map(ids, segments, labels, instances, 'map')
    masks = expand_masks(numbers, np.arange(1, len(instances) + 1))
    expected = np.full(ids.shape, 255)
    for segment, label in zip(segments, labels, strict=True):
        expected = np.where(ids == segment, label, expected)
    assert seg_map.dtype == numbers.dtype == masks.dtype == np.uint8
    np.testing.assert_array_equal(seg_map, expected)
    np.testing.assert_array_equal(masks, [ids == i for i in instances])
    for i, window in zip(instances, windows.tolist(), strict=True):
        ys, xs = np.nonzero(ids == i)
        assert window == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
    np.testing.assert_array_equal(ids, before)


def test_more_segments_than_a_byte_counts() -> None:
    ids = np.arange(1, 601, dtype=np.int32).reshape(20, 30) * 1000
    segments = ids.ravel().tolist()
    labels = [i % 200 for i in range(600)]
    seg_map, numbers, _ = split_panoptic_map(ids, segments, labels, segments, '')
    assert seg_map.ravel().tolist() == labels
    assert numbers.dtype == np.uint16 and numbers.ravel().tolist() == list(range(1, 601))
    masks = expand_masks(numbers, np.arange(1, 601, dtype=np.uint16))
    assert masks.reshape(600, 600).tolist() == np.eye(600).tolist()


def test_nothing_but_void() -> None:
    seg_map, numbers, windows = split_panoptic_map(np.zeros((3, 4), np.int32), [], [], [], 'map')
    assert (seg_map == 255).all() and not numbers.any()
    assert expand_masks(numbers, np.arange(0)).shape == (0, 3, 4)
    assert windows.shape == (0, 4)


@pytest.mark.parametrize('count', [254, 255, 256])
def test_numbers_fit_their_type(count: int) -> None:
    ids = np.arange(1, count + 1)[None]
    segments = ids[0].tolist()
    _, numbers, _ = split_panoptic_map(ids, segments, [0] * count, segments, 'map')
    assert numbers[0].tolist() == segments


def test_other_segments_than_listed() -> None:
    with pytest.raises(ValueError, match='map: ids without an entry in segments_info: 5'):
        split_panoptic_map(np.array([[5, 6]]), [6], [0], [], 'map')
    with pytest.raises(ValueError, match='map: segments of segments_info without a pixel: 7'):
        split_panoptic_map(np.array([[5, 6]]), [6, 5, 7], [0, 0, 0], [], 'map')
