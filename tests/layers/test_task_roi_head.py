"""Which regions the tasks of a two-stage detector are trained on."""

from typing import Any

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmext.configuration import load_config
from mmext.errors import InputError
from mmext.functional.boxes import pairwise_iou
from mmext.layers.task_roi_head import boxes_around
from mmext.registry import MODELS


@MODELS.register_module(force=True)
class ListeningTask(nn.Module):
    """Remembers what it is trained on."""

    seen: list[tuple[Tensor, Tensor]]

    def loss(self, features: Any, sampled: Any, batch_gt: Any) -> dict[str, Tensor]:
        self.seen = [(own.pos_priors, own.pos_assigned_gt_inds) for own in sampled]
        return dict(loss_heard=features[0].sum() * 0)


def head_with(**options: Any) -> Any:
    init_default_scope('mmdet')
    model = load_config('mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py').model
    head = model.roi_head
    head.bbox_roi_extractor.out_channels = 8
    head.bbox_head.update(in_channels=8, num_classes=1, fc_out_channels=16)
    head.update(
        type='mmext.TaskRoIHead',
        tasks=dict(heard=dict(type='mmext.ListeningTask')),
        train_cfg=model.train_cfg.rcnn,
        test_cfg=model.test_cfg.rcnn,
        **options,
    )
    return MODELS.build(ConfigDict(head))


def heard_of(head: Any, gt: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """What the task gets where the only proposals lie far from all objects."""
    samples = []
    for boxes in gt:
        sample = DetDataSample(metainfo=dict(img_shape=(128, 128)))
        sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.zeros(len(boxes)).long())
        samples.append(sample)
    far = torch.tensor([[100.0, 100, 110, 110]])
    proposals = [InstanceData(bboxes=far, labels=torch.zeros(1).long()) for _ in gt]
    features = [torch.zeros(len(gt), 8, 32 // 2**i, 32 // 2**i) for i in range(5)]
    losses = head.loss(features, proposals, samples)
    assert {'loss_cls', 'loss_bbox', 'loss_heard'} <= losses.keys()
    heard: list[tuple[Tensor, Tensor]] = head.tasks['heard'].seen
    return heard


def test_every_object_has_its_regions() -> None:
    torch.manual_seed(0)
    gt = [torch.tensor([[10.0, 10, 50, 90], [40, 20, 70, 60]]), torch.zeros(0, 4)]
    head = head_with(regions_per_object=3)
    (boxes, index), (none, _) = heard_of(head, gt)
    assert index.tolist() == [0, 0, 0, 1, 1, 1]
    assert none.shape == (0, 4)
    overlap = pairwise_iou(boxes, gt[0]).gather(1, index[:, None])
    assert ((overlap > 0.6) & (overlap < 1)).all()
    assert len(boxes.unique(dim=0)) == 6
    assert not torch.equal(heard_of(head, gt)[0][0], boxes)


def test_without_the_option_tasks_have_the_sampled_proposals() -> None:
    gt = [torch.tensor([[10.0, 10, 50, 90]])]
    ((boxes, index),) = heard_of(head_with(), gt)
    torch.testing.assert_close(boxes, gt[0])  # the host adds the objects to the proposals
    assert index.tolist() == [0]


def test_boxes_around_are_as_far_as_they_say() -> None:
    torch.manual_seed(0)
    gt = torch.tensor([[100.0, 50, 140, 150]])
    boxes, index = boxes_around(gt, 4000)
    assert index.unique().tolist() == [0]
    moved = (boxes - gt) / torch.tensor([40.0, 100, 40, 100])
    assert moved.abs().max() <= 0.1
    assert moved.std(0).min() > 0.05  # of a uniform distribution 0.058
    overlap = pairwise_iou(boxes, gt)[:, 0]
    assert 0.78 < overlap.mean() < 0.86
    assert (overlap < 0.65).float().mean() < 0.01


def test_bad_numbers() -> None:
    with pytest.raises(InputError, match='regions_per_object: expected 1 or more, got 0'):
        head_with(regions_per_object=0)
