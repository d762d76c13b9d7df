"""``PrecisionOptimWrapper``: mmengine's optimizer wrapper in bf16 or fp16, on any device.

One step is: unscale the gradients (fp16), take their norm, and if it is finite clip and
step; otherwise skip, count and leave no trace. The norm decides in every precision, so that
a step in bf16 that went wrong does not spoil the weights either.
"""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from weakref import finalize, ref

import torch
from mmengine.dist import all_gather_object
from mmengine.logging import MessageHub, print_log
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from torch import nn

from mmext.errors import InputError
from mmext.hooks.mixed_precision.batch_norm import BatchNormSnapshot
from mmext.hooks.mixed_precision.memory_order import align_state, contiguous_state
from mmext.hooks.mixed_precision.op_guards import OpGuards
from mmext.hooks.mixed_precision.overflow import (
    ADVICE,
    DivergedError,
    OverflowLog,
    first_nonfinite_gradient,
    gradient_norm,
    has_gradients,
)
from mmext.hooks.mixed_precision.policy import choose_precision
from mmext.hooks.mixed_precision.scaler import make_scaler
from mmext.hooks.mixed_precision.settings import PrecisionSettings
from mmext.hooks.mixed_precision.verification import DtypeCensus
from mmext.registry import OPTIM_WRAPPERS

_NORM = 'grad_norm'


