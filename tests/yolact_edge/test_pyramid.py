"""The pyramid in two phases, and the backbone that ends where it is used."""

import pytest
import torch
from mmdet.models.backbones import MobileNetV2
from torch.nn import functional as F

from mmext.yolact_edge.mobilenet_v2 import YolactMobileNetV2
from mmext.yolact_edge.pyramid import YolactEdgeFPN


def test_levels_of_550() -> None:
    """The sizes that the released anchors are made for."""
    neck = YolactEdgeFPN([2, 3, 4], out_channels=4)
    maps = [torch.randn(1, *shape) for shape in ((2, 69, 69), (3, 35, 35), (4, 18, 18))]
    assert [level.shape[2] for level in neck(maps)] == [69, 35, 18, 9, 5]


def test_merging_is_the_lateral_plus_the_map_above() -> None:
    neck = YolactEdgeFPN([2, 3], out_channels=4, num_outs=3)
    neck.init_weights()
    maps = [torch.randn(2, 2, 7, 10), torch.randn(2, 3, 4, 5)]
    fine, coarse = neck.phase_1(maps)
    laterals = [conv(x) for conv, x in zip(neck.phase_1.lateral_convs, maps, strict=True)]
    torch.testing.assert_close(coarse, laterals[1])
    above = F.interpolate(coarse, (7, 10), mode='bilinear', align_corners=False)
    torch.testing.assert_close(fine, laterals[0] + above)
    levels = neck(maps)
    assert all((level >= 0).all() for level in levels[:2])  # after the ReLU
    torch.testing.assert_close(levels[2], neck.phase_2.downsample_convs[0](levels[1]))
    assert (levels[2] < 0).any()


def test_biases_start_at_zero() -> None:
    neck = YolactEdgeFPN([2, 3, 4], out_channels=4)
    neck.init_weights()
    biases = [p for name, p in neck.named_parameters() if name.endswith('bias')]
    assert len(biases) == 8 and not any(bias.any() for bias in biases)


@pytest.mark.parametrize('out_indices', [(2, 3, 5), (1, 2)])
def test_the_backbone_computes_what_the_hosts_does(out_indices: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    host = MobileNetV2(widen_factor=0.25, out_indices=out_indices)
    host.eval()  # returns nothing
    ours = YolactMobileNetV2(widen_factor=0.25, out_indices=out_indices).eval()
    state = ours.state_dict()
    assert 'conv2.conv.weight' not in state and len(state) < len(host.state_dict())
    ours.load_state_dict({key: host.state_dict()[key] for key in state})
    images = torch.randn(1, 3, 64, 64)
    for one, other in zip(ours(images), host(images), strict=True):
        assert one.equal(other)
    sum(x.sum() for x in ours.train()(images)).backward()
    assert all(p.grad is not None for p in ours.parameters())
