"""Infinities and NaN in a training: skipped steps, weights, checkpoints; on mmengine's runner."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from precision_training import Net, make_runner

from mmext.errors import InputError
from mmext.hooks.finite_weights.hook import FiniteWeightsHook
from mmext.hooks.mixed_precision.overflow import DivergedError


def runner_of(work_dir: Path, iterations: int = 8, **changes: Any) -> Any:
    """A runner in fp32 with the hook, and without the hook for mixed precision."""
    finite = changes.pop('finite', {})
    runner = make_runner(work_dir, iterations, **{'hook': None, **changes})
    runner.register_hook(FiniteWeightsHook(**finite))
    return runner


def model_of(*burst: int) -> Net:
    model = Net()
    model.burst = set(burst)
    return model


def is_finite(model: torch.nn.Module) -> bool:
    return all(tensor.isfinite().all() for tensor in model.state_dict().values())


@pytest.mark.parametrize('hook', [None, {'precision': 'fp32'}], ids=['without hook', 'with hook'])
def test_a_bad_step_in_fp32_is_skipped_and_counted(
    hook: dict[str, Any] | None, tmp_path: Path
) -> None:
    seen = []
    model = model_of(2)

    def note(runner: Any) -> None:
        seen.append(torch.cat([p.detach().flatten().clone() for p in model.parameters()]))

    runner = runner_of(tmp_path, 5, model=model, hook=hook, each=note)
    runner.train()
    assert is_finite(model)  # BatchNorm's statistics as well
    assert (runner.optim_wrapper.overflow.skipped, runner.optim_wrapper.overflow.steps) == (1, 5)
    moved = [bool((a != b).any()) for a, b in pairwise(seen)]
    assert moved == [True, False, True, True]


def test_a_run_without_bad_steps_is_the_same_to_the_bit(tmp_path: Path) -> None:
    plain, watched = Net(), Net()
    watched.load_state_dict(plain.state_dict())
    make_runner(tmp_path / 'plain', 8, model=plain, hook=None).train()
    runner_of(tmp_path / 'watched', 8, model=watched).train()
    for name, expected in plain.state_dict().items():
        assert torch.equal(watched.state_dict()[name], expected), name


@pytest.mark.parametrize('precision', [None, 'bf16', 'fp16'])
@pytest.mark.parametrize('first', [0, 1])
def test_a_training_of_skipped_steps_fails(
    first: int, precision: str | None, tmp_path: Path
) -> None:
    hook = {'precision': precision} if precision else None
    runner = runner_of(tmp_path, 4, model=model_of(*range(first, 4)), hook=hook)
    # fp16 begins with a high loss scale: its first step may be skipped as well
    last = f'({4 - first}|4)' if precision == 'fp16' else f'{4 - first}'
    with pytest.raises(InputError, match=rf'the last {last} of 4 steps were skipped'):
        runner.train()


def test_a_training_that_learned_at_the_end_does_not(tmp_path: Path) -> None:
    """As fp16 does that looks for its scale."""
    runner_of(tmp_path, 4, model=model_of(0, 1, 2)).train()
    runner_of(tmp_path / 'other', 4, model=model_of(2, 3)).train()


def test_skips_in_a_row_end_the_run(tmp_path: Path) -> None:
    model = model_of(*range(1, 8))
    with pytest.raises(DivergedError, match=r'3 steps in a row .* Lower the learning rate'):
        runner_of(tmp_path, 8, model=model, finite={'patience': 3}).train()
    assert is_finite(model) and model.seen == 4


@pytest.mark.parametrize('place', ['head.weight', 'norm.running_var'])
def test_no_start_from_weights_that_are_not_finite(place: str, tmp_path: Path) -> None:
    model = Net()
    model.state_dict()[place][-1] = float('nan')
    expected = f'the training cannot start: {re.escape(place)} is not finite'
    with pytest.raises(DivergedError, match=expected):
        runner_of(tmp_path, model=model).train()
    assert model.seen == 0
    with pytest.raises(DivergedError, match=f'nothing to evaluate: {re.escape(place)}'):
        runner_of(tmp_path, model=model).test()


@pytest.mark.parametrize('by_epoch', [False, True])
def test_no_bad_checkpoint_takes_the_place_of_a_good_one(by_epoch: bool, tmp_path: Path) -> None:
    """Mmengine removes the old one first."""

    def spoil(runner: Any) -> None:
        if runner.iter == 13:
            runner.model.head.bias.data.fill_(float('inf'))

    saving = {'type': 'CheckpointHook', 'by_epoch': by_epoch, 'max_keep_ckpts': 1}
    loop = (
        {'by_epoch': True, 'max_epochs': 2, 'val_interval': 1000}
        if by_epoch
        else {'by_epoch': False, 'max_iters': 24, 'val_interval': 1000}
    )
    runner = runner_of(
        tmp_path, each=spoil, train_cfg=loop,
        default_hooks={'checkpoint': {**saving, 'interval': 1 if by_epoch else 12}},
    )  # fmt: skip
    with pytest.raises(DivergedError, match=r'training stopped at iteration \d+: head.bias'):
        runner.train()
    kept = [path.name for path in tmp_path.glob('*.pth')]
    assert kept == ['epoch_1.pth' if by_epoch else 'iter_12.pth']
    state = torch.load(tmp_path / kept[0], weights_only=False)['state_dict']
    assert all(tensor.isfinite().all() for tensor in state.values())


def test_weights_are_looked_at_before_a_validation(tmp_path: Path) -> None:
    def spoil(runner: Any) -> None:
        if runner.iter == 3:
            runner.model.conv.weight.data[0] = float('nan')

    runner = runner_of(
        tmp_path, 8, each=spoil, train_cfg={'by_epoch': False, 'max_iters': 8, 'val_interval': 2},
        default_hooks={'checkpoint': None},
    )  # fmt: skip
    with pytest.raises(DivergedError, match=r'stopped at iteration \d: conv.weight is not finite'):
        runner.train()
    assert runner.model.seen == 4


def test_frozen_weights_and_wrappers_of_others_are_left_alone(tmp_path: Path) -> None:
    from mmengine.optim import OptimWrapper

    class Other(OptimWrapper):
        """Not known to us."""

    model = Net()
    model.loss_module.register_parameter(
        'unused', torch.nn.Parameter(torch.full((1,), torch.nan), requires_grad=False)
    )
    wrapper = Other(torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1))
    runner = runner_of(tmp_path, 2, model=model, optim_wrapper=wrapper)
    runner.train()
    assert runner.optim_wrapper is wrapper
