"""Predictions in bf16 or fp16: when that is faster, and weights held in it.

Autocast casts every weight on every call. Here the weights are cast once; autocast and its guards
(:mod:`mmext.hooks.mixed_precision.op_guards`) then work as in training.
"""

from typing import Any

import torch
from mmcv.cnn.bricks import wrappers
from torch import Tensor, nn

from mmext.hooks.mixed_precision.fp32_rules import RULES, matching_modules
from mmext.hooks.mixed_precision.policy import Choice, choose_precision, cpu_has
from mmext.inference.packed_convolutions import PackedConv2d


def choose_fastest(precision: str, device_type: str) -> Choice:
    """The precision of predictions; as :func:`choose_precision`, but ``auto`` asks a CPU for AMX.

    That a processor has instructions for bf16 does not say that they are faster: with AMX they
    are, with AVX512-bf16 alone some processors run them at half the rate of fp32. It is not
    measured here: on a busy machine the choice, and with it the predictions, would vary.

    Args:
        precision: 'fp32', 'bf16', 'fp16' or 'auto'.
        device_type: as in ``torch.device.type``.

    Raises:
        InputError: the device cannot do it.
    """
    choice = choose_precision(precision, device_type)
    is_slow = device_type == 'cpu' and choice.name == 'bf16' and not cpu_has('amx_tile')
    if precision != 'auto' or not is_slow:
        return choice
    return Choice('fp32', 'the CPU has no AMX, without which bf16 may be slower')


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
