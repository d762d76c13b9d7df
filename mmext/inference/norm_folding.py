"""BatchNorm folded into the convolution before it.

In evaluation BatchNorm is a scale and a shift of each channel, which the convolution takes over
into its weight and bias. Which norm follows which convolution is read from three structures whose
order is known; a norm anywhere else stays.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from mmcv.cnn import ConvModule
from mmcv.cnn.bricks import wrappers
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmext.layers.deform_conv import DeformConv2dPack, ModulatedDeformConv2dPack

# exact classes whose output is linear in weight and bias; others may do more with them
FOLDABLE = (
    *(nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d),
    *(wrappers.Conv2d, wrappers.ConvTranspose2d),
    *(DeformConv2dPack, ModulatedDeformConv2dPack),
)
_NUMBERS = range(1, 5)  # of the convolutions of a residual block


class _Pair(NamedTuple):
    convolution: Any
    owner: nn.Module
    norm_name: str


def fold_norms(model: nn.Module) -> int:
    """Fold every BatchNorm that directly follows a convolution, in place.

    The norm is replaced by ``nn.Identity``. Modules that are used in several places, such as a
    convolution with one norm for each level of a pyramid, stay as they are.

    Args:
        model: in evaluation mode; nothing is folded where a norm is in training mode.

    Returns:
        How many norms were folded.
    """
    places = Counter(id(m) for _, m in model.named_modules(remove_duplicate=False))
    folded = 0
    for pair in list(_pairs(model)):
        norm = getattr(pair.owner, pair.norm_name)
        alone = places[id(pair.convolution)] == places[id(norm)] == 1
        if alone and _is_foldable(pair.convolution, norm):
            _fold(pair.convolution, norm)
            setattr(pair.owner, pair.norm_name, nn.Identity())
            folded += 1
    return folded


def _pairs(model: nn.Module) -> Iterator[_Pair]:
    """Modules that run in a row: the second has the output of the first, which nobody else has."""
    for owner in model.modules():
        if isinstance(owner, ConvModule):
            order = owner.order
            if owner.with_norm and order.index('norm') == order.index('conv') + 1:
                yield _Pair(owner.conv, owner, owner.norm_name)
        elif isinstance(owner, nn.Sequential):
            names = list(owner._modules)
            for first, second in pairwise(names):
                yield _Pair(owner._modules[first], owner, second)
        else:  # mmcv's protocol of residual blocks and stems
            for number in _NUMBERS:
                name = getattr(owner, f'norm{number}_name', None)
                convolution = getattr(owner, f'conv{number}', None)
                if isinstance(name, str) and convolution is not None and hasattr(owner, name):
                    yield _Pair(convolution, owner, name)


def _is_foldable(convolution: nn.Module, norm: nn.Module) -> bool:
    return (
        type(convolution) in FOLDABLE
        and isinstance(norm, _BatchNorm)
        and norm.running_mean is not None
        and not norm.training
        and not (isinstance(convolution, nn.ConvTranspose2d) and convolution.groups > 1)
        and not convolution._forward_hooks
        and not convolution._forward_pre_hooks  # spectral norm, for one
    )


@torch.no_grad()
def _fold(convolution: Any, norm: Any) -> None:
    weight = convolution.weight
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale *= norm.weight.double()
    shift = -norm.running_mean.double() * scale
    if convolution.bias is not None:
        shift += convolution.bias.double() * scale
    if norm.bias is not None:
        shift += norm.bias.double()
    axis = 1 if isinstance(convolution, nn.ConvTranspose2d) else 0
    shape = [-1 if i == axis else 1 for i in range(weight.dim())]
    folded = (weight.double() * scale.view(shape)).to(weight.dtype)
    convolution.weight = nn.Parameter(folded, weight.requires_grad)
    convolution.bias = nn.Parameter(shift.to(weight.dtype), weight.requires_grad)
