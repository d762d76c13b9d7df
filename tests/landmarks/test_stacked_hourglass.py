"""Released networks, restated by their names, against ours with the same weights."""

from collections.abc import Callable

import pytest
import torch
from mmengine.config import Config
from original_networks import Weights
from released_hourglasses import fan, princeton, pytorch_pose
from torch import nn

from mmext.configuration import load_config
from mmext.formats.checkpoint_keys import Converted
from mmext.inference.checkpoint_systems import (
    SYSTEMS,
    advice,
    build_without_values,
    differences,
)
from mmext.landmarks.checkpoint_keys import convert_fan, convert_princeton, convert_pytorch_pose
from mmext.landmarks.stacked_hourglass import StackedHourglass


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(('stacks', 'parameters'), [(1, 3426448), (2, 6570400), (8, 25434112)])
def test_parameters_are_those_of_the_paper(stacks: int, parameters: int) -> None:
    with torch.device('meta'):
        assert count(StackedHourglass(16, stacks)) == parameters
        pytorch_pose_stem = StackedHourglass(16, stacks, stem_channels=(64, 128, 256))
    assert count(pytorch_pose_stem) == parameters + 160512


def released(
    network: Callable, points: int, stacks: int, width: int, **others: int
) -> tuple[Weights, torch.Tensor, list[torch.Tensor]]:
    torch.manual_seed(0)
    weights, image = Weights(), torch.randn(2, 3, 64, 128)
    with torch.no_grad():
        return weights, image, network(weights, image, points, stacks, width, **others)


def check(converted: Converted, model: nn.Module, image: torch.Tensor, maps: list) -> None:
    state = {key.removeprefix('backbone.'): value for key, value in converted.state.items()}
    assert len(state) == len(converted.state)
    model.load_state_dict(state, strict=True)
    with torch.no_grad():
        found = model.eval()(image)
    assert len(found) == len(maps)
    for ours, theirs in zip(found, maps, strict=True):
        assert (ours - theirs).abs().max() <= 1e-5 * max(1.0, float(theirs.abs().max()))


def test_pytorch_pose() -> None:
    weights, image, maps = released(pytorch_pose, 3, 2, 16, blocks=2)
    exported = {f'module.{name}': value for name, value in weights.items()}
    model = StackedHourglass(3, 2, channels=16, num_blocks=2, stem_channels=(4, 8, 16))
    converted = convert_pytorch_pose(exported)
    check(converted, model, image, maps)
    assert not converted.dropped


def test_princeton() -> None:
    weights, image, maps = released(princeton, 3, 2, 16)
    exported = {f'model.module.{name}': value for name, value in weights.items()}
    model = StackedHourglass(3, 2, channels=16, stem_channels=(4, 8, 8))
    converted = convert_princeton(exported)
    check(converted, model, image, maps)
    # the stem's second residual, and all of the hourglasses and after them
    assert len(converted.dropped) == 2 * (1 + 2 * (4 * 3 + 1 + 1))
    plain = convert_princeton(weights)
    assert list(plain.state) == list(converted.state)


def test_fan() -> None:
    weights, image, maps = released(fan, 5, 3, 16)
    model = StackedHourglass(5, 3, 'concat', channels=16, stem_channels=(4, 8, 8))
    converted = convert_fan(weights)
    check(converted, model, image, maps)
    assert not converted.dropped


@pytest.mark.parametrize(
    ('network', 'points', 'stacks', 'entries', 'parameters'),
    [
        (pytorch_pose, 16, 2, 684, 6730912),
        (princeton, 16, 2, None, 8429088),
        (fan, 68, 4, 1129, 23820176),
    ],
)
def test_restatements_are_of_the_published_sizes(
    network: Callable, points: int, stacks: int, entries: int | None, parameters: int
) -> None:
    """So that the names above are all that the released files have."""
    weights, image = Weights(), torch.zeros(1, 3, 64, 64)
    with torch.no_grad():
        network(weights, image, points, stacks)
    if entries is not None:
        assert len(weights) == entries
    kinds = ('running_mean', 'running_var', 'num_batches_tracked')
    learned = [value.numel() for name, value in weights.items() if not name.endswith(kinds)]
    assert sum(learned) == parameters


@pytest.mark.parametrize(
    ('network', 'points', 'stacks', 'system', 'config', 'dropped'),
    [
        (pytorch_pose, 16, 2, 'hourglass-pytorch-pose', 'hourglass2_pytorch-pose_mpii', 0),
        (princeton, 16, 2, 'hourglass-princeton', 'hourglass2_mpii', 58),
        (fan, 68, 4, 'fan', 'fan4_300w', 0),
    ],
)
def test_released_files_are_those_of_the_configs(
    network: Callable, points: int, stacks: int, system: str, config: str, dropped: int
) -> None:
    weights, image = Weights(), torch.zeros(1, 3, 64, 64)
    with torch.no_grad():
        network(weights, image, points, stacks)
    converted = SYSTEMS[system].convert(weights)
    file = f'landmarks/{config}.py'
    assert file in SYSTEMS[system].configs
    model = build_without_values(load_config(f'mmext::{file}'))
    assert differences(converted.state, model) == []
    assert len(converted.dropped) == dropped
    assert len(converted.state) == len(model.state_dict())
    others = Config(dict(model=dict(type='mmext.StackedHourglass', num_points=3)))
    assert f'it is of {system}, convert it with: ' in advice(weights, 'a.pth', others)


def test_unknown_keys_are_refused() -> None:
    for convert in (convert_pytorch_pose, convert_princeton, convert_fan):
        with pytest.raises(ValueError, match='1 of 2 keys are unknown: classifier'):
            convert({'classifier.weight': torch.ones(1), _known(convert): torch.ones(1)})


def _known(convert: Callable) -> str:
    return 'pre.0.conv.weight' if convert is convert_princeton else 'conv1.weight'


@pytest.mark.parametrize('block', ['bottleneck', 'concat'])
def test_every_parameter_gets_a_gradient(block: str) -> None:
    torch.manual_seed(0)
    model = StackedHourglass(3, 2, block, channels=8, stem_channels=(4, 4, 8))
    maps = model(torch.randn(2, 3, 64, 64))
    assert [list(m.shape) for m in maps] == [[2, 3, 16, 16]] * 2
    sum(m.square().mean() for m in maps).backward()
    unused = [name for name, p in model.named_parameters() if p.grad is None]
    assert not unused


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match=r'block: expected one of .*bottleneck'):
        StackedHourglass(3, block='residual')
    with pytest.raises(ValueError, match='num_stacks'):
        StackedHourglass(3, num_stacks=0)
    model = StackedHourglass(3, 1, channels=8, stem_channels=(4, 4, 8))
    with pytest.raises(ValueError, match=r'divisible by 64, got 96 x 64 \(width x height\)'):
        model(torch.zeros(1, 3, 64, 96))
