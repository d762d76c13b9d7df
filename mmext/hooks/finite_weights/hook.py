"""Stops a training whose weights are not finite, before it saves or evaluates them."""

from collections.abc import Iterator
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from mmext.hooks.mixed_precision.hook import MixedPrecisionHook
from mmext.hooks.mixed_precision.overflow import ADVICE, DivergedError
from mmext.hooks.mixed_precision.wrapper_exchange import sharding, wrappers_of
from mmext.hooks.saving_times import saves_after_iter
from mmext.registry import HOOKS


@HOOKS.register_module()
class FiniteWeightsHook(Hook):
    """Keeps infinities and NaN out of the weights and out of the checkpoints.

    A step whose gradients are not finite is skipped in every precision. Where the run has no
    :class:`~mmext.hooks.mixed_precision.hook.MixedPrecisionHook`, this hook lets a plain
    ``OptimWrapper`` do so; other wrappers keep their own rules. The weights that learn, and the
    statistics of BatchNorm, are looked at before the first step, before each validation,
    checkpoint and test. All ranks take the same decisions.

    Args:
        patience: skipped steps in a row that end the run, in a run without ``MixedPrecisionHook``.

    Raises:
        DivergedError: the weights are not finite, or none of the last half of the steps was taken.
    """

    priority = 'VERY_HIGH'  # before validation, and before a checkpoint is replaced by a new one

    def __init__(self, patience: int = 50) -> None:
        self._skipping = MixedPrecisionHook(
            precision='fp32', patience=patience, on_overflow='abort'
        )

    def before_run(self, runner: Runner) -> None:
        """Skip bad steps, if no other hook does."""
        wrapper = runner.optim_wrapper
        has_hook = any(isinstance(hook, MixedPrecisionHook) for hook in runner.hooks)
        is_built = isinstance(wrapper, OptimWrapper | OptimWrapperDict)
        if has_hook or not is_built or sharding(runner):
            return
        if all(type(each) is OptimWrapper for each in wrappers_of(wrapper)):
            self._skipping.before_run(runner)

    def before_train(self, runner: Runner) -> None:
        """Refuse to start from weights that are not finite."""
        check_weights(runner, 'the training cannot start: ')

    def before_test(self, runner: Runner) -> None:
        """Refuse to evaluate weights that are not finite."""
        check_weights(runner, 'nothing to evaluate: ', advice='Take another checkpoint')

    def before_val(self, runner: Runner) -> None:
        """Refuse to evaluate weights that are not finite."""
        check_weights(runner, f'{_stopped(runner)}: ')

    def after_train_iter(self, runner: Runner, *arguments: Any, **keywords: Any) -> None:
        """Look at the weights when a checkpoint is due."""
        if self.is_last_train_iter(runner) or saves_after_iter(runner):
            check_weights(runner, f'{_stopped(runner)}: ')

    def after_train_epoch(self, runner: Runner) -> None:
        """Look at the weights before a checkpoint of the epoch."""
        check_weights(runner, f'{_stopped(runner)}: ')

    def after_train(self, runner: Runner) -> None:
        """Fail a training that learned nothing in more than its last half."""
        wrappers = wrappers_of(runner.optim_wrapper)
        logs = [each.overflow for each in wrappers if hasattr(each, 'overflow')]
        if logs and all(log.in_a_row > log.steps / 2 for log in logs):
            last = max(logs, key=lambda log: log.steps)
            raise DivergedError(
                f'nothing was learned at the end: the last {last.in_a_row} of {last.steps} steps '
                f'were skipped, because their gradients were not finite. {ADVICE}'
            )

    def after_run(self, runner: Runner) -> None:
        """Leave the host's classes as they were."""
        self._skipping.after_run(runner)


def check_weights(runner: Runner, intro: str, advice: str = ADVICE) -> None:
    """Fail on all ranks if the weights of one are not finite.

    Args:
        runner: of the model.
        intro: beginning of the message.
        advice: its end.

    Raises:
        DivergedError: naming the first weight.
    """
    named = list(_watched(runner.model))
    if not named:
        return
    norms = torch._foreach_norm([tensor.detach() for _, tensor in named], torch.inf)
    bad = torch.stack([~norm.isfinite().to(norms[0].device) for norm in norms])
    found = bad.any().int()
    all_reduce(found, 'max')
    if not found:
        return
    name = named[int(bad.int().argmax())][0] if bad.any() else 'a weight of another rank'
    where = f' Weights were loaded from {runner._load_from}.' if runner._load_from else ''
    raise DivergedError(
        f'{intro}{name} is not finite ({int(bad.sum())} such tensors).{where} {advice}'
    )


def _watched(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """What learns, and the running statistics of BatchNorm."""
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and parameter.numel():
            yield name, parameter
    for path, module in model.named_modules():
        if isinstance(module, _NormBase):
            for name, buffer in module.named_buffers(recurse=False):
                if buffer.is_floating_point() and buffer.numel():
                    yield f'{path}.{name}', buffer


def _stopped(runner: Runner) -> str:
    return f'training stopped at iteration {runner.iter + 1}'
