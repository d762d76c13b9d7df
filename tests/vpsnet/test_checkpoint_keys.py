"""The released model, by the list of its keys: all is taken, and computes the same."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mmdet.models.detectors import BaseDetector
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor

from mmext.registry import DATASETS, MODELS
from mmext.vpsnet.checkpoint_keys import convert

torch.set_num_threads(1)
CONFIGS = Path(__file__).parents[2] / 'configs/vpsnet'
FUSE, TRACK = ('extra_neck.', 'flownet2.'), ('track_head.',)


@pytest.fixture(scope='module')
def source(released_shapes: Callable) -> dict[str, Tensor]:
    """Random weights under the released names; no two rows are alike."""
    generator = torch.Generator().manual_seed(0)
    return {
        key: torch.randn(shape, generator=generator) / math.prod(shape[1:]) ** 0.5
        for key, shape in released_shapes('vpsnet_fusetrack').items()
    }


def build(file: str) -> BaseDetector:
    """The config's model at its real size, without values."""
    init_default_scope('mmdet')
    with torch.device('meta'):
        return MODELS.build(Config.fromfile(CONFIGS / file).model)


@pytest.fixture(scope='module')
def model(source: dict[str, Tensor]) -> BaseDetector:
    """The headline model with the released weights and no others."""
    model = build('vpsnet_r50_cityscapes-vps_released.py')
    model.load_state_dict(convert(source).state, strict=True, assign=True)
    return model.eval()


def assert_alike(ours: Tensor, theirs: Tensor) -> None:
    assert theirs.std() > 1e-3
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))


@pytest.mark.parametrize(
    ('absent', 'file', 'prefix'),
    [
        ((), 'vpsnet_r50_cityscapes-vps_released.py', ''),
        (TRACK, 'vpsnet_fuse_r50_cityscapes-vps_released.py', 'module.'),
        (FUSE, 'vpsnet_track_r50_cityscapes-vps_released.py', ''),
        (FUSE + TRACK, 'upsnet_r50_cityscapes-vps.py', 'module.'),
    ],
)
def test_every_key_of_every_variant(
    source: dict[str, Tensor], absent: tuple[str, ...], file: str, prefix: str
) -> None:
    kept = {f'{prefix}{k}': v for k, v in source.items() if not k.startswith(absent or '-')}
    before = {key: value.clone() for key, value in kept.items()}
    converted = convert(kept)
    wanted = {key: value.shape for key, value in build(file).state_dict().items()}
    assert {key: value.shape for key, value in converted.state.items()} == wanted
    stand_in = f'{prefix}flownet2.flownetc.conv1.0.weight'
    assert set(converted.dropped) == ({stand_in} & kept.keys())
    assert all(torch.equal(kept[key], value) for key, value in before.items())


def test_attention_by_the_released_names(source: dict[str, Tensor], model: BaseDetector) -> None:
    """EDVR's fusion with one level, as it is described; frame 0 is the target."""

    def conv(name: str, x: Tensor) -> Tensor:
        weight = source[f'extra_neck.tcea_fusion.{name}.weight']
        bias = source[f'extra_neck.tcea_fusion.{name}.bias']
        return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)

    def leaky(x: Tensor) -> Tensor:
        return F.leaky_relu(x, 0.1)

    frames = torch.randn(1, 2, 256, 8, 12) / 4
    target = conv('tAtt_2', frames[:, 0])
    weighted = torch.cat(
        [
            frames[:, i] * (conv('tAtt_1', frames[:, i]) * target).sum(1, keepdim=True).sigmoid()
            for i in range(2)
        ],
        dim=1,
    )
    attention = leaky(conv('sAtt_1', weighted))
    pooled = [F.max_pool2d(attention, 3, 2, 1), F.avg_pool2d(attention, 3, 2, 1)]
    attention = leaky(conv('sAtt_3', leaky(conv('sAtt_2', torch.cat(pooled, 1)))))
    attention = F.interpolate(attention, scale_factor=2, mode='bilinear', align_corners=False)
    attention = conv('sAtt_4', attention)
    shift = conv('sAtt_add_2', leaky(conv('sAtt_add_1', attention)))
    # the 1x1 convolution of the features has a leaky ReLU as well
    expected = leaky(conv('fea_fusion', weighted)) * attention.sigmoid() * 2 + shift
    with torch.no_grad():
        assert_alike(model.fuse_neck.attention(frames), expected)


