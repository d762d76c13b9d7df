"""``MixedPrecisionHook``: one line in ``default_hooks`` and a run is in mixed precision.

The hook acts at the start of the run, before every other hook and before a checkpoint is
loaded: it puts :class:`.optim_wrapper.PrecisionOptimWrapper` in the place of the runner's
optimizer wrapper, installs the guards and lets validation and test run under autocast too.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any
from weakref import finalize, ref

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import BaseLoop, Runner
from torch import nn

from mmext.hooks.mixed_precision.casting import to_float32
from mmext.hooks.mixed_precision.memory_order import (
    Retreat,
    align_state,
    use_channels_last,
    wants_channels_last,
)
from mmext.hooks.mixed_precision.op_guards import OpGuards
from mmext.hooks.mixed_precision.patches import Patches, owner_of
from mmext.hooks.mixed_precision.policy import Choice, choose_precision
from mmext.hooks.mixed_precision.settings import PrecisionSettings
from mmext.hooks.mixed_precision.verification import DtypeCensus
from mmext.hooks.mixed_precision.wrapper_exchange import (
    hold_hooks_on_skip,
    is_replaceable,
    refuse_sharding,
    replace_wrapper,
    wrappers_of,
)
from mmext.registry import HOOKS

_STEPS = ('train_step', 'val_step', 'test_step')


@HOOKS.register_module(name=['MixedPrecisionHook', 'Fp16Hook'])
class MixedPrecisionHook(Hook):
    """Runs training, validation and test in mixed precision.

    .. code-block:: python

        default_hooks = dict(precision=dict(type='mmext.MixedPrecisionHook'))

    Args:
        val: validation and test in the same precision; predictions come back in float32.
        hold_on_skip: on a step skipped for gradients that are not finite, schedulers that count
            iterations, and the moving average of the weights, wait.
        channels_last: keep convolutions and their results in that memory format; 'auto': where
            that was measured to be faster, see :func:`.memory_order.wants_channels_last`. Without
            effect in fp32.
        verify: fail after the first iteration if nothing ran in half precision or something
            did that must not.
        **settings: :class:`.settings.PrecisionSettings`: ``precision``, ``loss_scale``,
            ``fp32_modules``, ``low_precision_modules``, ``patience``, ``on_overflow``.
    """

    priority = 'HIGHEST'  # before hooks that copy the model or keep the optimizer wrapper

    def __init__(
        self,
        val: bool = True,
        hold_on_skip: bool = True,
        channels_last: bool | str = 'auto',
        verify: bool = False,
        **settings: Any,
    ) -> None:
        self.settings = PrecisionSettings(**settings)
        self.val = val
        self.hold_on_skip = hold_on_skip
        self.channels_last = channels_last
        self.verify = verify
        self._patches = Patches()
        self._guards: OpGuards | None = None

    def before_run(self, runner: Runner) -> None:
        """Set everything up."""
        self._undo()  # what a run that was aborted left
        try:
            self._set_up(runner)
        except Exception:
            self._undo()
            raise

    def _set_up(self, runner: Runner) -> None:
        refuse_sharding(runner)
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        device_type = next(model.parameters()).device.type
        choice = choose_precision(self.settings.precision, device_type)
        runner.logger.info(f'mixed precision: {choice.name} on {device_type} ({choice.reason})')
        if choice.warning:
            runner.logger.warning(choice.warning)
        if choice.name != 'fp32':
            self._lower_precision(runner, model, choice)
        self._remove_on_error(runner)
        built = isinstance(runner.optim_wrapper, OptimWrapper | OptimWrapperDict)  # it trains
        if built and (choice.name != 'fp32' or is_replaceable(runner.optim_wrapper)):
            settled = replace(self.settings, precision=choice.name)
            replace_wrapper(runner, self._guards, settled)
            if self.hold_on_skip:
                hold_hooks_on_skip(runner, self._patches)

    def _lower_precision(self, runner: Runner, model: Any, choice: Choice) -> None:
        device_type = next(model.parameters()).device.type
        wrapped = is_model_wrapper(runner.model)
        if wants_channels_last(self.channels_last, choice, device_type, wrapped):
            self._take_channels_last(runner, model)
        self._guards = OpGuards(model, device_type, choice.dtype, **self.settings.patterns)
        self._guards.install()
        runner.logger.info(f'kept in fp32: {self._guards.describe()}')
        if self.val:
            self._autocast_predictions(model, device_type, choice)

    def _take_channels_last(self, runner: Runner, model: Any) -> None:
        runner.logger.info('maps lie channels last: fewer copies around convolutions')
        use_channels_last(model)
        own = ref(runner)  # the runner must not be kept alive by the patch

        def optimizers() -> list[torch.optim.Optimizer]:
            wrapper = getattr(own(), 'optim_wrapper', None)
            return [w.optimizer for w in wrappers_of(wrapper) if isinstance(w, OptimWrapper)]

        for optimizer in optimizers():
            align_state(optimizer)
        retreat = Retreat(model, optimizers)
        for name in _STEPS:
            if hasattr(model, name):
                self._patches.wrap(owner_of(type(model), name), name, retreat.around)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Start counting dtypes."""
        if self.verify and self._guards is not None:
            census = DtypeCensus(self._guards)
            for wrapper in wrappers_of(runner.optim_wrapper):
                wrapper.census = census

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Check the dtypes that were counted."""
        if not self.verify or self._guards is None:
            return
        self.verify = False
        census = None
        for wrapper in wrappers_of(runner.optim_wrapper):
            census, wrapper.census = wrapper.census, None
        if census is not None:
            census.check()
            runner.logger.info(f'{census.describe()}; guards: {self._guards.describe_fired()}')

    def after_run(self, runner: Runner) -> None:
        """Take the guards away."""
        if self._guards is not None:
            runner.logger.info(f'fp32 guards fired: {self._guards.describe_fired()}')
        self._undo()

    def _undo(self) -> None:
        _remove(self._guards, self._patches)
        self._guards = None

    def _remove_on_error(self, runner: Runner) -> None:
        """Take the guards away when the run raises: it has no ``after_run`` then."""
        remove = partial(_remove, self._guards, self._patches)
        finalize(runner, remove)  # raised outside of the loop
        own = ref(runner)  # the runner must not be kept alive by the patch

        def make(run: Callable[..., Any]) -> Callable[..., Any]:
            def removing(loop: BaseLoop, *args: Any, **kwargs: Any) -> Any:
                try:
                    return run(loop, *args, **kwargs)
                except BaseException:
                    if loop.runner is own():
                        remove()
                    raise

            return removing

        loops = (
            runner._train_loop,
            runner._val_loop,
            runner._test_loop,
        )  # the others are not built
        for cls in {owner_of(type(loop), 'run') for loop in loops if isinstance(loop, BaseLoop)}:
            self._patches.wrap(cls, 'run', make)

    def _autocast_predictions(self, model: nn.Module, device_type: str, choice: Choice) -> None:
        def make(step: Callable[..., Any]) -> Callable[..., Any]:
            def in_precision(called: nn.Module, *args: Any, **kwargs: Any) -> Any:
                if called is not model:
                    return step(called, *args, **kwargs)
                with torch.autocast(device_type, choice.dtype):
                    return to_float32(step(called, *args, **kwargs))

            return in_precision

        for name in _STEPS[1:]:
            if hasattr(model, name):
                self._patches.wrap(owner_of(type(model), name), name, make)


Fp16Hook = MixedPrecisionHook  # its first name, in configs too


def _remove(guards: OpGuards | None, patches: Patches) -> None:
    if guards is not None:
        guards.remove()
    patches.restore()
