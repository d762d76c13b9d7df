"""A detector as fast as the machine, in one call.

:func:`fast` returns a copy of a model that says the same in less time: norms folded into the
convolutions before them, weights in the order and precision that the processor computes fastest,
maps in channels-last memory, and mmext's kernels in the place of mmcv's slow ones. What turns the
outputs of the network into predictions stays in float32.
"""

import copy
import logging
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import torch
from mmengine.logging import print_log
from torch import nn

from mmext.errors import InputError
from mmext.failed_statements import first_line
from mmext.hooks.mixed_precision.casting import to_float32
from mmext.hooks.mixed_precision.memory_order import use_channels_last
from mmext.hooks.mixed_precision.op_guards import OpGuards
from mmext.hooks.mixed_precision.policy import Choice, choose_precision
from mmext.inference.cpu_kernels import use_cpu_kernels
from mmext.inference.low_precision import hold_weights
from mmext.inference.memory_order import give_contiguous_maps
from mmext.inference.norm_folding import fold_norms
from mmext.inference.packed_convolutions import can_pack, pack_convolutions

# what is called from outside; a call inside another one is part of it
_ENTRIES = ('forward', 'predict', 'extract_feat', 'test_step', 'val_step')


def fast(model: nn.Module, precision: str = 'auto') -> nn.Module:
    """A copy of a detector that predicts the same, faster.

    Args:
        model: any detector of mmdet, on its device; it is left as it is.
        precision: 'fp32', 'bf16', 'fp16', or 'auto': the fastest on this device. In fp32 the raw
            outputs are those of the model but for rounding.

    Returns:
        A model of the same class in evaluation mode. It cannot be trained. If a prediction fails
        that the model itself can make, it goes on as that one, and says so.

    Raises:
        InputError: the device cannot do the precision.
    """
    device_type = next(model.parameters()).device.type
    choice = choose_precision(precision, device_type)
    copied: Any = copy.deepcopy(model)
    copied.eval()
    copied.requires_grad_(False)
    done = _accelerate(copied, device_type, choice.dtype)
    print_log(f'fast: {choice.name} on {device_type} ({choice.reason}); {done}', 'current')
    if choice.warning:
        print_log(choice.warning, 'current', logging.WARNING)
    kind = type(model)
    copied.__class__ = type(kind.__name__, (_FastDetector, kind), {'__module__': kind.__module__})
    copied._execution = _Execution(copied, model, device_type, choice)
    return copied


def _accelerate(model: Any, device_type: str, dtype: torch.dtype) -> str:
    """Change a model in place; returns what was done."""
    kernels = use_cpu_kernels(model) if device_type == 'cpu' else []
    done = [f'{fold_norms(model)} norms folded']
    use_channels_last(model)
    if device_type == 'cpu' and can_pack():
        done.append(f'{pack_convolutions(model)} convolutions packed')
    if dtype != torch.float32:
        done.append(f'{hold_weights(model, dtype)} layers in low precision')
    give_contiguous_maps(model)
    done += [f'{kernels.count(name)} {name} by mmext' for name in dict.fromkeys(kernels)]
    return ', '.join(done)


class _FastDetector(nn.Module):
    """What a fast copy does otherwise than its class, which is the other base."""

    _execution: '_Execution'

    @property
    def fallback_reason(self) -> str:
        """Why the model as it is predicts in the place of the copy; '' where it does not."""
        return self._execution.failure

    @property
    def plain(self) -> nn.Module:
        """The model that this is a copy of, which has gradients."""
        return self._execution.plain

    def train(self, mode: bool = True) -> Self:
        """Refuse training.

        Raises:
            InputError: if ``mode``.
        """
        if mode:
            raise InputError('a fast copy of a model predicts only; train the model itself')
        return super().train(False)


def _entry(name: str) -> Callable[..., Any]:
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        inherited = getattr(super(_FastDetector, self), name)
        return self._execution(name, inherited, *args, **kwargs)

    return run


for _name in _ENTRIES:
    setattr(_FastDetector, _name, _entry(_name))


class _Execution:
    """How the calls of a fast copy run.

    Args:
        model: the copy.
        plain: the model that predicts if the copy cannot.
        device_type: where both are.
        choice: the precision.
    """

    def __init__(
        self, model: nn.Module, plain: nn.Module, device_type: str, choice: Choice
    ) -> None:
        self._device_type, self._dtype = device_type, choice.dtype
        if choice.dtype != torch.float32:  # to put them in place takes longer than a small net
            alike: Any = weakref.proxy(model)  # the guards must not keep the copy alive
            guards = OpGuards(alike, device_type, choice.dtype)
            guards.install()
            weakref.finalize(model, guards.remove)
        self.plain = plain
        self.failure = ''
        self._runs = False

    def __call__(self, name: str, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a method of the copy, or the same of the plain model."""
        if self._runs:
            return method(*args, **kwargs)
        if self.failure:
            return getattr(self.plain, name)(*args, **kwargs)
        try:
            with self._running():
                return to_float32(method(*args, **kwargs))
        except Exception as error:
            outputs = getattr(self.plain, name)(*args, **kwargs)  # raises if it is not our fault
            self.failure = f'{type(error).__name__}: {first_line(error)}'
            text = f'fast: predicting with the model as it is ({self.failure})'
            print_log(text, 'current', logging.WARNING)
            return outputs

    @contextmanager
    def _running(self) -> Iterator[None]:
        low = self._dtype != torch.float32
        dtype = self._dtype if low else None
        self._runs = True
        try:
            with torch.autocast(self._device_type, dtype, enabled=low):
                yield
        finally:
            self._runs = False