def test_residual_flow_and_refinement_by_the_released_names(
    source: dict[str, Tensor], model: BaseDetector
) -> None:
    target, warped = torch.randn(2, 1, 256, 6, 7)
    flow = torch.randn(1, 2, 6, 7)
    padded = F.pad(warped, (4, 4, 4, 4))
    correlation = [
        (target * padded[..., y : y + 6, x : x + 7]).mean(1) for y in range(9) for x in range(9)
    ]
    x = torch.cat([target, torch.stack(correlation, 1), flow], 1)
    for layer in ('0.0', '1.0', '2.0', '3'):
        name = f'extra_neck.liteflownet.flow_estimator.convs.{layer}'
        x = F.conv2d(x, source[f'{name}.weight'], source[f'{name}.bias'], padding=1)
        x = x if layer == '3' else F.leaky_relu(x, 0.1)
    weight, bias = (source[f'extra_neck.refine.conv.{kind}'] for kind in ('weight', 'bias'))
    with torch.no_grad():
        assert_alike(model.fuse_neck.residual_flow(target, warped, flow), x)
        refined = F.relu(F.conv2d(target, weight, bias, padding=1))
        assert_alike(model.fuse_neck.refine(target), refined)


def test_classes_one_by_one(source: dict[str, Tensor], model: BaseDetector) -> None:
    """Background before things in the branches, stuff before things in the semantic head."""
    meta = DATASETS.get('mmext.CityscapesPanopticDataset').METAINFO
    boxes, things = model.roi_head.bbox_head, meta['thing_classes']
    stuff_first = [*meta['stuff_classes'], *things]
    for kind in ('weight', 'bias'):
        scores = source[f'bbox_head.fc_cls.{kind}']
        assert torch.equal(getattr(boxes.fc_cls, kind)[-1], scores[0])
        deltas = source[f'bbox_head.fc_reg.{kind}']
        masks = source[f'mask_head.conv_logits.{kind}']
        for label in range(len(things)):
            assert torch.equal(getattr(boxes.fc_cls, kind)[label], scores[label + 1])
            ours = getattr(boxes.fc_reg, kind)[4 * label : 4 * label + 4]
            assert torch.equal(ours, deltas[4 * label + 4 : 4 * label + 8])
            ours = getattr(model.roi_head.mask_head.conv_logits, kind)[label]
            assert torch.equal(ours, masks[label + 1])
        logits = source[f'panopticFPN.conv_pred.conv.{kind}']
        for label, name in enumerate(meta['classes']):
            ours = getattr(model.semantic_head.conv_logits, kind)[label]
            assert torch.equal(ours, logits[stuff_first.index(name)])


def test_the_frame_of_the_release() -> None:
    model = Config.fromfile(CONFIGS / 'vpsnet_r50_cityscapes-vps_released.py').model
    assert model.fuse_neck.align_corners is False
    assert model.rpn_head.anchor_generator.center_offset == 0.5
    for extractor in ('bbox_roi_extractor', 'mask_roi_extractor'):
        assert model.roi_head[extractor].roi_layer.aligned is False
    assert model.panoptic_fusion_head.with_unknown is False


def test_strangers_and_gaps_are_named(source: dict[str, Tensor]) -> None:
    with pytest.raises(ValueError, match=r'1 of 411 keys are unknown: whatever\.weight'):
        convert(source | {'whatever.weight': torch.zeros(1)})
    less = {k: v for k, v in source.items() if k != 'panopticFPN.conv_pred.conv.bias'}
    with pytest.raises(ValueError, match=r'semantic_head\.conv_logits\.bias'):
        convert(less)
