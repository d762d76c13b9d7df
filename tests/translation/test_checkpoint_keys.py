"""Released checkpoints: every name and shape has its place, nothing else has."""

from typing import Any

import pytest
import torch
from released_networks import PatchGAN, ResnetGenerator, UNet
from torch import Tensor

from mmext.configuration import load_config
from mmext.errors import InputError
from mmext.inference.checkpoint_systems import SYSTEMS, build_without_values, differences
from mmext.translation import checkpoint_keys


def spade_shapes(labels: int) -> dict[str, Tensor]:
    """Names and shapes of a SPADE generator, from its paper and the names of its release."""
    shapes: dict[str, tuple[int, ...]] = {}

    def put(name: str, *shape: int, bias: bool = True) -> None:
        shapes[f'{name}.weight'] = shape
        if bias:
            shapes[f'{name}.bias'] = shape[:1]

    def spectral(name: str, out: int, low: int, size: int, bias: bool = True) -> None:
        shapes[f'{name}.weight_orig'] = (out, low, size, size)
        shapes[f'{name}.weight_u'] = (out,)
        shapes[f'{name}.weight_v'] = (low * size * size,)
        if bias:
            shapes[f'{name}.bias'] = (out,)

    def norm(name: str, channels: int) -> None:
        for kind in ('running_mean', 'running_var'):
            shapes[f'{name}.param_free_norm.{kind}'] = (channels,)
        shapes[f'{name}.param_free_norm.num_batches_tracked'] = ()
        put(f'{name}.mlp_shared.0', 128, labels, 3, 3)
        put(f'{name}.mlp_gamma', channels, 128, 3, 3)
        put(f'{name}.mlp_beta', channels, 128, 3, 3)

    put('fc', 1024, labels, 3, 3)
    put('conv_img', 3, 64, 3, 3)
    widths = dict(head_0=(1024, 1024), G_middle_0=(1024, 1024), G_middle_1=(1024, 1024))
    widths |= dict(up_0=(1024, 512), up_1=(512, 256), up_2=(256, 128), up_3=(128, 64))
    for block, (low, high) in widths.items():
        middle = min(low, high)
        spectral(f'{block}.conv_0', middle, low, 3)
        spectral(f'{block}.conv_1', high, middle, 3)
        norm(f'{block}.norm_0', low)
        norm(f'{block}.norm_1', middle)
        if low != high:
            spectral(f'{block}.conv_s', high, low, 1, bias=False)
            norm(f'{block}.norm_s', low)
    return {name: torch.empty(shape, device='meta') for name, shape in shapes.items()}


def spade_judge_shapes(channels: int) -> dict[str, Tensor]:
    """Names and shapes of both scales of its discriminator."""
    shapes: dict[str, tuple[int, ...]] = {}
    for scale in (0, 1):
        name = f'discriminator_{scale}.model'
        shapes |= {f'{name}0.0.weight': (64, channels, 4, 4), f'{name}0.0.bias': (64,)}
        shapes |= {f'{name}4.0.weight': (1, 512, 4, 4), f'{name}4.0.bias': (1,)}
        for layer, (low, high) in enumerate(((64, 128), (128, 256), (256, 512)), 1):
            conv = f'{name}{layer}.0.0.weight'
            shapes |= {f'{conv}_orig': (high, low, 4, 4), f'{conv}_u': (high,)}
            shapes[f'{conv}_v'] = (low * 16,)
    return {name: torch.empty(shape, device='meta') for name, shape in shapes.items()}


def released(name: str) -> list[dict[str, Tensor]]:
    """A state dict for each config of a system."""
    with torch.device('meta'):
        networks: dict[str, Any] = {
            'cyclegan-generator': lambda: [ResnetGenerator(64, 9).state_dict()],
            'cyclegan-discriminator': lambda: [PatchGAN(3, 64, 3, False).state_dict()],
            'pix2pix-generator': lambda: [UNet(3, 64, 8).state_dict()],
            'pix2pix-discriminator': lambda: [PatchGAN(6, 64, 3, True).state_dict()],
            'spade-generator': lambda: [spade_shapes(184), spade_shapes(36)],
            'spade-discriminator': lambda: [spade_judge_shapes(187), spade_judge_shapes(39)],
        }
        return networks[name]()


@pytest.mark.parametrize('name', [n for n in SYSTEMS if n.split('-')[0] in
                                  ('cyclegan', 'pix2pix', 'spade')])  # fmt: skip
def test_every_weight_has_its_place(name: str) -> None:
    system = SYSTEMS[name]
    for state, file in zip(released(name), system.configs, strict=True):
        converted = system.convert(state)
        assert not converted.dropped and len(converted.state) == len(state)
        module = build_without_values(load_config(f'mmext::{file}'), system.part)
        assert differences(converted.state, module) == []


def test_old_statistics_of_instance_norms_are_dropped() -> None:
    state = dict(ResnetGenerator(4, 2).state_dict())
    for name in (
        'model.2',
        'model.5',
        'model.10.conv_block.2',
        'model.11.conv_block.6',
        'model.13',
    ):
        for kind in ('running_mean', 'running_var', 'num_batches_tracked'):
            state[f'module.{name}.{kind}'] = torch.zeros(4)
    state = {key if key.startswith('module.') else f'module.{key}': v for key, v in state.items()}
    converted = checkpoint_keys.convert_residual(state)
    assert len(converted.dropped) == 15
    assert 'module.model.2.running_mean' in converted.dropped
    assert not [key for key in converted.state if 'running' in key]


def test_pixels_have_their_place() -> None:
    shapes = {'net.0': (64, 3, 1, 1), 'net.2': (128, 64, 1, 1), 'net.5': (1, 128, 1, 1)}
    state = {f'{name}.weight': torch.zeros(shape) for name, shape in shapes.items()}
    state |= {f'{name}.bias': torch.zeros(shape[:1]) for name, shape in shapes.items()}
    converted = checkpoint_keys.convert_patches(state)
    assert {'convs.0.weight', 'convs.1.weight', 'head.bias'} <= set(converted.state)


@pytest.mark.parametrize(
    ('convert', 'state', 'message'),
    [
        (checkpoint_keys.convert_residual, UNet(3, 2, 3).state_dict(), 'of a residual block'),
        (checkpoint_keys.convert_unet, ResnetGenerator(2, 1).state_dict(), 'of a level of a U-Net'),
        (
            checkpoint_keys.convert_patches,
            {'a.weight': torch.zeros(1)},
            'keys are unknown: a.weight',
        ),
        (checkpoint_keys.convert_spade, {'up_9.x': torch.zeros(1)}, 'keys are unknown: up_9.x'),
        (checkpoint_keys.convert_spade_discriminator, {'d': torch.zeros(1)}, 'unknown: d'),
        (
            checkpoint_keys.convert_residual,
            {**ResnetGenerator(2, 1).state_dict(), 'model.99.weight': torch.zeros(1)},
            'unknown: model.99.weight',
        ),
    ],
)
def test_other_weights_are_refused(convert: Any, state: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        convert(dict(state))
