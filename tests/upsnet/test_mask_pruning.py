"""Pruning decisions by hand; random scenes are compared in test_panoptic_composition.py."""

import cv2
import numpy as np
import pytest
import torch

from mmext.upsnet.box_windows import Window
from mmext.upsnet.mask_pruning import paste_logits, prune_masks

torch.set_num_threads(1)


def prune(boxes, labels=None, scores=None, masks=None, **options):
    count = len(boxes)
    return prune_masks(
        torch.ones(count, 28, 28) if masks is None else masks,
        torch.tensor(boxes, dtype=torch.float32).reshape(count, 4),
        torch.tensor(labels or [0] * count),
        torch.tensor(scores or [0.9 - 0.01 * i for i in range(count)]),
        (20, 30),
        **options,
    ).tolist()


FIRST = [0, 0, 9, 9]  # 10 x 10 pixels


def test_exactly_the_allowed_share_is_kept_and_one_pixel_more_is_not():
    assert prune([FIRST, [7, 0, 16, 9]]) == [0, 1]  # 30 of 100 pixels
    assert prune([FIRST, [6, 0, 15, 9]]) == [0]  # 40 of 100
    assert prune([FIRST, [7, 0, 16, 9]], max_overlap_ratio=0.29) == [0]


def test_the_share_is_of_the_newcomer():
    assert prune([FIRST, [0, 0, 19, 19]]) == [0, 1]  # 100 of 400
    assert prune([[0, 0, 19, 19], FIRST]) == [0]  # 100 of 100


def test_other_classes_do_not_suppress():
    assert prune([FIRST, FIRST, FIRST], labels=[0, 1, 0]) == [0, 1]


def test_order_is_by_score():
    assert prune([FIRST, FIRST, [10, 10, 19, 19]], scores=[0.7, 0.8, 0.9]) == [2, 1]


def test_of_equal_scores_the_later_detection_comes_first():
    assert prune([FIRST, FIRST], scores=[0.7, 0.7]) == [1]
    assert prune([FIRST, FIRST], labels=[0, 1], scores=[0.7, 0.7]) == [1, 0]
    apart = [[9 * i, 0, 9 * i + 8, 8] for i in range(3)]
    assert prune(apart, scores=[0.7, 0.7, 0.7]) == [2, 1, 0]
    assert prune(apart, scores=[0.7, 0.9, 0.7]) == [1, 2, 0]


def test_equal_scores_keep_their_order_in_a_crowd():
    """Of more than 16 numbers an order that is not stable would be another."""
    crowd = [[i % 30, i // 30, i % 30, i // 30] for i in range(300)]  # a pixel each
    scores = [0.9 if i % 3 else 0.7 for i in range(300)]
    order = [i for i in reversed(range(300)) if i % 3] + list(range(297, -1, -3))
    assert prune(crowd, scores=scores) == order


def test_the_overlap_is_with_all_kept_masks_together_and_not_with_dropped_ones():
    third = [0, 7, 9, 16]  # 30 under the first
    assert prune([FIRST, [0, 6, 9, 15], third]) == [0, 2]  # the second is dropped
    assert prune([FIRST, [0, 15, 9, 19], third]) == [0, 1]  # 30 + 20 of 100


def test_a_mask_is_clipped_before_its_share_is_taken():
    # of the 10 x 20 newcomer 10 x 10 lie in the image, 30 of them on the first
    assert prune([[0, 0, 29, 2], [0, 0, 9, 9]]) == [0, 1]
    assert prune([[0, 10, 29, 12], [0, 10, 9, 29]]) == [0, 1]
    assert prune([[0, 10, 29, 13], [0, 10, 9, 29]]) == [0]


def test_empty_masks_are_dropped():
    masks = torch.stack([torch.zeros(28, 28), -torch.ones(28, 28), torch.ones(28, 28)])
    assert prune([FIRST] * 3, masks=masks) == [2]
    assert prune([[40, 0, 50, 9], [0, -9, 9, -1], [9, 9, 3, 3], [5, 5, 5.9, 5.9]]) == [3]


def test_no_detection():
    assert prune([], labels=[], scores=[]) == []


def test_patch_agrees_with_opencv():
    rng = np.random.default_rng(0)
    for _ in range(20):
        logits = rng.normal(0, 5, (28, 28)).astype(np.float32)
        height, width = (int(v) for v in rng.integers(1, 90, 2))
        window = Window(3, 3 + height, -2, width - 2)
        clip = Window(3 + height // 3, 3 + height, width // 4, width)
        clip = clip.intersect(window)
        if clip.is_empty:
            continue
        expected = clip.relative_to(window).view(
            torch.from_numpy(cv2.resize(logits, (width, height), interpolation=cv2.INTER_LINEAR))
        )
        actual = paste_logits(torch.from_numpy(logits), window, clip)
        torch.testing.assert_close(actual, expected, rtol=0, atol=2e-4)


def test_boxes_must_be_finite():
    with pytest.raises(ValueError, match='finite'):
        prune([[0, 0, float('nan'), 1]])
