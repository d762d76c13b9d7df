"""A task beside boxes and masks in mmdet's own two-stage detectors."""

import copy
import math
from typing import Any

import pytest
import torch
from detectron2_shapes import Shapes, detector_shapes, with_bias
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from small_estimator import boxes, images

from mmext.configuration import load_config
from mmext.inference.checkpoint_systems import SYSTEMS, build_without_values, differences
from mmext.inference.fast import fast
from mmext.registry import MODELS

POINTS = 3
TASK: dict[str, Any] = dict(
    type='mmext.KeypointRCNNTask',
    num_points=POINTS,
    roi_extractor=dict(
        type='SingleRoIExtractor',
        roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=2),
        out_channels=8,
        featmap_strides=[4, 8, 16, 32],
    ),
    in_channels=8,
    num_convs=2,
    conv_channels=8,
)


def build(base: str = 'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', **task: Any) -> Any:
    """A detector of mmdet's with the task, made small."""
    init_default_scope('mmdet')
    model = load_config(f'mmdet::{base}').model
    narrow = dict(base_channels=4, stem_channels=4)
    model.backbone.update(depth=18, init_cfg=None, norm_eval=False, **narrow)
    model.neck.update(in_channels=[4, 8, 16, 32], out_channels=8)
    model.rpn_head.update(in_channels=8, feat_channels=8)
    head = model.roi_head
    for part in ('bbox', 'mask'):
        if f'{part}_head' in head:
            head[f'{part}_roi_extractor'].out_channels = 8
            head[f'{part}_head'].update(in_channels=8, num_classes=2)
    head.bbox_head.fc_out_channels = 16
    if 'mask_head' in head:
        head.mask_head.update(conv_out_channels=8, num_convs=1)
    model.test_cfg.rcnn.update(score_thr=0.0, max_per_img=5)
    model.test_cfg.rpn.max_per_img = 20
    head.update(type='mmext.TaskRoIHead', tasks=dict(keypoints={**copy.deepcopy(TASK), **task}))
    torch.manual_seed(0)
    return MODELS.build(ConfigDict(model))


def pictures(count: int) -> torch.Tensor:
    return images(count) / 128 - 1


def truth(count: int, factor: float = 1.0, seed: int = 0) -> DetDataSample:
    shape = (96, 96)
    original = tuple(round(side / factor) for side in shape)
    made = DetDataSample(
        metainfo=dict(
            img_shape=shape, ori_shape=original, pad_shape=shape, batch_input_shape=shape,
            scale_factor=(factor, factor),
        )
    )  # fmt: skip
    found = boxes(seed, count)
    low, high = found[:, None, :2], found[:, None, 2:]
    points = low + torch.rand(count, POINTS, 2) * (high - low)
    made.gt_instances = InstanceData(
        bboxes=found,
        labels=torch.zeros(count, dtype=torch.long),
        masks=BitmapMasks([(torch.ones(*shape) > 0).byte().numpy()] * count, *shape),
        keypoints=points,
        keypoints_visible=torch.full((count, POINTS), 2.0),
    )
    made.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long())
    return made


