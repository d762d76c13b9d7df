import math

import pytest
import torch

from mmext.centernet.point_targets import point_targets
from mmext.centernet.pose_targets import pose_targets

MAP, IMAGE, JOINTS = (24, 32), (96, 128), 3


def scene(seed: int, counts: tuple[int, ...]) -> tuple[list, list, list, list]:
    torch.manual_seed(seed)
    boxes, labels, joints, visible = [], [], [], []
    for n in counts:
        corners = torch.rand(n, 2) * torch.tensor([110.0, 80.0]) - 10
        boxes.append(torch.cat([corners, corners + 8 + 50 * torch.rand(n, 2)], 1))
        labels.append(torch.zeros(n).long())
        joints.append(torch.rand(n, JOINTS, 2) * torch.tensor([150.0, 120.0]) - 12)
        visible.append(torch.randint(0, 3, (n, JOINTS)).float())
    if counts[0]:
        visible[0][0] = 0
    return boxes, labels, joints, visible


@pytest.mark.parametrize('seed', range(3))
def test_equals_loops(seed: int) -> None:
    boxes, labels, joints, visible = scene(seed, (5, 0, 4))
    objects = point_targets(boxes, labels, 1, MAP, IMAGE)
    targets = pose_targets(objects, joints, visible, IMAGE)
    heat = torch.zeros(3, JOINTS, *MAP, dtype=torch.float64)
    row = 0
    for image in range(3):
        for n in range(len(boxes[image])):
            cx, cy = objects.centers[row].tolist()
            radius = int(objects.radii[row])
            sigma = (2 * radius + 1) / 6
            for j in range(JOINTS):
                x, y = (v / 4 for v in joints[image][n, j].tolist())
                learned = (
                    visible[image][n, j] > 0
                    and 0 <= x < 32
                    and 0 <= y < 24
                    and float(objects.weights[row]) > 0
                )
                assert bool(targets.joint_weights[row, j]) == learned
                if not learned:
                    continue
                vector, offset = targets.joint_vectors[row, j], targets.joint_offsets[row, j]
                assert vector.tolist() == pytest.approx([x - cx, y - cy], abs=1e-4)
                assert offset.tolist() == pytest.approx([x - int(x), y - int(y)], abs=1e-4)
                assert targets.joint_cells[row, j].tolist() == [int(x), int(y)]
                for yy in range(max(0, int(y) - radius), min(24, int(y) + radius + 1)):
                    for xx in range(max(0, int(x) - radius), min(32, int(x) + radius + 1)):
                        d = (xx - int(x)) ** 2 + (yy - int(y)) ** 2
                        value = math.exp(-d / (2 * sigma**2))
                        heat[image, j, yy, xx] = max(heat[image, j, yy, xx], value)
            has_joints = bool((visible[image][n] > 0).any())
            assert float(targets.objects.weights[row]) == float(objects.weights[row]) * has_joints
            row += 1
    assert torch.allclose(targets.joint_heatmap.to_dense().double(), heat, atol=2e-7)


@pytest.mark.parametrize('counts', [(0,), (0, 0)])
def test_no_objects(counts: tuple[int, ...]) -> None:
    boxes, labels, joints, visible = scene(0, counts)
    targets = pose_targets(point_targets(boxes, labels, 1, MAP, IMAGE), joints, visible, IMAGE)
    assert targets.joint_vectors.shape == (0, JOINTS, 2)
    assert not targets.joint_heatmap.to_dense().any()
    assert targets.joint_heatmap.shape == (len(counts), JOINTS, *MAP)


def test_wrong_shapes() -> None:
    boxes, labels, joints, visible = scene(0, (2,))
    objects = point_targets(boxes, labels, 1, MAP, IMAGE)
    with pytest.raises(ValueError, match=r'keypoints: expected \[2, J, 2\].* got \[1, 3, 2\]'):
        pose_targets(objects, [joints[0][:1]], visible, IMAGE)
