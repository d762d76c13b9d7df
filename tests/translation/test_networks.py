"""The networks: equal to rebuilds under the released names, sizes, counts, where gradients go."""

from typing import Any

import pytest
import torch
from released_networks import PatchGAN, ResnetGenerator, UNet
from torch import Tensor, nn

import mmext.translation.registered  # noqa: F401
from mmext.errors import InputError
from mmext.formats.checkpoint_keys import Converted
from mmext.registry import MODELS
from mmext.translation import checkpoint_keys
from mmext.translation.network_parts import (
    PictureBatchNorm,
    SpectralConv2d,
    frozen,
    padded,
)
from mmext.translation.spade import SpatialNorm

SIZES = {
    'residual, 9 blocks': (dict(type='mmext.ResidualGenerator'), 11_378_179),
    'residual, 6 blocks': (dict(type='mmext.ResidualGenerator', num_blocks=6), 7_837_699),
    'residual, transposed': (dict(type='mmext.ResidualGenerator', upsample='deconv'), 11_378_179),
    'U-Net 256': (dict(type='mmext.UNetGenerator', norm='batch'), 54_413_955),
    'U-Net 128': (dict(type='mmext.UNetGenerator', norm='batch', num_downs=7), 41_828_995),
    'patches 16': (dict(type='mmext.PatchDiscriminator', num_layers=1), 136_385),
    'patches 34': (dict(type='mmext.PatchDiscriminator', num_layers=2), 662_977),
    'patches 70': (dict(type='mmext.PatchDiscriminator'), 2_764_737),
    'patches 142': (dict(type='mmext.PatchDiscriminator', num_layers=4), 6_959_553),
    'patches 286': (dict(type='mmext.PatchDiscriminator', num_layers=5), 11_154_369),
    'pix2pix': (dict(type='mmext.PatchDiscriminator', in_channels=6, norm='batch'), 2_768_705),
    'SPADE COCO-Stuff': (dict(type='mmext.SPADEGenerator', in_channels=184), 97_480_899),
    'SPADE ADE20K': (dict(type='mmext.SPADEGenerator', in_channels=151), 96_492_483),
    'SPADE Cityscapes': (dict(type='mmext.SPADEGenerator', in_channels=36), 93_048_003),
    'scales COCO-Stuff': (dict(type='mmext.MultiscaleDiscriminator', in_channels=187), 5_904_514),
    'scales Cityscapes': (dict(type='mmext.MultiscaleDiscriminator', in_channels=39), 5_601_410),
}


@pytest.mark.parametrize('name', SIZES)
def test_numbers_of_parameters(name: str) -> None:
    config, expected = SIZES[name]
    with torch.device('meta'):
        network = MODELS.build(config)
    assert sum(p.numel() for p in network.parameters()) == expected


def randomized(network: nn.Module) -> nn.Module:
    for value in network.state_dict().values():
        if value.is_floating_point():
            nn.init.uniform_(value, 0.1, 0.5) if value.dim() == 1 else nn.init.normal_(
                value, 0, 0.2
            )
    return network


def loaded(config: dict[str, Any], converted: Converted) -> nn.Module:
    network = MODELS.build(config)
    network.load_state_dict(converted.state)
    return network


