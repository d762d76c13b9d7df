"""Numbers that follow masks."""

from typing import Any

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from torch import Tensor

from mmext.errors import InputError
from mmext.yolact_edge.mask_tracker import MaskTracker, mask_iou


def objects(*places: tuple[int, int], labels: Any = None, scores: Any = None) -> InstanceData:
    """Squares of 10 px with their left upper corners at (x, y)."""
    masks = torch.zeros(len(places), 40, 60, dtype=torch.bool)
    for mask, (x, y) in zip(masks, places, strict=True):
        mask[y : y + 10, x : x + 10] = True
    return InstanceData(
        masks=masks,
        labels=torch.tensor(labels or [0] * len(places), dtype=torch.int64),
        scores=torch.tensor(scores or [0.9] * len(places)),
    )


def at(frame: int, video: str = 'a') -> dict[str, Any]:
    return dict(video_id=video, frame_id=frame)


def test_objects_keep_their_numbers() -> None:
    """In any order; what is new gets a new one, what was away for a while its own."""
    tracker = MaskTracker(max_age=3)
    first = tracker.track(objects((0, 0), (30, 20)), at(0))
    assert first.tolist() == [1, 2]
    assert tracker.track(objects((32, 21), (2, 1), (15, 25)), at(1)).tolist() == [2, 1, 3]
    assert tracker.track(objects((2, 1)), at(2)).tolist() == [1]
    assert tracker.track(objects((33, 22)), at(3)).tolist() == [2]
    for frame in range(4, 8):
        tracker.track(objects(), at(frame))
    assert tracker.track(objects((33, 22)), at(8)).tolist() == [4]


def test_classes_overlap_and_videos_part_objects() -> None:
    tracker = MaskTracker()
    tracker.track(objects((0, 0), (30, 0)), at(0))
    assert tracker.track(objects((0, 0), (38, 0), labels=[1, 0]), at(1)).tolist() == [3, 4]
    assert tracker.track(objects((0, 0)), at(0, 'b')).tolist() == [1]
    assert tracker.track(objects((0, 0)), {}).tolist() == [1]  # a picture


def test_the_assignment_is_the_best_in_all() -> None:
    """Greedy would give the middle one to the first, and the first a new number."""
    tracker = MaskTracker(min_iou=0.1)
    tracker.track(objects((10, 0), (16, 0)), at(0))
    assert tracker.track(objects((13, 0), (19, 0)), at(1)).tolist() == [1, 2]


def test_doubtful_objects_are_not_remembered() -> None:
    tracker = MaskTracker(score_thr=0.5)
    tracker.track(objects((0, 0), scores=[0.4]), at(0))
    assert tracker.track(objects((0, 0), scores=[0.4]), at(1)).tolist() == [2]
    assert tracker.track(objects((0, 0)), at(2)).tolist() == [3]
    assert tracker.track(objects((0, 0)), at(3)).tolist() == [3]


def test_overlap_against_a_loop() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((4, 9, 7)) > 0.6, rng.random((3, 9, 7)) > 0.3
    a[0] = False
    wanted = [[(x & y).sum() / max((x | y).sum(), 1) for y in b] for x in a]
    found: Tensor = mask_iou(torch.from_numpy(a), torch.from_numpy(b))
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-6)
    assert mask_iou(torch.zeros(0, 2, 2), torch.zeros(3, 2, 2)).shape == (0, 3)


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(InputError, match='min_iou'):
        MaskTracker(min_iou=0)
