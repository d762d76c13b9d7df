"""Batched soft-NMS against the published procedure, box by box."""

import math

import numpy as np
import pytest
import torch
from mmcv.ops import batched_nms

from mmext.functional.soft_nms import soft_nms


def random_scene(seed: int, count: int = 40, classes: int = 3):
    """Boxes [count, 4] in clusters, distinct scores, labels."""
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, 4, (count, 2)) * 20 + rng.uniform(0, 6, (count, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(5, 30, (count, 2))], 1)
    scores = rng.permutation(np.linspace(0.002, 0.95, count))
    return boxes, scores, rng.integers(0, classes, count)


def oracle(boxes, scores, labels, sigma, min_score, extent, weights=None, exponent=0.0):
    """Soft-NMS of each class alone, then all classes by score."""
    kept = []
    for label in set(labels.tolist()):
        rest = [[*boxes[i], scores[i], i] for i in np.flatnonzero(labels == label)]
        while rest:
            rest.sort(key=lambda row: -row[4])
            best, others = rest[0], []
            sums = np.zeros((2, 2))
            totals = np.zeros(2)
            for row in rest:
                share, stays = 1.0, row is not best
                if row is not best:
                    iou = plain_iou(best, row, extent)
                    decay = math.exp(-iou * iou / sigma)
                    share = (1 - decay) ** exponent
                    row[4] *= decay
                    stays = iou == 0 or row[4] >= min_score
                if stays:
                    others.append(row)
                if weights is not None:
                    for corner in range(2):
                        weight = share * weights[row[5]][corner]
                        sums[corner] += weight * np.array(row[2 * corner : 2 * corner + 2])
                        totals[corner] += weight
            box = best[:4] if weights is None else (sums / totals[:, None]).ravel()
            kept.append((best[4], int(best[5]), list(box)))
            rest = others
    return sorted(kept, key=lambda row: -row[0])


def plain_iou(a, b, extent):
    width = min(a[2], b[2]) - max(a[0], b[0]) + extent
    height = min(a[3], b[3]) - max(a[1], b[1]) + extent
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(c[2] - c[0] + extent) * (c[3] - c[1] + extent) for c in (a, b)]
    return width * height / (sum(areas) - width * height)


@pytest.mark.parametrize('extent', [0.0, 1.0])
@pytest.mark.parametrize('merge', [False, True])
def test_a_batch_equals_the_procedure_of_each_image(extent: float, merge: bool) -> None:
    scenes = [random_scene(seed) for seed in range(6)]
    weights = np.random.default_rng(9).uniform(0.1, 1, (6, 40, 2))
    boxes, scores, labels = (torch.tensor(np.stack(part)) for part in zip(*scenes, strict=True))
    inputs = [t.clone() for t in (boxes, scores, labels)]
    kept = soft_nms(
        boxes,
        scores,
        labels,
        0,
        sigma=0.5,
        min_score=0.2,
        extent_px=extent,
        corner_weights=torch.tensor(weights) if merge else None,
        merge_exponent=3.0,
    )
    for number, scene in enumerate(scenes):
        expected = oracle(*scene, 0.5, 0.2, extent, weights[number] if merge else None, 3.0)
        there = kept.scores[number] > -math.inf
        assert 10 < there.sum() == len(expected) < 40  # some decay below
        assert kept.indices[number][there].tolist() == [index for _, index, _ in expected]
        for field, column in ((kept.scores, 0), (kept.boxes, 2)):
            torch.testing.assert_close(
                field[number][there], torch.tensor([row[column] for row in expected]).double()
            )
    assert all(torch.equal(a, b) for a, b in zip(inputs, (boxes, scores, labels), strict=True))


def test_the_best_few_are_the_first_of_all() -> None:
    boxes, scores, labels = (torch.tensor(part)[None] for part in random_scene(3))
    everything = soft_nms(boxes, scores, labels, -1)
    few = soft_nms(boxes, scores, labels, 7)
    assert few.scores.shape == (1, 7)
    for part, whole in zip(few, everything, strict=True):
        assert torch.equal(part, whole[:, :7])


def test_mmcv_keeps_the_same() -> None:
    boxes, scores, labels = (torch.tensor(part) for part in random_scene(5))
    settings = dict(type='soft_nms', method='gaussian', sigma=0.5, iou_threshold=0.5, offset=1)
    settings['min_score'] = 0.001
    dets, keep = batched_nms(boxes.float(), scores.float(), labels, settings)
    kept = soft_nms(boxes[None].float(), scores[None].float(), labels[None], 0, extent_px=1.0)
    count = int((kept.scores > -math.inf).sum())
    assert kept.indices[0, :count].tolist() == keep.tolist()
    # mmcv moves the classes apart in float32: its overlaps are a little off
    torch.testing.assert_close(kept.scores[0, :count], dets[:, 4], atol=1e-5, rtol=1e-4)


def test_boxes_that_do_not_count() -> None:
    boxes, scores, labels = (torch.tensor(part)[None] for part in random_scene(1, count=5))
    scores[0, [0, 3]] = -math.inf
    kept = soft_nms(boxes, scores, labels, 100)
    assert set(kept.indices[0].tolist()) == {1, 2, 4}
    nothing = soft_nms(boxes, torch.full_like(scores, -math.inf), labels, 100)
    assert [part.shape[1] for part in nothing] == [0, 0, 0]
    empty = soft_nms(torch.zeros(2, 0, 4), torch.zeros(2, 0), torch.zeros(2, 0).long(), 10)
    assert empty.scores.shape == (2, 0)


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r'boxes, scores, labels: .* \[1, 2, 4\], \[1, 3\]'):
        soft_nms(torch.zeros(1, 2, 4), torch.zeros(1, 3), torch.zeros(1, 3).long(), 1)
