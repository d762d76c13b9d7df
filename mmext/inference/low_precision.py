"""Predictions in bf16 or fp16: when that is faster, and weights held in it.

Autocast casts every weight on every call. Here the weights are cast once; autocast and its guards
(:mod:`mmext.hooks.mixed_precision.op_guards`) then work as in training.
"""

import functools
import time
from typing import Any

import torch
from mmcv.cnn.bricks import wrappers
from torch import Tensor, nn
from torch.nn import functional as F

from mmext.hooks.mixed_precision.fp32_rules import RULES, matching_modules
from mmext.hooks.mixed_precision.policy import Choice, choose_precision
from mmext.inference.packed_convolutions import PackedConv2d

_WORTH = 1.15  # times faster than fp32, from which on a change of the last digits pays
_ROUNDS = 5


def choose_fastest(precision: str, device_type: str) -> Choice:
    """The precision of predictions; as :func:`choose_precision`, but ``auto`` is measured on a CPU.

    That a processor has instructions for bf16 does not say that they are faster: with AMX they
    are, with AVX512-bf16 alone some processors run them at half the rate of fp32.

    Args:
        precision: 'fp32', 'bf16', 'fp16' or 'auto'.
        device_type: as in ``torch.device.type``.

    Raises:
        ValueError: the device cannot do it.
    """
    choice = choose_precision(precision, device_type)
    if precision != 'auto' or device_type != 'cpu' or choice.name != 'bf16':
        return choice
    ratio = bf16_speedup()
    measured = f'a convolution in bf16 takes {1 / ratio:.2f} of its time in fp32'
    return Choice('bf16' if ratio >= _WORTH else 'fp32', measured)


@functools.cache
def bf16_speedup() -> float:
    """How many times faster a convolution runs in bf16 on this processor, measured in 0.1 s."""
    sides = [
        [
            torch.ones(shape, dtype=dtype).contiguous(memory_format=torch.channels_last)
            for shape in ((1, 256, 24, 24), (256, 256, 3, 3))
        ]
        for dtype in (torch.float32, torch.bfloat16)
    ]
    times: list[list[float]] = [[], []]
    with torch.inference_mode():
        for _ in range(_ROUNDS):
            for (x, weight), taken in zip(sides, times, strict=True):
                start = time.perf_counter()
                F.conv2d(x, weight, padding=1)
                taken.append(time.perf_counter() - start)
    full, low = (min(taken) for taken in times)
    return full / low


def hold_weights(model: nn.Module, dtype: torch.dtype) -> int:
    """Cast the weights of convolutions and linear layers, in place.

    Those that the rules keep in float32 stay, and all other parameters.

    Returns:
        How many layers were cast.
    """
    kept = {
        inner
        for rule in RULES
        if 'forward' in rule.methods
        for module in matching_modules(model, rule.pattern).values()
        for inner in module.modules()
    }
    layers = [m for m in model.modules() if type(m) in _HELD_CLASSES and m not in kept]
    for layer in layers:
        layer.to(dtype)
        layer.__class__ = _HELD_CLASSES[type(layer)]
    return len(layers)


class _HeldLow:
    """A layer whose weight is in low precision; what it is given may be in another."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        layer: Any = self
        outputs: Tensor = super().forward(x.to(layer.weight.dtype), *args, **kwargs)  # type: ignore[misc]
        # under autocast as every other layer there, else as the float32 code around it expects
        return outputs if torch.is_autocast_enabled(x.device.type) else outputs.to(x.dtype)


_HELD_CLASSES: dict[type, type] = {
    kind: type(kind.__name__, (_HeldLow, kind), {})
    for kind in (
        *(nn.Conv2d, nn.ConvTranspose2d, nn.Linear, PackedConv2d),
        *(wrappers.Conv2d, wrappers.ConvTranspose2d, wrappers.Linear),
    )
}
