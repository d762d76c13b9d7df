import pytest
import torch
from original_networks import (
    HEADS,
    POSE_HEADS,
    Weights,
    dla34,
    hourglass104,
    resnet18_dcn,
)
from torch import Tensor, nn

from mmext.centernet.checkpoint_keys_points import (
    convert_dla,
    convert_dla_imagenet,
    convert_hourglass,
    convert_resnet,
)
from mmext.formats.checkpoint_keys import Converted
from mmext.registry import MODELS

OUR_NAMES = dict(
    hm='center',
    wh='size',
    reg='offset',
    hps='joint_vector',
    hm_hp='joint_center',
    hp_offset='joint_offset',
)


def ours(backbone: dict, neck: dict | None, heads: dict[str, int], **head: int) -> nn.Module:
    kind = 'mmext.CenterNetPoseHead' if 'hps' in heads else 'mmext.CenterNetPointHead'
    if 'hps' in heads:
        head['num_joints'] = heads['hm_hp']
    model = dict(
        type='mmext.CenterNetPointDetector',
        backbone=backbone,
        neck=neck,
        bbox_head=dict(type=kind, num_classes=heads['hm'], **head),
    )
    return MODELS.build(model).eval()


def check(model: nn.Module, converted: Converted, image: Tensor, wanted: dict[str, Tensor]) -> None:
    model.load_state_dict(converted.state, strict=True)
    with torch.no_grad():
        (maps,) = model.bbox_head(model.extract_feat(image))
    assert set(maps[-1]) == {OUR_NAMES[name] for name in wanted}
    for name, values in wanted.items():
        found = maps[-1][OUR_NAMES[name]]
        assert torch.allclose(found, values, rtol=1e-3, atol=1e-4 * values.abs().max())


def exported(weights: Weights) -> dict[str, Tensor]:
    """As the released files hold it."""
    return {f'module.{name}': tensor for name, tensor in weights.items()}


def test_dla_of_the_published_size() -> None:
    torch.manual_seed(0)
    weights, image = Weights(), torch.randn(1, 3, 64, 64)
    widths = (16, 32, 64, 128, 256, 512)
    with torch.no_grad():
        wanted = dla34(weights, image, HEADS, widths, 256)
    assert len(weights) == 398
    converted = convert_dla(exported(weights))
    backbone, neck = dict(type='mmext.DLA'), dict(type='mmext.DLAUpNeck')
    check(ours(backbone, neck, HEADS, in_channels=64, feat_channels=256), converted, image, wanted)
    dropped = {'.'.join(key.split('.')[1:4]) for key in converted.dropped}
    assert dropped == {'base.level3.project', 'base.level4.project'}
    assert len(converted.dropped) == 2 * 6
    values = sum(
        weights[key.removeprefix('module.')].numel()
        for key in converted.dropped
        if key.endswith(('weight', 'bias'))
    )
    assert values == 41_728


def test_dla_with_pose() -> None:
    torch.manual_seed(0)
    weights, image = Weights(), torch.randn(1, 3, 64, 96)
    widths = (2, 4, 6, 8, 10, 12)
    with torch.no_grad():
        wanted = dla34(weights, image, POSE_HEADS, widths, 7)
    assert len(weights) == 410
    backbone = dict(type='mmext.DLA', widths=widths)
    neck = dict(type='mmext.DLAUpNeck', in_channels=widths[2:])
    model = ours(backbone, neck, POSE_HEADS, in_channels=6, feat_channels=7)
    check(model, convert_dla(exported(weights)), image, wanted)


def test_dla_of_imagenet() -> None:
    weights = Weights()
    with torch.no_grad():
        dla34(weights, torch.randn(1, 3, 32, 32), {}, (2, 4, 6, 8, 10, 12), 1)
    source = {
        name.removeprefix('base.'): tensor
        for name, tensor in weights.items()
        if name.startswith('base.')
    }
    source |= {'fc.weight': torch.zeros(1), 'fc.bias': torch.zeros(1)}
    converted = convert_dla_imagenet(source)
    backbone = MODELS.build(dict(type='mmext.DLA', widths=(2, 4, 6, 8, 10, 12)))
    backbone.load_state_dict(converted.state, strict=True)
    assert len(converted.dropped) == 14


def test_resnet18() -> None:
    torch.manual_seed(0)
    weights, image = Weights(), torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        wanted = resnet18_dcn(weights, image, HEADS)
    backbone = dict(type='ResNet', depth=18, norm_eval=False)
    neck = dict(type='mmext.CenterNetDeconvNeck')
    model = ours(backbone, neck, HEADS, in_channels=64, feat_channels=64)
    converted = convert_resnet(exported(weights))
    check(model, converted, image, wanted)
    assert not converted.dropped


@pytest.mark.parametrize(('heads', 'entries'), [(HEADS, 984), (POSE_HEADS, 1008)])
def test_hourglass(heads: dict[str, int], entries: int) -> None:
    torch.manual_seed(0)
    weights, image = Weights(), torch.randn(1, 3, 128, 128)
    widths = [4, 4, 6, 6, 6, 8]  # equal where the original's are: there it needs no projection
    with torch.no_grad():
        stacks = hourglass104(weights, image, heads, widths, 2)
    assert len(weights) == entries
    backbone = dict(type='mmext.HourglassNet', stage_channels=widths, feat_channel=4)
    model = ours(backbone, None, heads, in_channels=4, feat_channels=4, num_stacks=2)
    converted = convert_hourglass(exported(weights))
    check(model, converted, image, stacks[-1])
    assert not converted.dropped
    model.bbox_head.train()
    with torch.no_grad():
        (maps,) = model.bbox_head(model.extract_feat(image))
    assert torch.allclose(maps[0]['center'], stacks[0]['hm'], rtol=1e-3, atol=1e-4)


def test_a_key_of_another_network() -> None:
    with pytest.raises(ValueError, match=r'unknown: deconv_layers\.0\.weight'):
        convert_dla({'deconv_layers.0.weight': torch.zeros(1), 'hm.0.weight': torch.zeros(1)})
