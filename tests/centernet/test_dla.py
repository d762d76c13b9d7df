import pytest
import torch
from torch import nn

from mmext.centernet.dla import DLA
from mmext.centernet.upsampling_necks import CenterNetDeconvNeck, DLAUpNeck

SMALL = dict(depths=(1, 2), widths=(2, 2, 4, 6))


def test_dla34_of_the_paper() -> None:
    model = DLA()
    shapes = [tuple(x.shape) for x in model(torch.zeros(1, 3, 64, 96))]
    expected = [(64, 16, 24), (128, 8, 12), (256, 4, 6), (512, 2, 3)]
    assert shapes == [(1, *s) for s in expected]


def test_every_parameter_gets_a_gradient() -> None:
    model = DLA(**SMALL, out_indices=(3,))
    model(torch.randn(2, 3, 32, 32))[0].square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_stages_are_those_asked_for() -> None:
    torch.manual_seed(0)
    model = DLA(**SMALL, out_indices=(0, 1, 2, 3)).eval()
    image = torch.randn(1, 3, 16, 16)
    every = model(image)
    assert [tuple(x.shape[1:]) for x in every] == [(2, 16, 16), (2, 8, 8), (4, 4, 4), (6, 2, 2)]
    model.out_indices = (2,)
    assert torch.equal(model(image)[0], every[2])


def test_tree_by_its_equations() -> None:
    """A tree of depth 2 written out: figure 2e of the paper."""
    torch.manual_seed(0)
    tree = DLA(**SMALL, out_indices=(3,)).eval().level3
    x = torch.randn(1, 4, 8, 8)
    bottom = nn.functional.max_pool2d(x, 2)
    a, b = tree.tree1, tree.tree2
    a1 = a.tree1(x, a.project(bottom))
    a2 = a.tree2(a1, a1)
    first = a.root(torch.cat([a2, a1], 1))
    b1 = b.tree1(first, first)
    b2 = b.tree2(b1, b1)
    expected = b.root(torch.cat([b2, b1, bottom, first], 1))
    assert torch.equal(tree(x), expected)


def test_arguments() -> None:
    with pytest.raises(ValueError, match='widths: expected 4 as depths'):
        DLA(depths=(1, 2), widths=(2, 2, 4))
    with pytest.raises(ValueError, match='out_indices: expected 0 to 3'):
        DLA(**SMALL, out_indices=(4,))


class TestNecks:
    @pytest.mark.parametrize('conv_cfg', [None, dict(type='mmext.ModulatedDeformConv2dPack')])
    def test_deconvolution(self, conv_cfg: dict | None) -> None:
        neck = CenterNetDeconvNeck(12, (8, 6, 4), conv_cfg)
        (out,) = neck([torch.zeros(2, 1, 1, 1), torch.randn(2, 12, 3, 5)])
        assert out.shape == (2, 4, 24, 40)
        out.square().mean().backward()
        assert all(p.grad is not None for p in neck.parameters())

    @pytest.mark.parametrize('conv_cfg', [None, dict(type='mmext.ModulatedDeformConv2dPack')])
    def test_aggregation(self, conv_cfg: dict | None) -> None:
        neck = DLAUpNeck((4, 6, 8, 10), conv_cfg=conv_cfg)
        maps = [torch.randn(2, c, 32 // 2**i, 48 // 2**i) for i, c in enumerate((4, 6, 8, 10))]
        before = [m.clone() for m in maps]
        (out,) = neck(maps)
        assert out.shape == (2, 4, 32, 48)
        out.square().mean().backward()
        assert all(p.grad is not None for p in neck.parameters())
        assert all(map(torch.equal, maps, before))

    @pytest.mark.parametrize('factor', [2, 4])
    def test_upsampling_starts_bilinear(self, factor: int) -> None:
        neck = DLAUpNeck((3, 3, 3), conv_cfg=None, num_merged=3)
        up = neck.merge.ups[factor // 2 - 1]
        x = torch.randn(1, 3, 6, 7)
        wanted = nn.functional.interpolate(
            x, scale_factor=factor, mode='bilinear', align_corners=False
        )
        inner = slice(factor, -factor)
        assert torch.allclose(up(x)[..., inner, inner], wanted[..., inner, inner], atol=1e-6)

    def test_sizes_of_the_published_networks(self) -> None:
        """19,675,892 and 14,437,349 parameters in all, of which 41,728 without effect."""
        from mmdet.models.backbones import ResNet

        from mmext.centernet.point_head import CenterNetPointHead

        dla = (DLA(), DLAUpNeck(), CenterNetPointHead(80, 64, 256))
        resnet = (ResNet(18), CenterNetDeconvNeck(), CenterNetPointHead(80, 64, 64))
        count = [sum(p.numel() for m in ms for p in m.parameters()) for ms in (dla, resnet)]
        assert count == [19_675_892 - 41_728, 14_437_349]
