"""Predictions in bf16 or fp16, with weights held in it.

Autocast casts every weight on every call. Here the weights are cast once; autocast and its guards
(:mod:`mmext.hooks.mixed_precision.op_guards`) then work as in training.
"""

from typing import Any

import torch
from mmcv.cnn.bricks import wrappers
from torch import Tensor, nn

from mmext.hooks.mixed_precision.fp32_rules import RULES, matching_modules
from mmext.inference.packed_convolutions import PackedConv2d


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
