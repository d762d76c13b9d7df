import math

import pytest
import torch
from torch import Tensor

from mmext.centernet.point_targets import mean_absolute_error, point_targets, values_at


def targets_by_loops(
    boxes: list[Tensor], labels: list[Tensor], classes: int, shape: tuple[int, int]
) -> dict[str, list]:
    """Zhou et al. 2019, section 3, object by object; images of four times the map."""
    height, width = shape
    heat = torch.zeros(len(boxes), classes, height, width, dtype=torch.float64)
    rows = []
    for image, (image_boxes, image_labels) in enumerate(zip(boxes, labels, strict=True)):
        for box, label in zip(image_boxes.tolist(), image_labels.tolist(), strict=True):
            x1, x2 = (min(max(v / 4, 0), width) for v in box[0::2])
            y1, y2 = (min(max(v / 4, 0), height) for v in box[1::2])
            w, h = x2 - x1, y2 - y1
            if w <= 0 or h <= 0:
                continue
            x, y = (x1 + x2) / 2, (y1 + y2) / 2
            cx, cy = int(x), int(y)
            rows.append((image, cx, cy, w, h, x - cx, y - cy))
            radius = radius_of(math.ceil(h), math.ceil(w))
            sigma = (2 * radius + 1) / 6
            for yy in range(max(0, cy - radius), min(height, cy + radius + 1)):
                for xx in range(max(0, cx - radius), min(width, cx + radius + 1)):
                    value = math.exp(-((xx - cx) ** 2 + (yy - cy) ** 2) / (2 * sigma**2))
                    heat[image, label, yy, xx] = max(heat[image, label, yy, xx], value)
    return dict(heatmap=heat, rows=rows)


def radius_of(h: int, w: int, o: float = 0.7) -> int:
    r1 = (h + w + math.sqrt((h + w) ** 2 - 4 * w * h * (1 - o) / (1 + o))) / 2
    r2 = (2 * (h + w) + math.sqrt(4 * (h + w) ** 2 - 16 * (1 - o) * w * h)) / 2
    b3 = -2 * o * (h + w)
    r3 = (b3 + math.sqrt(b3**2 - 16 * o * (o - 1) * w * h)) / 2
    return max(0, int(min(r1, r2, r3)))


def scene(seed: int, counts: tuple[int, ...] = (7, 0, 3)) -> tuple[list[Tensor], list[Tensor]]:
    """Boxes in a 96 x 128 image, some over the border, some outside, some without area."""
    torch.manual_seed(seed)
    boxes, labels = [], []
    for n in counts:
        corners = torch.rand(n, 2) * torch.tensor([150.0, 110.0]) - 15
        boxes.append(torch.cat([corners, corners + 60 * torch.rand(n, 2)], 1))
        boxes[-1][:1, 2:] = boxes[-1][:1, :2]
        labels.append(torch.randint(0, 4, (n,)))
    return boxes, labels


@pytest.mark.parametrize('seed', range(4))
def test_equals_loops(seed: int) -> None:
    boxes, labels = scene(seed)
    before = [b.clone() for b in boxes]
    targets = point_targets(boxes, labels, 4, (24, 32), (96, 128))
    expected = targets_by_loops(boxes, labels, 4, (24, 32))
    heatmap = targets.heatmap.to_dense()
    assert torch.allclose(heatmap.double(), expected['heatmap'], atol=2e-7)
    assert torch.equal(heatmap == 1, expected['heatmap'] == 1)
    learned = targets.weights > 0
    found = torch.cat(
        [targets.image_index[:, None], targets.centers, targets.sizes, targets.offsets], 1
    )[learned]
    assert torch.allclose(found, torch.tensor(expected['rows']).view(-1, 7), atol=1e-5)
    assert all(map(torch.equal, boxes, before))


def test_two_objects_of_one_class_in_one_cell_both_have_targets() -> None:
    boxes = [torch.tensor([[10.0, 10.0, 20.0, 20.0], [5.0, 8.0, 25.0, 24.0]])]
    targets = point_targets(boxes, [torch.zeros(2).long()], 1, (24, 32), (96, 128))
    assert targets.centers.tolist() == [[3, 3], [3, 4]]
    boxes[0][1] += torch.tensor([0.0, -2.0, 0.0, -2.0])
    targets = point_targets(boxes, [torch.zeros(2).long()], 1, (24, 32), (96, 128))
    assert targets.centers.tolist() == [[3, 3], [3, 3]]
    assert targets.sizes.tolist() == [[2.5, 2.5], [5.0, 4.0]]
    assert targets.weights.tolist() == [1, 1]
    assert (targets.heatmap.values == 1).sum() == 1


def test_box_on_the_right_border() -> None:
    box = torch.tensor([[127.5, 95.9, 140.0, 100.0]])
    targets = point_targets([box], [torch.zeros(1).long()], 1, (24, 32), (96, 128))
    assert targets.centers.tolist() == [[31, 23]]
    assert targets.heatmap.to_dense()[0, 0, 23, 31] == 1


@pytest.mark.parametrize('counts', [(0,), (0, 0)])
def test_no_objects(counts: tuple[int, ...]) -> None:
    boxes, labels = scene(0, counts)
    targets = point_targets(boxes, labels, 4, (24, 32), (96, 128))
    assert targets.heatmap.shape == (len(counts), 4, 24, 32)
    assert not targets.heatmap.to_dense().any()
    assert targets.sizes.shape == (0, 2)


def test_arguments() -> None:
    box, label = torch.tensor([[0.0, 0.0, 9.0, 9.0]]), torch.tensor([4])
    with pytest.raises(ValueError, match='expected at least one image'):
        point_targets([], [], 4, (24, 32), (96, 128))
    with pytest.raises(ValueError, match='labels: expected 1 as boxes, got 2'):
        point_targets([box], [torch.zeros(2).long()], 4, (24, 32), (96, 128))
    with pytest.raises(ValueError, match=r'labels: expected 0\.\.3, got 4'):
        point_targets([box], [label], 4, (24, 32), (96, 128))


def test_values_at() -> None:
    maps = torch.arange(2 * 3 * 4 * 5).view(2, 3, 4, 5)
    images, centers = torch.tensor([1, 0, 1]), torch.tensor([[4, 0], [2, 3], [4, 0]])
    expected = [maps[1, :, 0, 4], maps[0, :, 3, 2], maps[1, :, 0, 4]]
    assert torch.equal(values_at(maps, images, centers), torch.stack(expected))


def test_mean_absolute_error() -> None:
    predicted = torch.tensor([[1.0, 2.0], [5.0, 5.0], [0.0, 1.0]], requires_grad=True)
    targets = torch.tensor([[0.0, 4.0], [9.0, 9.0], [0.0, 0.0]])
    error = mean_absolute_error(predicted, targets, torch.tensor([1.0, 0.0, 1.0]))
    assert error.item() == pytest.approx((1 + 2 + 0 + 1) / (4 + 1e-4))
    nothing = mean_absolute_error(predicted, targets, torch.zeros(3))
    nothing.backward()
    assert nothing.item() == 0
    assert not predicted.grad.any()