@pytest.mark.parametrize(
    'base', ['mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py']
)
def test_boxes_masks_and_points_train_and_predict_together(base: str) -> None:
    model = build(base)
    losses = model.loss(pictures(2), [truth(3), truth(2, seed=1)])
    has_masks = 'mask' in base
    assert ('loss_mask' in losses) == has_masks
    # of 28 x 28 cells nobody knows anything yet
    assert losses['loss_keypoint'].item() == pytest.approx(math.log(784), rel=0.3)
    total, _ = model.parse_losses(losses)
    total.backward()
    assert not [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    with torch.no_grad():
        samples = model.eval().predict(pictures(2), [truth(3, 2.0), truth(2, 1.0)])
        plain = model.predict(pictures(2), [truth(3, 2.0), truth(2, 1.0)], rescale=False)
    for scaled, unscaled, factor in zip(samples, plain, (2.0, 1.0), strict=True):
        found, other = scaled.pred_instances, unscaled.pred_instances
        assert len(found) == 5
        assert found.keypoints.shape == (5, POINTS, 2)
        assert ((found.keypoint_scores >= 0) & (found.keypoint_scores <= 1)).all()
        torch.testing.assert_close(found.bboxes * factor, other.bboxes, atol=1e-3, rtol=1e-4)
        torch.testing.assert_close(found.keypoints * factor, other.keypoints, atol=1e-3, rtol=1e-4)
        assert ('masks' in found) == has_masks
        # points lie in their boxes
        low, high = found.bboxes[:, None, :2], found.bboxes[:, None, 2:]
        at_least_one_px = torch.maximum(high, low + 1 / factor)
        inside = (found.keypoints >= low - 1e-3) & (found.keypoints <= at_least_one_px + 1e-3)
        assert inside.all()


def test_boxes_and_masks_are_those_of_the_host() -> None:
    model = build()
    plain_head = MODELS.get('StandardRoIHead')
    with torch.no_grad():
        (found,) = model.eval().predict(pictures(1), [truth(2, 2.0)])
        model.roi_head.__class__ = plain_head
        (expected,) = model.predict(pictures(1), [truth(2, 2.0)])
    for field in ('bboxes', 'scores', 'labels', 'masks'):
        torch.testing.assert_close(found.pred_instances[field], expected.pred_instances[field])
    assert 'keypoints' not in expected.pred_instances


def test_a_batch_without_objects_or_points_costs_nothing() -> None:
    model = build()
    losses = model.loss(pictures(2), [truth(0), truth(0)])
    assert losses['loss_keypoint'].item() == 0
    losses['loss_keypoint'].backward()
    task = model.roi_head.tasks['keypoints']
    assert all(p.grad is not None and not p.grad.any() for p in task.parameters())
    hidden = truth(2)
    hidden.gt_instances.keypoints_visible[:] = 0
    assert model.loss(pictures(1), [hidden])['loss_keypoint'].item() == 0


def test_the_loss_is_divided_by_the_points_that_count() -> None:
    losses = {}
    for normalizer in (None, 10.0):
        model = build(normalizer=normalizer)
        task = model.roi_head.tasks['keypoints'].eval()
        logits = torch.zeros(2, POINTS, 28, 28)
        points = torch.tensor([[[5.0, 5], [6, 6], [90, 90]], [[5, 5], [7, 7], [8, 8]]])
        visible = torch.tensor([[2.0, 1, 2], [0, 0, 2]])
        rois = torch.tensor([[0.0, 0, 10, 10]] * 2)
        losses[normalizer] = task._loss(logits, points, visible, rois).item()
    one = math.log(784)
    assert losses[None] == pytest.approx(one, rel=1e-5)
    assert losses[10.0] == pytest.approx(3 * one, rel=1e-5)  # the sum; images come after


def test_the_half_pixel_goes_in_and_out() -> None:
    features = [torch.randn(1, 8, 24 // 2**i, 24 // 2**i) for i in range(4)]
    given = [torch.tensor([[10.0, 10, 60, 70]])]
    metas = [dict(scale_factor=(2.0, 2.0))]
    plain, shifted = (
        build(pixel_offset=offset).roi_head.tasks['keypoints'].predict(features, given, metas, True)
        for offset in (0.0, 0.5)
    )
    difference = plain[0]['keypoints'] - shifted[0]['keypoints']
    torch.testing.assert_close(difference, torch.full((1, POINTS, 2), 0.5))


def test_low_precision_reads_the_maps_in_full() -> None:
    task = build().roi_head.tasks['keypoints'].eval()
    features = [torch.randn(1, 8, 24 // 2**i, 24 // 2**i) for i in range(4)]
    given = [torch.tensor([[10.0, 10, 60, 70], [20, 5, 90, 40]])]
    maps = (8 * torch.randn(2, POINTS, 28, 28)).bfloat16()
    task._logits = lambda features, boxes: maps
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
        (low,) = task.predict(features, given, [{}])
    (plain,) = task.predict(features, given, [{}])
    assert torch.equal(low['keypoints'], plain['keypoints'])
    assert torch.equal(low['keypoint_scores'], plain['keypoint_scores'])


@pytest.mark.parametrize('precision', ['fp32', 'bf16'])
def test_a_fast_copy_says_the_same(precision: str) -> None:
    model = build().eval()
    for norm in model.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(norm.running_var, 0.5, 2)
    with torch.no_grad():
        (expected,) = model.predict(pictures(1), [truth(2)])
        (found,) = fast(model, precision).predict(pictures(1), [truth(2)])
    one, other = expected.pred_instances, found.pred_instances
    assert other.keypoints.dtype == other.keypoint_scores.dtype == torch.float32
    assert len(other) == len(one)
    if precision == 'fp32':
        torch.testing.assert_close(other.scores, one.scores, atol=1e-4, rtol=1e-3)
        near = (other.bboxes - one.bboxes).abs().amax(1) < 0.1
        assert near.float().mean() >= 0.6  # of equal scores another one may come first
        # a last bit may choose another one of two maxima
        assert (other.keypoints - one.keypoints)[near].abs().median() < 0.1


def test_bad_points_and_names() -> None:
    model = build()
    wrong = truth(2)
    wrong.gt_instances.keypoints = torch.zeros(2, 5, 2)
    with pytest.raises(ValueError, match=r'expected \[2, 3, 2\], got \[2, 5, 2\]'):
        model.loss(pictures(1), [wrong])
    model.roi_head.tasks['others'] = copy.deepcopy(model.roi_head.tasks['keypoints'])
    with pytest.raises(ValueError, match=r'tasks\.others: another part has loss_keypoint too'):
        model.loss(pictures(1), [truth(2)])
    with pytest.raises(ValueError, match='from 1'):
        build(num_convs=0)


def detectron2_shapes() -> Shapes:
    """Names and shapes of ``keypoint_rcnn_R_50_FPN``, written by the rules of its modules."""
    shapes = detector_shapes()
    for number in range(1, 9):
        width = 256 if number == 1 else 512
        with_bias(shapes, f'roi_heads.keypoint_head.conv_fcn{number}', 512, width, 3, 3)
    with_bias(shapes, 'roi_heads.keypoint_head.score_lowres', 512, 17, 4, 4, outputs=17)
    return shapes


def test_every_weight_of_detectron2_has_its_place() -> None:
    weights = {key: torch.empty(shape, device='meta') for key, shape in detectron2_shapes().items()}
    system = SYSTEMS['keypoint-rcnn']
    converted = system.convert(weights)
    model = build_without_values(load_config(f'mmext::{system.configs[0]}'))
    assert differences(converted.state, model) == []
    assert len(converted.dropped) == 7
    with pytest.raises(ValueError, match=r'unknown: roi_heads\.mask_head'):
        system.convert({**weights, 'roi_heads.mask_head.deconv.weight': torch.zeros(1)})
