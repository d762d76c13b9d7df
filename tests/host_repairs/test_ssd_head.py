"""SSD's head predicts, whatever its subclasses set."""

import inspect

import pytest
import torch
from mmdet.models import SSDHead
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from torch import nn

from mmext.host import import_mmdet

ANCHORS = dict(
    type='SSDAnchorGenerator',
    scale_major=False,
    input_size=300,
    basesize_ratio_range=(0.15, 0.9),
    strides=[8, 16, 32, 64, 100, 300],
    ratios=[[2], [2], [2], [2], [2], [2]],
)
TEST = ConfigDict(
    nms_pre=100, nms=dict(type='nms', iou_threshold=0.45), score_thr=0.02, max_per_img=200
)


@pytest.fixture(autouse=True)
def repaired() -> None:
    import_mmdet()


def test_predicts() -> None:
    """One cell is sure of class 1; its box is the anchor."""
    head = MODELS.build(
        dict(type='SSDHead', num_classes=2, in_channels=(1,) * 6, anchor_generator=ANCHORS)
    )
    sides = [38, 19, 10, 5, 3, 1]
    scores = [torch.zeros(1, 4 * 3, n, n) for n in sides]
    for level in scores:
        level[:, 2::3] = 9.0  # background
    scores[1][0, 0 * 3 + 1, 9, 9] = 18.0
    boxes = [torch.zeros(1, 4 * 4, n, n) for n in sides]
    meta = dict(img_shape=(300, 300), ori_shape=(300, 300), scale_factor=(1.0, 1.0))
    (found,) = head.predict_by_feat(scores, boxes, batch_img_metas=[meta], cfg=TEST)
    assert found.labels.tolist() == [1]
    center = (found.bboxes[0, :2] + found.bboxes[0, 2:]) / 2
    torch.testing.assert_close(center, torch.tensor([152.0, 152.0]))


def test_the_loss_of_a_subclass_is_kept() -> None:
    class Own(SSDHead):
        def __init__(self) -> None:
            super().__init__(num_classes=2, in_channels=(1,) * 6, anchor_generator=ANCHORS)
            self.loss_cls = nn.CrossEntropyLoss()

    head = Own()
    assert isinstance(head.loss_cls, nn.CrossEntropyLoss)
    assert 'loss_cls' in dict(head.named_children())


def test_the_fault_is_that_of_the_host() -> None:
    """If this fails the host has mended it, and the repair can go."""
    head = SSDHead.__new__(SSDHead)
    inspect.unwrap(SSDHead.__init__)(
        head, num_classes=2, in_channels=(1,) * 6, anchor_generator=ANCHORS
    )
    assert not hasattr(head, 'loss_cls')