@pytest.mark.parametrize('dropout', [False, True])
def test_residual_generator_is_the_released_one(dropout: bool) -> None:
    released = randomized(ResnetGenerator(6, 3, dropout)).eval()
    config = dict(type='mmext.ResidualGenerator', width=6, num_blocks=3, upsample='deconv')
    ours = loaded(config, checkpoint_keys.convert_residual(released.state_dict())).eval()
    picture = torch.randn(2, 3, 20, 28)
    torch.testing.assert_close(ours(picture), released(picture), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('num_downs', [3, 6])
def test_unet_is_the_released_one(num_downs: int) -> None:
    released = randomized(UNet(4, 4, num_downs))
    config = dict(
        type='mmext.UNetGenerator', in_channels=4, width=4, num_downs=num_downs, norm='batch'
    )
    ours = loaded(config, checkpoint_keys.convert_unet(released.state_dict())).eval()
    assert [level for level, p in enumerate(ours.dropouts) if p] == ([4] if num_downs > 4 else [])
    released.train()  # as pix2pix tests: statistics of the batch, which is one picture
    for module in released.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    picture = torch.randn(1, 4, 64, 128)
    torch.testing.assert_close(ours(picture), released(picture), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(('layers', 'batch_norm'), [(1, False), (3, True), (5, False)])
def test_patch_discriminator_is_the_released_one(layers: int, batch_norm: bool) -> None:
    released = randomized(PatchGAN(5, 4, layers, batch_norm)).train()
    norm = 'batch' if batch_norm else 'instance'
    config = dict(
        type='mmext.PatchDiscriminator', in_channels=5, width=4, num_layers=layers, norm=norm
    )
    ours = loaded(config, checkpoint_keys.convert_patches(released.state_dict())).train()
    picture = torch.randn(2, 5, 96, 128)
    (made,) = ours(picture)
    torch.testing.assert_close(made[-1], released(picture), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(('layers', 'field'), [(0, 1), (1, 16), (2, 34), (3, 70)])
def test_receptive_field_of_a_patch(layers: int, field: int) -> None:
    network = MODELS.build(
        dict(type='mmext.PatchDiscriminator', num_layers=layers, width=2, norm='none')
    )
    randomized(network)
    picture = torch.randn(1, 3, 160, 160, requires_grad=True)
    logits = network(picture)[0][-1]
    middle = logits.shape[-1] // 2
    (gradient,) = torch.autograd.grad(logits[0, 0, middle, middle], picture)
    seen = gradient[0].abs().sum(0).any(0).nonzero()
    assert int(seen.max() - seen.min()) + 1 == field


def test_a_shift_of_the_stride_shifts_the_map_by_one() -> None:
    network = MODELS.build(dict(type='mmext.PatchDiscriminator', width=4, norm='none'))
    picture = torch.randn(1, 3, 256, 256)
    logits, shifted = network(picture)[0][-1], network(picture.roll(8, -1))[0][-1]
    torch.testing.assert_close(shifted[..., 12:-12, 13:-12], logits[..., 12:-12, 12:-13])


def test_scales_of_the_spade_discriminator() -> None:
    network = MODELS.build(dict(type='mmext.MultiscaleDiscriminator', in_channels=5, width=2))
    scales = network(torch.randn(1, 5, 256, 256))
    sides = [[layer.shape[-1] for layer in layers] for layers in scales]
    assert sides == [[129, 65, 33, 34, 35], [65, 33, 17, 18, 19]]


GENERATORS: list[dict[str, Any]] = [
    dict(type='mmext.ResidualGenerator', width=4, num_blocks=1),
    dict(type='mmext.ResidualGenerator', width=4, num_blocks=1, norm='batch', upsample='deconv'),
    dict(type='mmext.UNetGenerator', width=4, num_downs=3),
    dict(type='mmext.UNetGenerator', width=4, num_downs=3, norm='batch'),
    dict(type='mmext.SPADEGenerator', in_channels=3, width=2, hidden=4),
]


@pytest.mark.parametrize('config', GENERATORS)
@pytest.mark.parametrize(('size', 'atol'), [((37, 50), 1e-5), ((5, 3), 1e-3)])
def test_any_size_and_each_picture_for_itself(
    config: dict[str, Any], size: tuple[int, int], atol: float
) -> None:
    """Norms over a handful of cells that are nearly alike make rounding a hundred times larger."""
    torch.manual_seed(0)
    generator = MODELS.build(config)
    generator.init_weights()
    generator.eval()
    pictures = torch.rand(2, 3, *size) * 2 - 1
    made = generator(pictures)
    assert made.shape == (2, 3, *size)
    alone = torch.cat([generator(picture[None]) for picture in pictures])
    torch.testing.assert_close(made, alone, atol=atol, rtol=1e-4)


def test_resized_maps_leave_no_checkerboard() -> None:
    torch.manual_seed(0)
    generator = MODELS.build(dict(type='mmext.ResidualGenerator', width=8, num_blocks=2))
    generator.init_weights()
    picture = torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        made = generator(picture)

    def highest(values: Tensor) -> float:
        """Share of the energy, without the mean, at the highest frequency along both axes."""
        energy = torch.fft.fft2(values - values.mean((-2, -1), keepdim=True)).abs().square()
        return float((energy[..., 32, :].sum() + energy[..., :, 32].sum()) / energy.sum())

    assert highest(made) <= highest(picture)


def test_start_values() -> None:
    generator = MODELS.build(dict(type='mmext.UNetGenerator', norm='batch', width=16, num_downs=5))
    generator.init_weights()
    weight, norm = generator.downs[3].weight.detach(), generator.up_norms[4]
    scales = norm.weight.detach()
    assert abs(float(weight.mean())) < 1e-3 and abs(float(weight.std()) - 0.02) < 1e-3
    assert abs(float(scales.mean()) - 1) < 0.01 and abs(float(scales.std()) - 0.02) < 0.01
    assert not norm.bias.any() and not generator.ups[0].bias.any()


def test_batch_norm_of_a_test_learns_nothing() -> None:
    norm = PictureBatchNorm(3)
    norm(torch.randn(4, 3, 5, 5))
    before = norm.running_mean.clone()  # type: ignore[union-attr]
    assert before.any()
    norm.eval()
    x = torch.randn(2, 3, 5, 5) * 3 + 1
    out = norm(x)
    assert torch.equal(norm.running_mean, before)  # type: ignore[arg-type]
    torch.testing.assert_close(out.mean((2, 3)), torch.zeros(2, 3), atol=1e-5, rtol=0)


def test_spectral_norm_is_that_of_torch() -> None:
    ours = SpectralConv2d(3, 5, 3)
    theirs = nn.utils.spectral_norm(nn.Conv2d(3, 5, 3), eps=1e-12)
    state = {'weight_orig': ours.weight, 'bias': ours.bias, 'weight_u': ours.u, 'weight_v': ours.v}
    theirs.load_state_dict({key: value.detach().clone() for key, value in state.items()})
    x = torch.randn(2, 3, 8, 8)
    for mode in (True, True, False):
        ours.train(mode), theirs.train(mode)
        torch.testing.assert_close(ours(x), theirs(x))
    for _ in range(60):
        ours.train()(x)
    largest = torch.linalg.matrix_norm(ours.normalized_weight().flatten(1), 2)
    torch.testing.assert_close(largest, torch.ones(()), atol=1e-3, rtol=0)


def test_spatial_norm_by_hand() -> None:
    """Values of the release, run with instance norm and all weights and biases .01."""
    layer = SpatialNorm(2, 3, 'instance')
    for parameter in layer.parameters():
        nn.init.constant_(parameter, 0.01)
    x = torch.arange(32.0).reshape(1, 2, 4, 4)
    condition = torch.zeros(1, 3, 4, 4)
    condition[:, 0, :, :2] = 1
    condition[:, 1, :, 2:] = 1
    out = layer(x, condition)
    first = torch.tensor([-1.865982, -1.655584, -1.308756, -0.967109])
    last = torch.tensor([1.729509, 2.506354, 2.853182, 2.628381])
    torch.testing.assert_close(out[0, 0, 0], first, atol=2e-6, rtol=0)
    torch.testing.assert_close(out[0, 1, 3], last, atol=1e-5, rtol=0)


def test_frozen_networks_pass_gradients_on() -> None:
    judge = nn.Conv2d(3, 1, 1)
    judge.bias.requires_grad_(False)  # type: ignore[union-attr]
    picture = torch.randn(1, 3, 2, 2, requires_grad=True)
    with frozen(judge):
        judge(picture).sum().backward()
    assert picture.grad is not None and judge.weight.grad is None
    assert judge.weight.requires_grad and not judge.bias.requires_grad  # type: ignore[union-attr]


def test_padding_mirrors_or_repeats() -> None:
    x = torch.arange(5.0).reshape(1, 1, 1, 5)
    assert padded(x, 1) is x
    assert padded(x, 4)[0, 0, 0].tolist() == [0, 1, 2, 3, 4, 4, 4, 4]  # a row cannot be mirrored
    tall = torch.arange(15.0).reshape(1, 1, 3, 5)
    assert padded(tall, 4)[0, 0, 0].tolist() == [0, 1, 2, 3, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (dict(type='mmext.ResidualGenerator', norm='group'), 'norm: expected one of instance'),
        (dict(type='mmext.ResidualGenerator', upsample='cubic'), 'upsample: expected one of'),
        (dict(type='mmext.UNetGenerator', num_downs=1), 'num_downs: expected at least 2'),
        (dict(type='mmext.PatchDiscriminator', num_layers=-1), 'num_layers: expected at least 0'),
        (dict(type='mmext.SPADEGenerator', in_channels=3, num_ups=4), 'num_ups: expected 5 or 6'),
        (dict(type='mmext.SPADEGenerator', in_channels=3, norm='none'), 'norm: expected one of'),
    ],
)
def test_wrong_options_are_named(config: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        MODELS.build(config)
