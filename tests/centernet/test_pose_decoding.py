import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from mmext.centernet.point_decoding import decode_points
from mmext.centernet.pose_decoding import (
    JointCandidates,
    average_flipped_vectors,
    joint_candidates,
    joint_permutation,
    match_joints,
    regressed_joints,
    scores_at,
)


def matched_by_loops(
    boxes: Tensor, regressed: Tensor, points: Tensor, scores: Tensor
) -> tuple[Tensor, Tensor]:
    """The released procedure for one image, joint by joint: joints [K, J, 2], snapped [K, J]."""
    joints, snapped = regressed.clone(), torch.zeros(regressed.shape[:2], dtype=torch.bool)
    for person, (left, top, right, bottom) in enumerate(boxes.tolist()):
        for j in range(regressed.shape[1]):
            rx, ry = regressed[person, j].tolist()
            best, best_distance = None, math.inf
            for m, (x, y) in enumerate(points[j].tolist()):
                if scores[j, m] < 0.1:
                    continue
                distance = math.hypot(x - rx, y - ry)
                if distance < best_distance:
                    best, best_distance = (x, y), distance
            if best is None or best_distance > 0.3 * max(right - left, bottom - top):
                continue
            if left <= best[0] <= right and top <= best[1] <= bottom:
                joints[person, j], snapped[person, j] = torch.tensor(best), True
    return joints, snapped


@pytest.mark.parametrize('seed', range(4))
def test_matching_equals_loops(seed: int) -> None:
    torch.manual_seed(seed)
    corners = 20 * torch.rand(2, 9, 2)
    boxes = torch.cat([corners, corners + 4 + 14 * torch.rand(2, 9, 2)], 2)
    regressed = 32 * torch.rand(2, 9, 4, 2)
    candidates = JointCandidates(32 * torch.rand(2, 4, 12, 2), torch.rand(2, 4, 12).pow(2))
    joints, snapped, scores = match_joints(boxes, regressed, candidates)
    assert snapped.any()
    assert not snapped.all()
    for image in range(2):
        expected, expected_snapped = matched_by_loops(
            boxes[image], regressed[image], candidates.points[image], candidates.scores[image]
        )
        assert torch.equal(joints[image], expected)
        assert torch.equal(snapped[image], expected_snapped)
    assert (scores[snapped] >= 0.1).all()


def test_no_good_candidate_keeps_the_vectors() -> None:
    boxes, regressed = torch.tensor([[[0.0, 0, 9, 9]]]), torch.full((1, 1, 2, 2), 4.0)
    candidates = JointCandidates(torch.full((1, 2, 3, 2), 4.5), torch.full((1, 2, 3), 0.09))
    joints, snapped, _ = match_joints(boxes, regressed, candidates)
    assert torch.equal(joints, regressed)
    assert not snapped.any()


def test_far_from_the_origin_distances_stay_exact() -> None:
    regressed = torch.full((1, 40, 1, 2), 4000.0)
    points = 4000 + torch.linspace(0.25, 5, 40).view(1, 1, 40, 1).expand(-1, -1, -1, 2)
    boxes = torch.tensor([3990.0, 3990, 4020, 4020]).expand(1, 40, 4)
    joints, _, _ = match_joints(boxes, regressed, JointCandidates(points, torch.ones(1, 1, 40)))
    assert torch.equal(joints, torch.full_like(joints, 4000.25))


def test_candidates_are_the_maxima_of_each_joint() -> None:
    torch.manual_seed(0)
    logits, offsets = 2 * torch.randn(2, 3, 9, 11), torch.rand(2, 2, 9, 11)
    found = joint_candidates(logits, offsets, 6)
    scores = logits.sigmoid()
    scores = scores * (max_pool2d(scores, 3, 1, 1) == scores)
    for image in range(2):
        for joint in range(3):
            values, cells = scores[image, joint].flatten().topk(6)
            assert torch.allclose(found.scores[image, joint], values)
            for m, cell in enumerate(cells.tolist()):
                y, x = divmod(cell, 11)
                expected = torch.tensor([x, y]) + offsets[image, :, y, x]
                assert torch.allclose(found.points[image, joint, m], expected)
    middles = joint_candidates(logits, None, 6).points
    assert torch.equal(middles - middles.floor(), torch.full_like(middles, 0.5))


def test_regressed_joints_start_at_the_cell_of_the_centre() -> None:
    center = torch.full((1, 1, 4, 5), -9.0)
    center[0, 0, 2, 3] = 4
    vectors = torch.zeros(1, 4, 4, 5)
    vectors[0, :, 2, 3] = torch.tensor([1.5, -2.0, 0.25, 7.0])
    found = decode_points(center, torch.ones(1, 2, 4, 5), torch.rand(1, 2, 4, 5), 1)
    assert regressed_joints(found, vectors)[0, 0].tolist() == [[4.5, 0.0], [3.25, 9.0]]


def test_scores_at() -> None:
    logits = torch.arange(24.0).view(1, 2, 3, 4) / 10
    points = torch.tensor([[[[1.9, 2.0], [0.0, 0.0]], [[-0.1, 1.0], [4.0, 0.0]]]])
    found = scores_at(logits, points)
    assert found.shape == (1, 2, 2)
    assert found[0, 0].tolist() == pytest.approx(
        [logits[0, 0, 2, 1].sigmoid().item(), logits[0, 1, 0, 0].sigmoid().item()]
    )
    assert found[0, 1].tolist() == [0, 0]


def test_vectors_of_flipped_images() -> None:
    torch.manual_seed(0)
    plain = torch.randn(1, 6, 3, 4)
    permutation = joint_permutation(3, [(0, 2)], plain.device)
    x_and_y = plain.unflatten(1, (3, 2)).flip(4)[:, [2, 1, 0]].clone()
    x_and_y[:, :, 0] *= -1
    both = torch.cat([plain, x_and_y.flatten(1, 2)])
    assert torch.allclose(average_flipped_vectors(both, permutation), plain)
