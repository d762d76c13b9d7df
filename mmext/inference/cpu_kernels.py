"""mmcv's layers that are slow on a CPU, replaced by those of mmext that compute the same."""

from collections.abc import Iterator
from typing import Any

from mmcv import ops
from torch import nn

from mmext.layers.deform_conv import DeformConv2dPack, ModulatedDeformConv2dPack
from mmext.layers.roi_align import RoIAlign

# mmcv's class -> ours, which extends it, and the attributes that it adds
_REPLACEMENTS: dict[type[nn.Module], tuple[type[nn.Module], dict[str, Any]]] = {
    ops.RoIAlign: (RoIAlign, {'inclusive_ends': False}),
    ops.DeformConv2dPack: (DeformConv2dPack, {'bias': None}),
    ops.ModulatedDeformConv2dPack: (ModulatedDeformConv2dPack, {}),
}


def use_cpu_kernels(model: nn.Module) -> list[str]:
    """Replace the layers, in place; weights and settings stay.

    Returns:
        The class of each replaced layer.
    """
    return list(_replaced(model))


def _replaced(model: nn.Module) -> Iterator[str]:
    for module in model.modules():
        ours = _REPLACEMENTS.get(type(module))
        if ours is not None:
            module.__class__, added = ours
            for name, value in added.items():
                setattr(module, name, value)
            yield type(module).__name__
