"""Ids as colours: by hand, there and back, and what is refused."""

import numpy as np
import pytest

from mmext.formats.panoptic_ids import id_to_rgb, rgb_to_id


def test_by_hand() -> None:
    rgb = np.array([[[0, 0, 0], [255, 0, 0], [0, 1, 0], [0, 0, 1], [255, 255, 255]]], np.uint8)
    ids = rgb_to_id(rgb)
    assert ids.dtype == np.int32
    assert ids.tolist() == [[0, 255, 256, 65536, 2**24 - 1]]


@pytest.mark.parametrize('dtype', [np.int32, np.int64, np.uint32])
def test_round_trip(dtype: type) -> None:
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 1 << 24, (37, 21)).astype(dtype)
    before = ids.copy()
    rgb = id_to_rgb(ids)
    assert rgb.shape == (37, 21, 3) and rgb.dtype == np.uint8
    np.testing.assert_array_equal(rgb_to_id(rgb), ids)
    np.testing.assert_array_equal(rgb_to_id(rgb[::-1, ::2]), ids[::-1, ::2])  # not contiguous
    np.testing.assert_array_equal(ids, before)


def test_empty() -> None:
    assert rgb_to_id(np.zeros((0, 5, 3), np.uint8)).shape == (0, 5)
    assert id_to_rgb(np.zeros((5, 0), np.int64)).shape == (5, 0, 3)


def test_refused() -> None:
    with pytest.raises(ValueError, match=r'uint8 \[H, W, 3\]'):
        rgb_to_id(np.zeros((4, 4, 4), np.uint8))
    with pytest.raises(ValueError, match='-1'):
        id_to_rgb(np.array([[-1]]))
    with pytest.raises(ValueError, match='16777216'):
        id_to_rgb(np.array([[1 << 24]]))
    with pytest.raises(ValueError, match='float64'):
        id_to_rgb(np.zeros((2, 2)))
