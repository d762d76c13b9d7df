"""Decoder, trunks and predictor: parameters of the released models, and what they compute."""

import torch
from torch import nn
from torch.nn import functional as F

from mmext.densepose.pyramid_decoder import PyramidDecoder
from mmext.densepose.surface_maps import SurfacePredictor
from mmext.densepose.trunks import SurfaceConvTrunk, SurfaceDeepLabTrunk


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters_are_as_many_as_released() -> None:
    with torch.device('meta'):
        assert size(PyramidDecoder()) == 4_196_352
        assert size(SurfaceConvTrunk()) == 17_698_816
        assert size(SurfacePredictor(512)) == 630_861
        assert size(SurfaceDeepLabTrunk()) == 19_933_696
        assert size(SurfaceDeepLabTrunk(non_local=True)) == 20_065_920


def test_the_decoder_step_by_step() -> None:
    decoder = PyramidDecoder(6, 5, 4)
    features = [torch.randn(2, 6, 32 // 2**i, 16 // 2**i) for i in range(5)]

    def up(x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False)

    convs = [list(level) for level in decoder.levels]  # type: ignore[arg-type]
    assert [len(level) for level in convs] == [1, 1, 2, 3]
    total = convs[0][0](features[0]).relu()
    for level, x in zip(convs[1:], features[1:4], strict=True):
        for conv in level:
            x = up(conv(x).relu())
        total = total + x
    torch.testing.assert_close(decoder(features), decoder.predictor(total))
    odd = [torch.randn(1, 6, 13, 7), torch.randn(1, 6, 7, 4), torch.randn(1, 6, 4, 2),
           torch.randn(1, 6, 2, 1)]  # fmt: skip
    assert decoder(odd).shape == (1, 4, 13, 7)


def test_one_convolution_is_all_of_them() -> None:
    predictor = SurfacePredictor(6, 15, 'wc2', True)
    features = torch.randn(2, 6, 5, 5)
    maps = predictor(features)
    for name, layer in predictor.layers.items():
        torch.testing.assert_close(getattr(maps, name), layer(features), atol=1e-5, rtol=1e-5)
    assert maps.coarse.shape == (2, 15, 10, 10)
    assert maps.part_confidence.shape == (2, 1, 10, 10)


def test_views_see_the_whole_region() -> None:
    trunk = SurfaceDeepLabTrunk(8, 8, 1, num_groups=4, non_local=True).eval()
    regions = torch.randn(1, 8, 14, 14, requires_grad=True)
    nn.init.ones_(trunk.non_local.norm.weight)
    trunk(regions)[0, :, 0, 0].sum().backward()
    assert regions.grad is not None
    assert (regions.grad.abs().sum(1) > 0).all()  # the mean reaches every cell
    plain = SurfaceConvTrunk(8, 8, 2)
    regions = torch.randn(1, 8, 14, 14, requires_grad=True)
    plain(regions)[0, :, 0, 0].sum().backward()
    assert regions.grad is not None
    assert not regions.grad[..., 4:].any()
