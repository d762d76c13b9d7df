"""Maps in the memory order that code of the host expects.

Convolutions run fastest on channels-last maps, but code that turns maps into boxes and masks may
``view`` them as if channels came first, and an operation of mmcv may read them so.
"""

import functools
from collections.abc import Callable
from typing import Any

from torch import nn

from mmext.hooks.mixed_precision.casting import to_contiguous_float32
from mmext.hooks.mixed_precision.fp32_rules import RULES

_LAYERS = 'mmcv.ops.'  # with kernels of their own
# the methods that get what the network says: mmdet's protocol
_DECODING = next(rule.methods for rule in RULES if rule.name == 'box and mask arithmetic')


def give_contiguous_maps(model: nn.Module) -> None:
    """Let layers of mmcv, and heads when they decode, get contiguous float32 maps, in place."""
    for module in model.modules():
        kind = type(module)
        names = [name for name in _DECODING if callable(getattr(kind, name, None))]
        if kind.__module__.startswith(_LAYERS):
            names.append('forward')
        if names:
            methods = {name: _with_contiguous(getattr(kind, name)) for name in names}
            module.__class__ = type(
                kind.__name__, (kind,), {'__module__': kind.__module__, **methods}
            )


def _with_contiguous(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        return method(self, *to_contiguous_float32(args), **to_contiguous_float32(kwargs))

    return run
