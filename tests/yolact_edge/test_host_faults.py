"""What mmdet's YOLACT does wrong: the right value here, and another one there.

A test that fails at its second half says that the host has been mended.
"""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from mmengine.structures import InstanceData
from small_yolact import CLASSES, make_sample
from torch import Tensor

Build = Callable[..., Any]
COCO_CLASSES, CELLS = 80, (69, 35, 18, 9, 5)
CANVAS, IMAGE = (550, 550), (400, 550)
META = dict(img_shape=IMAGE, ori_shape=IMAGE, scale_factor=(1.0, 1.0))


def iou(a: Tensor, b: Tensor) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_masks_on_padded_canvases(build: Build, build_host: Build) -> None:
    """An object in rows 200 to 399 of an image of 400 x 550 on a canvas of 550 x 550."""
    truth = torch.zeros(IMAGE, dtype=torch.bool)
    truth[200:400, 110:410] = True
    prototypes = torch.full((1, 32, 138, 138), -30.0)
    prototypes[:, :, round(200 / 550 * 138) : round(400 / 550 * 138), 28:103] = 30.0
    box = torch.tensor([[110.0, 200, 410, 400]])
    coefficients = torch.zeros(1, 32)
    coefficients[0, 0] = 1.0

    detected = InstanceData(bboxes=box.clone(), coeffs=coefficients)
    (ours,) = build().mask_head.predict_by_feat(prototypes, [detected], [META], CANVAS)
    assert iou(ours.masks[0], truth) > 0.97

    maps = torch.sigmoid(prototypes[0, :1]).permute(1, 2, 0)
    (theirs,) = build_host().mask_head.predict_by_feat(
        [maps], None, [InstanceData(bboxes=box.clone())], [META]
    )
    assert iou(theirs.masks[0], truth) < 0.5


def test_a_batch_without_objects(build: Build, build_host: Build) -> None:
    """At equal scores a background anchor costs ln 81. Ours counts three for one of an object."""
    maps = [torch.zeros(2, 3 * (COCO_CLASSES + 1), n, n) for n in CELLS]
    boxes = [torch.zeros(2, 12, n, n) for n in CELLS]
    nothing = [make_sample([], [], (550, 550)) for _ in range(2)]
    objects = [sample.gt_instances for sample in nothing]

    scales = dict(scales_px=[24, 48, 96, 192, 384])
    model = build(bbox_head=dict(num_classes=COCO_CLASSES, anchor_generator=scales))
    head = model.bbox_head
    anchors = head.anchors_of(maps, (550, 550))
    assigned = head.assign(anchors, objects, [None, None])
    ours = head.loss_by_feat(maps, boxes, assigned, anchors, objects)
    assert float(ours['loss_cls']) == pytest.approx(3 * math.log(81), rel=1e-4)
    assert float(ours['loss_bbox']) == 0

    metas = [sample.metainfo | dict(pad_shape=(550, 550)) for sample in nothing]
    coefficients = [torch.zeros(2, 96, n, n) for n in CELLS]
    theirs = build_host().bbox_head.loss_by_feat(maps, boxes, coefficients, objects, metas)
    assert float(sum(theirs['loss_cls'])) > 80_000


def test_training_without_the_semantic_branch(build: Build, build_host: Build) -> None:
    samples = [make_sample([(8, 8, 40, 40)], [1], (64, 64))]
    images = torch.randn(1, 3, 64, 64)
    without = dict(mask_head=dict(with_seg_branch=False))
    losses = build(**without).train().loss(images, samples)
    assert losses.keys() == {'loss_cls', 'loss_bbox', 'loss_mask'}
    assert all(math.isfinite(float(value.detach())) for value in losses.values())

    samples[0].set_metainfo(dict(pad_shape=(64, 64), batch_input_shape=(64, 64)))
    with pytest.raises(AttributeError, match="'NoneType'"):
        build_host(**without).train().loss(images, samples)


def test_the_semantic_channel_of_a_class(build: Build, build_host: Build) -> None:
    """The gradient of the loss pulls up the channel of the label, which is 0."""
    sample = make_sample([(0, 0, 32, 32)], [0], (64, 64))
    logits = torch.zeros(1, CLASSES, 8, 8, requires_grad=True)
    head = build().mask_head
    losses = head.loss_by_feat(
        torch.zeros(1, 32, 16, 16),
        logits,
        torch.zeros(1, 4, 32),
        torch.full((1, 4), -1),
        [sample.gt_instances],
        (64, 64),
    )
    losses['loss_segm'].backward()
    pulled_up = (logits.grad[0] < 0).flatten(1).any(1)
    assert pulled_up.tolist() == [True, False, False, False, False]
    assert (logits.grad[0, 0] < 0).sum() == 16

    host = build_host().mask_head
    positive = InstanceData(pos_assigned_gt_inds=torch.tensor([0]))
    _, _, target, _, _ = host._get_targets_single(
        torch.zeros(1, 16, 16), torch.zeros(COCO_CLASSES, 8, 8), sample.gt_instances, positive
    )
    assert target.flatten(1).any(1).nonzero().flatten().tolist() == [COCO_CLASSES - 1]


def test_swapped_edges(build_host: Build) -> None:
    """The host's way of ordering edges loses one: from .8 to .2 of 100 is 20 to 20."""
    edges = torch.tensor([0.8]), torch.tensor([0.2])
    first, last = build_host().mask_head.sanitize_coordinates(*edges, 100)
    assert first.item() == last.item() == pytest.approx(20)
    # ours: test_mask_assembly.py, test_swapped_corners_are_the_same_window


def test_the_network_alone_asks_for_no_ground_truth(build: Build, build_host: Build) -> None:
    images = torch.randn(1, 3, 64, 64)
    *_, prototypes = build().eval()(images, mode='tensor')
    assert prototypes.shape == (1, 32, 32, 32)
    with pytest.raises(AssertionError):
        build_host().eval()(images, mode='tensor')
