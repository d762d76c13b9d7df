"""Which norms are folded, and that the network computes the same without them."""

from collections.abc import Callable

import pytest
import torch
from mmcv.cnn import ConvModule
from mmdet.models.backbones import ResNet
from torch import Tensor, nn

from mmext.inference.norm_folding import fold_norms
from mmext.layers.deform_conv import DeformConv2dPack, ModulatedDeformConv2dPack

BN = dict(type='BN')


def with_statistics(model: nn.Module) -> nn.Module:
    """Norms as after a training, and deformable convolutions that move."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and module.track_running_stats:
            for values, low, high in (
                (module.running_mean, -0.5, 0.5),
                (module.running_var, 0.3, 2.0),
                *(
                    ((module.weight.data, -1.5, 1.5), (module.bias.data, -1.0, 1.0))
                    if module.affine
                    else ()
                ),
            ):
                values.uniform_(low, high, generator=generator)
        if hasattr(module, 'conv_offset'):
            module.conv_offset.weight.data.normal_(0, 0.1, generator=generator)
    model.eval()  # whose return value a ResNet of mmdet lacks
    return model


class TwoLevels(nn.Module):
    """One convolution with a norm for each of two levels."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = nn.ModuleList(ConvModule(4, 4, 3, norm_cfg=BN) for _ in range(2))
        self.levels[1].conv = self.levels[0].conv

    def forward(self, x: Tensor) -> Tensor:
        return self.levels[0](x) + self.levels[1](x)


FOLDED: dict[str, tuple[Callable[[], nn.Module], int]] = {
    'module': (lambda: ConvModule(4, 6, 3, norm_cfg=BN), 1),
    'groups and a bias': (lambda: ConvModule(4, 8, 3, groups=2, bias=True, norm_cfg=BN), 1),
    'sequence': (
        lambda: nn.Sequential(
            nn.Conv2d(4, 8, 1), nn.BatchNorm2d(8, affine=False), nn.ReLU(), nn.Conv2d(8, 2, 1)
        ),
        1,
    ),
    'transposed': (
        lambda: nn.Sequential(nn.ConvTranspose2d(4, 6, 4, 2, 1), nn.BatchNorm2d(6), nn.ReLU()),
        1,
    ),
    'deformable': (lambda: nn.Sequential(DeformConv2dPack(4, 6, 3), nn.BatchNorm2d(6)), 1),
    'modulated': (
        lambda: nn.Sequential(ModulatedDeformConv2dPack(4, 6, 3, bias=False), nn.BatchNorm2d(6)),
        1,
    ),
    'resnet': (lambda: ResNet(18, in_channels=4, base_channels=4, stem_channels=4), 20),
}
KEPT: dict[str, Callable[[], nn.Module]] = {
    'before the convolution': lambda: ConvModule(
        4, 6, 3, norm_cfg=BN, order=('norm', 'conv', 'act')
    ),
    'after the activation': lambda: ConvModule(4, 6, 3, norm_cfg=BN, order=('conv', 'act', 'norm')),
    'not after a convolution': lambda: nn.Sequential(
        nn.Conv2d(4, 4, 1), nn.ReLU(), nn.BatchNorm2d(4)
    ),
    'of another kind': lambda: ConvModule(4, 6, 3, norm_cfg=dict(type='GN', num_groups=2)),
    'grouped and transposed': lambda: nn.Sequential(
        nn.ConvTranspose2d(4, 4, 3, groups=2), nn.BatchNorm2d(4)
    ),
    'standardized weights': lambda: ConvModule(4, 6, 3, norm_cfg=BN, conv_cfg=dict(type='ConvWS')),
    'spectral norm': lambda: ConvModule(4, 6, 3, norm_cfg=BN, with_spectral_norm=True),
    'one convolution, two norms': TwoLevels,
    'without statistics': lambda: nn.Sequential(
        nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4, track_running_stats=False)
    ),
}


def outputs(model: nn.Module) -> list[Tensor]:
    x = torch.randn(2, 4, 32, 36, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        result = model(x)
    return list(result) if isinstance(result, tuple) else [result]


@pytest.mark.parametrize('name', FOLDED)
def test_folded_norms_leave_the_network_as_it_was(name: str) -> None:
    build, count = FOLDED[name]
    model = with_statistics(build())
    before = outputs(model)
    assert fold_norms(model) == count
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    for wanted, got in zip(before, outputs(model), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))


@pytest.mark.parametrize('name', KEPT)
def test_norms_that_stay(name: str) -> None:
    model = with_statistics(KEPT[name]())
    before = outputs(model)
    assert fold_norms(model) == 0
    assert all(map(torch.equal, before, outputs(model)))


def test_nothing_is_folded_in_training() -> None:
    assert fold_norms(ConvModule(4, 6, 3, norm_cfg=BN)) == 0
