"""The released code counts a width as ``x2 - x1 + 1``; the host's arithmetic gives its boxes."""

from pathlib import Path

import pytest
import torch
from mmcv.ops import nms
from mmengine.config import Config
from torch import Tensor

from mmext.registry import TASK_UTILS

CONFIG = Path(__file__).parents[2] / 'configs/upsnet/upsnet_r50_coco_released.py'
LAST_PIXEL = torch.tensor([0.0, 0, 1, 1])  # from the last pixel of a box to its far edge


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope='module')
def model() -> Config:
    """The config of a released model."""
    return Config.fromfile(CONFIG).model


def random_boxes(count: int, size: float) -> Tensor:
    """Ends that name the last pixel."""
    starts, sides = torch.rand(count, 2) * size, torch.rand(count, 2) * size / 3
    return torch.cat((starts, starts + sides), 1)


def released_decode(boxes: Tensor, deltas: Tensor, height: int, width: int) -> list[list[float]]:
    """Box by box, ends inclusive, weights (10, 10, 5, 5)."""
    decoded = []
    for (x1, y1, x2, y2), (dx, dy, dw, dh) in zip(boxes.tolist(), deltas.tolist(), strict=True):
        w, h = x2 - x1 + 1, y2 - y1 + 1
        x, y = x1 + w / 2 + dx / 10 * w, y1 + h / 2 + dy / 10 * h
        half_w, half_h = torch.tensor([dw / 5, dh / 5]).exp().mul(torch.tensor([w, h]) / 2).tolist()
        box = (x - half_w, y - half_h, x + half_w - 1, y + half_h - 1)
        limits = (width - 1, height - 1, width - 1, height - 1)
        decoded.append([min(max(v, 0), limit) for v, limit in zip(box, limits, strict=True)])
    return decoded


def test_decoded_boxes_are_those_of_the_release(model: Config) -> None:
    boxes, deltas = random_boxes(300, 60), 4 * torch.randn(300, 4)
    coder = TASK_UTILS.build(model.roi_head.bbox_head.bbox_coder)
    ours = coder.decode(boxes + LAST_PIXEL, deltas, max_shape=(60, 64))
    theirs = torch.tensor(released_decode(boxes, deltas, 60, 64))
    inside = (theirs[:, 0] < 63) & (theirs[:, 1] < 59)  # else no pixel is left
    assert inside.sum() > 150 and (theirs[:, 2] == 63).sum() > 10
    torch.testing.assert_close(ours[inside], (theirs + LAST_PIXEL)[inside], rtol=0, atol=1e-4)


def test_suppression_is_that_of_the_release(model: Config) -> None:
    boxes, scores = random_boxes(300, 20), torch.rand(300)
    threshold = model.test_cfg.panoptic.nms.iou_threshold
    _, ours = nms(boxes + LAST_PIXEL, scores, threshold)
    left, kept = scores.argsort(descending=True).tolist(), []
    while left:
        kept.append(left.pop(0))
        left = [i for i in left if overlap(boxes[kept[-1]], boxes[i]) <= threshold]
    assert len(kept) < 250 and ours.tolist() == kept


def overlap(a: Tensor, b: Tensor) -> float:
    """Of boxes that include their ends."""
    common = (torch.minimum(a[2:], b[2:]) - torch.maximum(a[:2], b[:2]) + 1).clamp(min=0).prod()
    areas = [(box[2:] - box[:2] + 1).prod() for box in (a, b)]
    return float(common / (areas[0] + areas[1] - common))
