"""Semantic head: structure of the paper, losses against plain restatements, batching."""

import pytest
import torch
from mmcv.ops import roi_align
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData, PixelData
from torch.nn import functional as F

from mmext.upsnet.semantic_head import UPSNetSemanticHead
from mmext.upsnet.semantic_targets import crop_labels

THINGS, STUFF = 3, 2


def make_head(**options) -> UPSNetSemanticHead:
    torch.manual_seed(0)
    arguments = dict(in_channels=8, inner_channels=6, num_layers=3, conv_cfg=None) | options
    head = UPSNetSemanticHead(THINGS, STUFF, **arguments)
    head.init_weights()
    torch.nn.init.normal_(head.conv_logits.weight)
    return head


def make_features(images: int = 2, size: int = 16) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    return tuple(
        torch.rand(images, 8, size // 2**i, size // 2**i, generator=generator) for i in range(5)
    )


def make_samples(images: int = 2, size: int = 64, boxes: int = 3) -> list[DetDataSample]:
    generator = torch.Generator().manual_seed(2)
    samples = []
    for _ in range(images):
        labels = torch.randint(0, THINGS + STUFF, (1, size, size), generator=generator)
        labels[:, :5] = 255
        corners = torch.rand(boxes, 2, 2, generator=generator).sort(dim=1).values * size
        sample = DetDataSample(gt_sem_seg=PixelData(sem_seg=labels.to(torch.uint8)))
        sample.gt_instances = InstanceData(
            bboxes=corners.reshape(boxes, 4), labels=torch.zeros(boxes, dtype=torch.long)
        )
        samples.append(sample)
    return samples


@pytest.mark.parametrize(
    ('layers', 'widths'),
    [
        (1, [(8, 6)]),
        (2, [(8, 6), (6, 6)]),
        (3, [(8, 8), (8, 6), (6, 6)]),
        (4, [(8, 8), (8, 8), (8, 6), (6, 6)]),
    ],
)
def test_last_two_layers_are_narrow(layers, widths):
    head = make_head(num_layers=layers)
    assert [(m.conv.in_channels, m.conv.out_channels) for m in head.subnet] == widths


def test_parameter_counts_of_the_released_configurations():
    coco = UPSNetSemanticHead(80, 53)
    cityscapes = UPSNetSemanticHead(8, 11, num_layers=2)
    assert sum(p.numel() for p in coco.parameters()) == 1_204_667
    assert sum(p.numel() for p in cityscapes.parameters()) == 514_615


def test_forward_is_shared_subnet_upsampling_and_one_convolution():
    head, features = make_head(), make_features()
    levels = [
        F.interpolate(head.subnet(f), scale_factor=2**i, mode='bilinear') if i else head.subnet(f)
        for i, f in enumerate(features[:4])
    ]
    torch.testing.assert_close(head(features), head.conv_logits(torch.cat(levels, dim=1)))


def test_losses_equal_plain_cross_entropy():
    head = make_head(loss_weight=0.5, roi_loss_weight=2.0)
    logits, samples = head(make_features()), make_samples()
    losses = head.loss(logits, samples)
    pixel, roi = [], []
    for image, sample in zip(logits, samples, strict=True):
        labels = sample.gt_sem_seg.sem_seg.long()
        full = F.interpolate(image[None], scale_factor=4, mode='bilinear')
        pixel.append(F.cross_entropy(full, labels, ignore_index=255))
        boxes = sample.gt_instances.bboxes
        rois = F.pad(boxes, (1, 0))
        crops = roi_align(image[None], rois, 28, 0.25, 2)
        roi.append(F.cross_entropy(crops, crop_labels(labels[0], boxes, 28), ignore_index=255))
    torch.testing.assert_close(losses['loss_seg'], 0.5 * sum(pixel) / 2)
    torch.testing.assert_close(losses['loss_seg_roi'], 2.0 * sum(roi) / 2)


def test_batch_of_two_is_two_batches_of_one():
    head = make_head(roi_loss_weight=1.0)
    features, samples = make_features(), make_samples()
    together = head.loss(head(features), samples)
    alone = [
        head.loss(head(tuple(f[i : i + 1] for f in features)), samples[i : i + 1]) for i in (0, 1)
    ]
    for key in together:
        torch.testing.assert_close(together[key], (alone[0][key] + alone[1][key]) / 2)


def test_all_ignored_and_no_box_give_zero_loss_with_gradient():
    head, samples = make_head(roi_loss_weight=1.0), make_samples(boxes=0)
    for sample in samples:
        sample.gt_sem_seg.sem_seg.fill_(255)
    losses = head.loss(head(make_features()), samples)
    sum(losses.values()).backward()
    assert all(loss.item() == 0 for loss in losses.values())
    assert all(torch.isfinite(p.grad).all() for p in head.parameters())


def test_gradient_reaches_every_parameter():
    head = make_head(roi_loss_weight=1.0)
    sum(head.loss(head(make_features()), make_samples()).values()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())


def test_roi_loss_is_off_at_weight_zero():
    head = make_head()
    assert set(head.loss(head(make_features()), make_samples())) == {'loss_seg'}


def test_no_layer_is_refused():
    with pytest.raises(ValueError, match='num_layers must be at least 1, got 0'):
        make_head(num_layers=0)
