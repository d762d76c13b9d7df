"""Channels-last memory in a training: where it pays, and what it must not break.

Convolutions in bf16 read a pixel's channels in one piece, so maps that lie in that order
(``[N, H, W, C]`` in memory, ``[N, C, H, W]`` to the program) are not turned before and after each
of them. What depends on the order in memory, rather than on the values, is kept working here:
layers that ``view`` a map, and fused optimizers, which walk through a weight and its momentum as if
both lay alike.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any
from weakref import ref

import torch
from mmcv.cnn.bricks import wrappers
from mmengine.logging import print_log
from torch import Tensor, nn

from mmext.errors import InputError
from mmext.hooks.mixed_precision.batch_norm import BatchNormSnapshot
from mmext.hooks.mixed_precision.policy import Choice, has_native

_CONVOLUTIONS = (
    *(nn.Conv2d, nn.ConvTranspose2d),
    *(wrappers.Conv2d, wrappers.ConvTranspose2d),
)
_OF_VIEWS = 'view size is not compatible'  # how torch says that a map lies otherwise


def wants_channels_last(asked: bool | str, choice: Choice, device_type: str, wrapped: bool) -> bool:
    """Whether a training keeps its maps in channels-last memory.

    Args:
        asked: yes, no, or 'auto': in bf16 on a CPU that computes it natively, where it was
            measured to pay (RetinaFace 1.3x, UPSNet R50 1.1x); on a GPU nothing was measured.
        choice: the precision. In fp32 it is never taken: nothing turns maps back there for
            operations of mmcv.
        device_type: as in ``torch.device.type``.
        wrapped: whether several processes train; their gradients have settled their order
            before, and 'auto' leaves it.

    Raises:
        InputError: another answer.
    """
    if asked not in (True, False, 'auto'):
        raise InputError(f"channels_last: expected True, False or 'auto', got {asked!r}")
    if choice.name == 'fp32' or asked != 'auto':
        return choice.name != 'fp32' and bool(asked)
    native = choice.name == 'bf16' and has_native(torch.bfloat16, device_type)
    return device_type == 'cpu' and native and not wrapped


def use_channels_last(model: nn.Module) -> None:
    """Keep the weights of plain convolutions in that order, and so what they return, in place.

    Classes derived from them may ``view`` their weight, and kernels of mmcv read it otherwise.
    """
    lay_weights(model, torch.channels_last)


def align_state(optimizer: torch.optim.Optimizer) -> None:
    """Lay what an optimizer remembers of a weight as the weight lies, in place.

    A fused optimizer would otherwise add the momentum of one place to another, without an error
    (seen with torch 2.13: AdamW and SGD).
    """
    for weight, state in optimizer.state.items():
        for name, value in state.items():
            of_weight = isinstance(value, Tensor) and value.shape == weight.shape
            if of_weight and value.stride() != weight.stride():
                laid = torch.empty_like(weight, dtype=value.dtype, requires_grad=False)
                state[name] = laid.copy_(value)


def contiguous_state(state: Any) -> Any:
    """The state of an optimizer as any run can load it: with no channels-last tensor in it."""
    if isinstance(state, Tensor):
        return state if state.is_contiguous() else state.contiguous()
    if isinstance(state, dict):
        return {key: contiguous_state(value) for key, value in state.items()}
    return state


class Retreat:
    """Gives channels-last memory up when a layer of the model cannot read it.

    Args:
        model: the one in channels-last memory.
        optimizers: those of the training.
    """

    def __init__(
        self, model: nn.Module, optimizers: Callable[[], Iterable[torch.optim.Optimizer]]
    ) -> None:
        self._model, self._optimizers = ref(model), optimizers

    def around(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """A method of the model's class that is called once more if a map could not be viewed."""

        def guarded(called: nn.Module, *args: Any, **kwargs: Any) -> Any:
            if called is not self._model():
                return step(called, *args, **kwargs)
            statistics = BatchNormSnapshot(called)
            try:
                return step(called, *args, **kwargs)
            except RuntimeError as error:
                if _OF_VIEWS not in str(error):
                    raise
            statistics.restore()
            self._retreat(called)
            return step(called, *args, **kwargs)

        return guarded

    def _retreat(self, model: nn.Module) -> None:
        print_log(
            'channels_last: a layer of this model reads maps in the other order; '
            'the run goes on without it',
            'current',
            logging.WARNING,
        )
        lay_weights(model, torch.contiguous_format)
        torch.clear_autocast_cache()  # of weights in the other order
        for optimizer in self._optimizers():
            align_state(optimizer)


def lay_weights(model: nn.Module, order: torch.memory_format) -> None:
    """Keep the weights of plain convolutions in a memory order, in place.

    Args:
        model: its convolutions are changed, classes derived from them are not.
        order: ``torch.channels_last`` or ``torch.contiguous_format``.
    """
    layer: Any
    for layer in model.modules():
        if type(layer) in _CONVOLUTIONS:
            layer.to(memory_format=order)
