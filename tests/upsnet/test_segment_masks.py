"""Masks kept as one map: what comes out is what mmdet's stack of masks gives."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.structures.mask import BitmapMasks

from mmext.upsnet.transforms import SegmentMasks

SHAPE = (37, 52)


def pair(seed: int, count: int) -> tuple[SegmentMasks, BitmapMasks]:
    """Blocks over one another, some of them hidden, in shuffled order."""
    rng = np.random.default_rng(seed)
    numbers = np.zeros(SHAPE, np.uint8 if count < 256 else np.uint16)
    for number in range(1, count + 1):
        y, x = rng.integers(0, SHAPE)
        h, w = rng.integers(1, 25, 2)
        numbers[y : y + h, x : x + w] = number
    wanted = rng.permutation(np.arange(1, count + 1, dtype=numbers.dtype))
    masks = np.stack([numbers == i for i in wanted]) if count else np.zeros((0, *SHAPE))
    return SegmentMasks(numbers, wanted), BitmapMasks(masks.astype(np.uint8), *SHAPE)


Change = Callable[[BitmapMasks], Any]
CHANGES: dict[str, Change] = {
    'rescale': lambda m: m.rescale((100, 61)),
    'rescale, smaller': lambda m: m.rescale(0.37),
    'rescale, bilinear': lambda m: m.rescale(1.7, 'bilinear'),
    'resize': lambda m: m.resize((90, 33)),
    'resize, bilinear': lambda m: m.resize((90, 33), 'bilinear'),
    'flip': lambda m: m.flip(),
    'flip, vertical': lambda m: m.flip('vertical'),
    'flip, diagonal': lambda m: m.flip('diagonal'),
    'pad': lambda m: m.pad((64, 80)),
    'pad with 1': lambda m: m.pad((64, 80), pad_val=1),
    'crop': lambda m: m.crop(np.array([5, 3, 33, 60])),
    'expand': lambda m: m.expand(60, 70, 5, 7),
    'translate': lambda m: m.translate((37, 52), 6),
    'every second': lambda m: m[np.arange(0, len(m), 2)],
    'by truth': lambda m: m[np.arange(len(m)) % 3 == 1],
    'none': lambda m: m[np.zeros(0, int)],
    'a slice': lambda m: m[1:3],
    'chained': lambda m: m.rescale((80, 60)).flip()[: len(m) // 2].pad((64, 96)).crop(
        np.array([1, 2, 50, 40])
    ),
    'pickled': lambda m: pickle.loads(pickle.dumps(m.flip())),
    'copied': lambda m: copy.deepcopy(m),
}  # fmt: skip


@pytest.mark.parametrize('count', [0, 1, 7, 300])
@pytest.mark.parametrize('change', CHANGES.values(), ids=CHANGES)
def test_equals_a_stack_of_masks(change: Change, count: int) -> None:
    ours, theirs = (change(masks) for masks in pair(count, count))
    assert (len(ours), ours.height, ours.width) == (len(theirs), theirs.height, theirs.width)
    assert ours.masks.dtype == theirs.masks.dtype or not len(theirs)
    np.testing.assert_array_equal(ours.masks, theirs.masks)


@pytest.mark.parametrize('count', [1, 7])
def test_equals_a_stack_for_who_reads_it(count: int) -> None:
    ours, theirs = pair(3, count)
    boxes = np.array([[2, 3, 20, 22], [0, 0, 52, 37]], np.float32)
    inds = np.array([0, count - 1])
    crops = [m.crop_and_resize(boxes, (14, 14), inds).masks for m in (ours, theirs)]
    np.testing.assert_array_equal(*crops)
    np.testing.assert_array_equal(ours.areas, theirs.areas)
    np.testing.assert_array_equal(ours.to_ndarray(), theirs.to_ndarray())
    assert torch.equal(ours.to_tensor(torch.bool, 'cpu'), theirs.to_tensor(torch.bool, 'cpu'))
    assert torch.equal(ours.get_bboxes('hbox').tensor, theirs.get_bboxes('hbox').tensor)
    np.testing.assert_array_equal(BitmapMasks.cat([ours, theirs]).masks[:count], theirs.masks)
    assert [mask.sum() for mask in ours] == [mask.sum() for mask in theirs]
    assert repr(ours) == repr(theirs).replace('BitmapMasks', 'SegmentMasks')


def test_a_single_mask_is_a_stack_of_one() -> None:
    ours, theirs = (masks[2] for masks in pair(5, 4))
    np.testing.assert_array_equal(ours.masks, theirs.masks)


def test_what_is_written_into_the_pixels_stays() -> None:
    ours, theirs = pair(1, 5)
    for masks in (ours, theirs):
        masks.masks[2, 5:9] = 1
        masks.masks[0] = 0
    np.testing.assert_array_equal(ours.flip().masks, theirs.flip().masks)
    ours.masks = theirs.masks[:2]
    assert len(ours) == 2
    np.testing.assert_array_equal(ours.rescale(2.0).masks, theirs[:2].rescale(2.0).masks)


def test_the_map_of_others_is_left_alone() -> None:
    ours, theirs = pair(2, 5)
    flipped = ours.flip()
    flipped.masks[:] = 1
    ours[:2].masks[:] = 1
    np.testing.assert_array_equal(ours.masks, theirs.masks)