@OPTIM_WRAPPERS.register_module()
class PrecisionOptimWrapper(OptimWrapper):
    """Trains in mixed precision.

    :class:`~.hook.MixedPrecisionHook` puts it in the place of the wrapper that the config asks
    for. It works without the hook too, as
    ``optim_wrapper=dict(type='mmext.PrecisionOptimWrapper', optimizer=…)``; validation is in
    float32 then.

    Args:
        optimizer: on parameters in float32.
        accumulative_counts: as in mmengine.
        clip_grad: as in mmengine.
        **settings: :class:`.settings.PrecisionSettings`.

    Raises:
        InputError: the precision is unknown or impossible here, or does not fit the optimizer.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        accumulative_counts: int = 1,
        clip_grad: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(optimizer, accumulative_counts, clip_grad)
        self.settings = PrecisionSettings(**settings)
        self.device_type = optimizer.param_groups[0]['params'][0].device.type
        self.choice = choose_precision(self.settings.precision, self.device_type)
        is_scaled = self.choice.name == 'fp16'
        if is_scaled and getattr(optimizer, '_step_supports_amp_scaling', False):
            raise InputError(
                'precision: fp16 expects an optimizer that leaves unscaling to the wrapper, got a '
                f'fused {type(optimizer).__name__}, which unscales by itself; set fused=False '
                'or bf16'
            )
        self.scaler = make_scaler(self.device_type, self.settings.loss_scale, enabled=is_scaled)
        self.overflow = OverflowLog(self.settings.patience, self.settings.on_overflow)
        self.step_was_skipped = False
        self.census: DtypeCensus | None = None
        self.guards: OpGuards | None = None
        self._added_fp32: list[str] = []
        self._model: ref[nn.Module] | None = None
        self._statistics: BatchNormSnapshot | None = None
        self._global_step = -1  # read and reset by mmengine's schedulers

    @classmethod
    def replacing(cls, wrapper: OptimWrapper, **settings: Any) -> 'PrecisionOptimWrapper':
        """A wrapper of the same optimizer that takes over another's settings and counts."""
        new = cls(wrapper.optimizer, **settings)
        # `step` counts calls of the old class's method, the others are AmpOptimWrapper's own.
        # `base_param_settings` has to be the same dict: schedulers write into it.
        own = {'step', 'loss_scaler', '_scale_update_param', 'cast_dtype'}
        new.__dict__.update({k: v for k, v in vars(wrapper).items() if k not in own})
        return new

    def attach(self, model: nn.Module, guards: OpGuards | None = None) -> None:
        """Train this model, under these guards or, until the wrapper is gone, under its own."""
        inner: nn.Module = model.module if is_model_wrapper(model) else model  # type: ignore[assignment]
        self._model = ref(inner)
        self.guards = guards
        if guards is None and self.choice.name != 'fp32':
            self.guards = OpGuards(
                inner, self.device_type, self.choice.dtype, **self.settings.patterns
            )
            self.guards.install()
            finalize(self, self.guards.remove)
        for path in self._added_fp32:
            self._keep_in_fp32(path)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast, beside mmengine's handling of gradient accumulation."""
        if self._model is None:
            self.attach(model)
        inner = self._attached_model()
        self.step_was_skipped = False
        if self._statistics is None:
            self._statistics = BatchNormSnapshot(inner)
        low = self.choice.name != 'fp32'
        with (
            super().optim_context(model),
            torch.autocast(self.device_type, self.choice.dtype if low else None, enabled=low),
            self.overflow.watching(inner),
            self.census or nullcontext(),
        ):
            yield

    def backward(self, loss: torch.Tensor, **kwargs: Any) -> None:
        """Back-propagate the loss, scaled for fp16.

        Raises:
            InputError: nothing that learns took part in the loss.
        """
        if not loss.requires_grad:
            raise InputError(
                'the loss has no gradient: no parameter that learns took part in it. Look for '
                'frozen parts (frozen_stages, requires_grad=False, lr_mult=0) and for a loss '
                'that is detached or constant'
            )
        super().backward(self.scaler.scale(loss), **kwargs)

    def step(self, **kwargs: Any) -> None:
        """Step the optimizer unless a gradient is not finite."""
        self._global_step += 1
        scale = self.loss_scale
        self.scaler.unscale_(self.optimizer)
        norm = gradient_norm(self.optimizer)
        self.step_was_skipped = not math.isfinite(norm)
        if self.step_was_skipped:
            self._undo_forward()
        else:
            if self.clip_grad_kwargs:
                self._clip_grad()
            self.optimizer.step(**kwargs)
        # torch refuses to judge a scale by no gradients at all, as of a part that took no part
        self.scaler.update(None if has_gradients(self.optimizer) else scale)
        self._statistics = None
        self.overflow.step(self.step_was_skipped, scale)
        if self.step_was_skipped and self.overflow.is_due:
            self._act()
        self._log(norm)

    log_group = ''
    """In front of what is logged, as ``'generators/'``, of one of several optimizers."""

    # mmengine's schedulers see that steps are counted, and leave `step` alone
    step._with_counter = True  # type: ignore[attr-defined]

    @property
    def loss_scale(self) -> float:
        """What the loss is multiplied with before it is back-propagated."""
        return float(self.scaler.get_scale())

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's, with ``loss_scaler`` as in AmpOptimWrapper, and ``precision``."""
        # a fused optimizer that loads it must not find weights in another memory order
        state: dict[str, Any] = contiguous_state(super().state_dict())
        if self.scaler.is_enabled():
            state['loss_scaler'] = self.scaler.state_dict()
        state['precision'] = {'name': self.choice.name, 'fp32_modules': list(self._added_fp32)}
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the state of this or of any other wrapper; warns if the precision changes."""
        scaler = state_dict.pop('loss_scaler', None)
        before = state_dict.pop('precision', {'name': 'fp16' if scaler else 'fp32'})
        super().load_state_dict(state_dict)
        align_state(self.optimizer)
        if scaler and self.scaler.is_enabled():
            self.scaler.load_state_dict(scaler)
        if before['name'] != self.choice.name:
            _warn(f'resumed in {self.choice.name} what was trained in {before["name"]}')
        for path in before.get('fp32_modules', ()):
            self._keep_in_fp32(path)

    def _attached_model(self) -> nn.Module:
        model = self._model() if self._model is not None else None
        if model is None:
            raise RuntimeError('the model that this wrapper was attached to is gone')
        return model

    def _undo_forward(self) -> None:
        if self._statistics is not None:
            self._statistics.restore()
            self.overflow.parameter = first_nonfinite_gradient(self._attached_model())

    def _act(self) -> None:
        """Do what ``on_overflow`` says."""
        diagnosis = self.overflow.diagnosis(self.loss_scale)
        if self.overflow.action == 'abort':
            raise DivergedError(f'training stopped: {diagnosis}. {ADVICE}')
        _warn(diagnosis)
        if self.overflow.action == 'floor':
            self.scaler.update(self.scaler.min_scale)
        elif self.overflow.action == 'fp32':
            # each rank has seen its own images; all take the same measures
            for path in dict.fromkeys(all_gather_object(_path(self.overflow.module))):
                if path:
                    self._keep_in_fp32(path)
            self.scaler.update(self.overflow.scale_before)
            self.overflow.module = None

    def _keep_in_fp32(self, path: str) -> None:
        if self.guards is not None:
            self.guards.add(path)
            _warn(f'{path} runs in fp32 from now on, because it overflowed')
        if path not in self._added_fp32:
            self._added_fp32.append(path)

    def _log(self, norm: float) -> None:
        hub: MessageHub = self.message_hub
        group = f'train/{self.log_group}'
        if self.scaler.is_enabled():
            hub.update_scalar(f'{group}amp/scale', self.loss_scale)
        if self.choice.name != 'fp32' or self.overflow.skipped:
            hub.update_scalar(f'{group}amp/skipped', self.overflow.skipped)
            hub.update_scalar(f'{group}amp/skip_rate', self.overflow.skip_rate)
        if self.step_was_skipped:
            hub.update_info('amp/first_nonfinite', self.overflow.module or self.overflow.parameter)
            scale = f'; loss scale now {self.loss_scale:g}' if self.scaler.is_enabled() else ''
            print_log(
                f'step skipped: gradient of {self.overflow.parameter} is not finite{scale}',
                logger='current',
            )
        elif not (self.clip_grad_kwargs and self.grad_name.endswith(_NORM)):  # it logs that itself
            hub.update_scalar(f'{group}{_NORM}', norm)


def _path(found: str | None) -> str | None:
    """The module in a finding as 'output of neck.fpn_convs.0'."""
    return found.rsplit(' ', 1)[-1] if found else None


def _warn(text: str) -> None:
    print_log(text, logger='current', level=logging.WARNING)
