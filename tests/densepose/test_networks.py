"""Decoder, trunks and predictor: parameters of the released models, and what they compute."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mmext.densepose.pyramid_decoder import PyramidDecoder
from mmext.densepose.surface_maps import SurfacePredictor
from mmext.densepose.trunks import (
    SurfaceConvTrunk,
    SurfaceDeepLabTrunk,
    SurfaceHourglassTrunk,
)
from mmext.errors import InputError
from mmext.formats.surface_annotations import MASK_OF_PART, MIRRORED_MASKS
from mmext.formats.surface_files import MIRRORED_PARTS

NORM = dict(type='GN', num_groups=4)


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


def test_nested_parts_stand_on_their_coarse_part() -> None:
    torch.manual_seed(0)
    nested = SurfacePredictor(6, 15, nested=True)
    features = torch.randn(2, 6, 5, 5)
    maps, parts = nested(features), nested.layers['parts'](features)
    # of each coarse part two parts, of hands and feet one
    groups = [(1, 2), (3,), (4,), (5,), (6,), (7, 9), (8, 10), (11, 13), (12, 14)]
    groups += [(15, 17), (16, 18), (19, 21), (20, 22), (23, 24)]
    for coarse, group in enumerate(groups, start=1):
        for part in group:
            expected = parts[:, part] + maps.coarse[:, coarse]
            torch.testing.assert_close(maps.parts[:, part], expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(maps.parts[:, 0], parts[:, 0], atol=1e-5, rtol=1e-5)


def test_coarse_parts_of_mirrored_parts_are_mirrored() -> None:
    for part, other in enumerate(MIRRORED_PARTS):
        assert MASK_OF_PART[other] == MIRRORED_MASKS[MASK_OF_PART[part]]


def test_the_hourglass_step_by_step() -> None:
    torch.manual_seed(0)
    trunk = SurfaceHourglassTrunk(6, (8, 12, 16), norm_cfg=NORM).eval()
    regions = torch.randn(2, 6, 10, 10)
    fine = trunk.down[0](regions)
    middle = trunk.down[1](fine)
    coarse = trunk.down[2](middle)
    assert [x.shape[1:] for x in (fine, middle, coarse)] == [(8, 10, 10), (12, 5, 5), (16, 3, 3)]
    back = F.interpolate(trunk.project[1](coarse), size=(5, 5), mode='bilinear')
    middle = trunk.up[1](middle + back)
    back = F.interpolate(trunk.project[0](middle), size=(10, 10), mode='bilinear')
    torch.testing.assert_close(trunk(regions), trunk.up[0](fine + back))
    assert trunk.out_channels == 8


def test_a_cell_of_the_hourglass_sees_the_whole_region() -> None:
    torch.manual_seed(0)
    trunk = SurfaceHourglassTrunk(4, (8, 8, 8), norm_cfg=NORM)
    regions = torch.randn(1, 4, 24, 24, requires_grad=True)
    trunk(regions)[0, :, 0, 0].sum().backward()
    assert regions.grad is not None
    assert regions.grad[0, :, -1, -1].abs().sum() > 0


def test_the_stem_takes_pixels_to_a_quarter() -> None:
    torch.manual_seed(0)
    trunk = SurfaceHourglassTrunk(3, (8, 16), stem_channels=4, norm_cfg=NORM).eval()
    pixels = torch.randn(2, 3, 32, 32)
    half = trunk.stem(pixels)
    quarter = trunk.down[0](half)
    assert [x.shape[1:] for x in (half, quarter)] == [(4, 16, 16), (8, 8, 8)]
    assert [block[0].stride for block in (*trunk.stem, *trunk.down[0])] == [
        *((2, 2), (1, 1)),
        *((2, 2), (1, 1)),
    ]
    assert trunk(pixels).shape == (2, 8, 8, 8)


@pytest.mark.parametrize(
    'options',
    [dict(channels=()), dict(channels=(8, 0)), dict(channels=(8,), stem_channels=0)],
)
def test_a_hourglass_has_channels(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match='expected channels from 1'):
        SurfaceHourglassTrunk(8, norm_cfg=NORM, **options)
