"""Proof that mixed precision does something, and not where it must not."""

from collections import Counter
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mmext.hooks.mixed_precision.casting import LOW_DTYPES
from mmext.hooks.mixed_precision.op_guards import OpGuards

_aten = torch.ops.aten
# What autocast is for, as the operation is called below it, by name without overload.
_COMPUTE = {'convolution', 'mm', 'bmm', 'addmm', 'baddbmm', 'mkldnn_linear', 'linear'}
# Casts at the borders of a guarded region, and views of what is about to be cast.
_HARMLESS = {'_to_copy', 'copy_', 'view', 'detach', 'alias', 'expand', 'slice', 'select', 'clone'}


class DtypeCensus(TorchDispatchMode):
    """Counts the operations that run inside by their dtype.

    Args:
        guards: tell which operations belong to a guarded module.
    """

    def __init__(self, guards: OpGuards) -> None:
        super().__init__()
        self.guards = guards
        self.compute: Counter[torch.dtype] = Counter()
        self.low_in_guards: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        outputs = func(*args, **(kwargs or {}))
        output = outputs[0] if isinstance(outputs, tuple | list) and outputs else outputs
        if isinstance(output, Tensor) and output.is_floating_point():
            name = func.overloadpacket.__name__
            if name in _COMPUTE:
                self.compute[output.dtype] += 1
            rule = self.guards.running
            if rule and output.dtype in LOW_DTYPES and name not in _HARMLESS:
                self.low_in_guards[f'{rule}: {name}'] += 1
        return outputs

    def describe(self) -> str:
        """Counts of convolutions and matrix products by dtype."""
        counts = ', '.join(f'{n} in {str(dtype)[6:]}' for dtype, n in self.compute.most_common())
        return f'convolutions and matrix products of one forward pass: {counts or "none"}'

    def check(self) -> None:
        """Fail where mixed precision has no effect or reached a guarded module.

        Raises:
            RuntimeError: saying which.
        """
        if not any(self.compute[dtype] for dtype in LOW_DTYPES):
            raise RuntimeError(f'verify: nothing ran in half precision; {self.describe()}')
        if self.low_in_guards:
            found = ', '.join(f'{name} {n}x' for name, n in self.low_in_guards.most_common(5))
            raise RuntimeError(
                f'verify: half precision in modules that are to run in fp32: {found}'
            )
