"""Puts the optimizer wrapper that skips bad steps in the place of the one that a config built."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from mmengine.hooks import EMAHook, Hook, ParamSchedulerHook
from mmengine.logging import MessageHub
from mmengine.optim import AmpOptimWrapper, OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from torch import nn

from mmext.errors import InputError
from mmext.hooks.mixed_precision.op_guards import OpGuards
from mmext.hooks.mixed_precision.optim_wrapper import PrecisionOptimWrapper
from mmext.hooks.mixed_precision.patches import Patches, owner_of
from mmext.hooks.mixed_precision.scaler import make_scaler
from mmext.hooks.mixed_precision.settings import PrecisionSettings

_KNOWN = (OptimWrapper, AmpOptimWrapper)  # of a derived class nobody knows what its step does
_SHARDING = (
    ('FSDP', 'FullySharded'),
    ('FSDP', 'FSDP'),
    ('DeepSpeed', 'DeepSpeed'),
    ('ColossalAI', 'ColossalAI'),
)


def replace_wrapper(runner: Runner, guards: OpGuards | None, settings: PrecisionSettings) -> None:
    """Replace the runner's optimizer wrapper, also where its schedulers hold it.

    Args:
        runner: with built optimizers.
        guards: what keeps modules in fp32; None in a run in fp32.
        settings: with the precision settled.

    Raises:
        InputError: a wrapper cannot be replaced, or contradicts the options.
    """
    old = runner.optim_wrapper
    if isinstance(old, OptimWrapperDict):
        replaced = {name: _replacement(w, settings) for name, w in old.items()}
        runner.optim_wrapper = OptimWrapperDict(**replaced)
    else:
        runner.optim_wrapper = _replacement(old, settings)
    for scheduler in _schedulers(runner):
        for before, after in zip(wrappers_of(old), wrappers_of(runner.optim_wrapper), strict=True):
            if scheduler.optimizer is before:
                scheduler.optimizer = after
    for wrapper in wrappers_of(runner.optim_wrapper):
        wrapper.attach(runner.model, guards)
        check_step_size(wrapper)


def hold_hooks_on_skip(runner: Runner, patches: Patches) -> None:
    """Let iteration schedulers and the moving average of the weights wait on skipped steps."""

    def make(after_train_iter: Callable[..., None]) -> Callable[..., None]:
        def unless_skipped(hook: Hook, runner: Runner, *args: Any, **kwargs: Any) -> None:
            skipped = any(
                getattr(wrapper, 'step_was_skipped', False)
                for wrapper in wrappers_of(runner.optim_wrapper)
            )
            if not skipped:
                after_train_iter(hook, runner, *args, **kwargs)

        return unless_skipped

    classes = {
        owner_of(type(hook), 'after_train_iter')
        for hook in runner.hooks
        if isinstance(hook, EMAHook | ParamSchedulerHook)
    }
    for cls in classes:
        patches.wrap(cls, 'after_train_iter', make)


def check_step_size(wrapper: OptimWrapper) -> None:
    """Take a step of known size with a wrapper's own methods; it is left as it was.

    A scaled backward pass followed by a step that does not unscale trains with gradients that
    are tens of thousands of times too large, without any error.

    Raises:
        RuntimeError: the step had another size.
    """
    weight = nn.Parameter(
        torch.ones(1, device=wrapper.optimizer.param_groups[0]['params'][0].device)
    )
    saved = dict(vars(wrapper))
    vars(wrapper).update(
        optimizer=torch.optim.SGD([weight], lr=0.5),
        scaler=make_scaler(weight.device.type, 'dynamic', wrapper.scaler.is_enabled()),
        message_hub=MessageHub('step size'),
        overflow=type(wrapper.overflow)(1, 'abort'),
        clip_grad_kwargs=None,
        _accumulative_counts=1,
    )
    try:
        wrapper.update_params(weight.sum())
    finally:
        vars(wrapper).clear()
        vars(wrapper).update(saved)
    step = 1 - float(weight.detach())
    if step != 0.5:
        raise RuntimeError(
            f'{type(wrapper).__name__}: a gradient of 1 at learning rate 0.5 moved a weight by '
            f'{step:g}, expected 0.5: something replaced the methods of the optimizer wrapper'
        )


def refuse_sharding(runner: Any) -> None:
    """Refuse what brings mixed precision of its own.

    Raises:
        InputError: naming it.
    """
    if found := sharding(runner):
        raise InputError(
            f'MixedPrecisionHook: {found} shards the weights and has mixed precision of '
            'its own; set it there and remove the hook, expected a plain or DDP model'
        )


def sharding(runner: Any) -> str | None:
    """What keeps only a part of the weights on each rank, with its class; None if nothing does."""
    parts = [
        type(runner.model),
        type(runner.optim_wrapper),
        type(getattr(runner, 'strategy', None)),
    ]
    for part in parts:
        for name, mark in _SHARDING:
            if any(mark in cls.__name__ for cls in part.__mro__):
                return f'{name} ({part.__name__})'
    return None


def _replacement(old: OptimWrapper, settings: PrecisionSettings) -> PrecisionOptimWrapper:
    if isinstance(old, PrecisionOptimWrapper):
        if old.choice.name != settings.precision:
            raise InputError(
                f'optim_wrapper says precision {old.choice.name}, MixedPrecisionHook '
                f'{settings.precision}; expected the same'
            )
        patterns = old.settings.patterns
        if any(patterns.values()) and patterns != settings.patterns:
            raise InputError(
                f'optim_wrapper has the patterns {patterns}, MixedPrecisionHook others: '
                'expected them in one place'
            )
        return old
    if type(old) not in _KNOWN:
        raise InputError(
            f'MixedPrecisionHook: expected an OptimWrapper or AmpOptimWrapper to replace, '
            f'got {type(old).__name__}; derive it from PrecisionOptimWrapper and say the precision '
            'there, or take the hook out'
        )
    return PrecisionOptimWrapper.replacing(old, **vars(settings))


def is_replaceable(wrapper: Any) -> bool:
    """Whether every wrapper of a run can become one that skips steps that are not finite."""
    return all(
        type(each) in _KNOWN or isinstance(each, PrecisionOptimWrapper)
        for each in wrappers_of(wrapper)
    )


def wrappers_of(wrapper: Any) -> list[Any]:
    """The optimizer wrappers in one for several optimizers, or the only one."""
    return list(wrapper.values()) if isinstance(wrapper, OptimWrapperDict) else [wrapper]


def _schedulers(runner: Runner) -> Iterator[Any]:
    schedulers = runner.param_schedulers or []
    for group in schedulers.values() if isinstance(schedulers, dict) else [schedulers]:
        yield from group
