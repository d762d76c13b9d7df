"""Convolutions on a CPU whose weights lie ready for oneDNN, with the activation in the same pass.

``nn.Conv2d`` brings its weight into the order of oneDNN's kernel on every call, and a ReLU after
it reads and writes the whole map once more. Here the weight is brought into that order once, on
the first call, and the kernel applies the activation, or adds the shortcut of a residual block,
while it writes. These are the operations that ``torch.compile`` takes when it freezes weights.
Maps come out in channels-last memory.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from mmcv.cnn import ConvModule
from mmcv.cnn.bricks import wrappers
from mmcv.cnn.bricks.swish import Swish
from mmdet.models.backbones import resnet
from torch import Tensor, nn
from torch.nn import functional as F


class Activation(NamedTuple):
    """An activation as oneDNN knows it."""

    name: str = 'none'
    numbers: Sequence[float] = ()
    variant: str = ''

    def __call__(self, x: Tensor) -> Tensor:
        """The same by torch's functions."""
        return _FUNCTIONS[self.name](x, *self.numbers)


# channels that oneDNN handles together; a weight that does not fill its blocks is in an order of
# its own for every size of map, and to change that takes longer than the convolution
_BLOCK = 16
NONE, RELU = Activation(), Activation('relu')
_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    'none': lambda x: x,
    'relu': F.relu,
    'leaky_relu': F.leaky_relu,
    'swish': F.silu,
    'hardtanh': F.hardtanh,
    'sigmoid': torch.sigmoid,
}


class PackedConv2d(nn.Conv2d):
    """``nn.Conv2d`` for predictions on a CPU; a layer becomes one by :func:`pack_convolutions`."""

    activation = NONE
    _packed: Tensor | None = None
    _packed_for: torch.Size | None = None

    def forward(
        self, x: Tensor, activation: Activation | None = None, shortcut: Tensor | None = None
    ) -> Tensor:
        """``activation(convolution(x) + shortcut)``, ``[N, C, H, W]`` -> ``[N, O, h, w]``.

        Args:
            x: the map.
            activation: None takes that of the layer, which is none unless one was fused.
            shortcut: ``[N, O, h, w]``.
        """
        activation = self.activation if activation is None else activation
        if not self._can_run(x):
            outputs = super().forward(x)
            return activation(outputs if shortcut is None else outputs + shortcut)
        geometry = (self.padding, self.stride, self.dilation, self.groups)
        if self._packed is None:
            self._packed_for = x.shape
            self._packed = torch.ops.mkldnn._reorder_convolution_weight(
                self.weight, *geometry, list(x.shape)
            )
        operation = torch.ops.mkldnn._convolution_pointwise
        packed = (self._packed, self.bias, *geometry)
        how = (activation.name, list(activation.numbers), activation.variant)
        if shortcut is None:
            return operation(x, *packed, *how)
        return operation.binary(x, shortcut, *packed, 'add', 1.0, *how)

    def _can_run(self, x: Tensor) -> bool:
        if x.dim() != 4 or not x.numel() or x.device.type != 'cpu' or x.requires_grad:
            return False
        whole = not (self.in_channels % _BLOCK or self.out_channels % _BLOCK)
        return whole or self._packed is None or x.shape == self._packed_for


class PackedConvModule(ConvModule):
    """mmcv's convolution, folded norm and activation as one operation."""

    def forward(self, x: Tensor, activate: bool = True, norm: bool = True) -> Tensor:
        """As mmcv's; the norm is in the weight."""
        return self.conv(x, None if activate else NONE)


class PackedBasicBlock(resnet.BasicBlock):
    """mmdet's residual block of two convolutions."""

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` -> ``[N, O, h, w]``."""
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.conv2(self.conv1(x, RELU), RELU, shortcut)


class PackedBottleneck(resnet.Bottleneck):
    """mmdet's residual block of three convolutions; that in the middle may be deformable."""

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` -> ``[N, O, h, w]``."""
        shortcut = x if self.downsample is None else self.downsample(x)
        middle = self.conv1(x, RELU)
        if isinstance(self.conv2, PackedConv2d):
            middle = self.conv2(middle, RELU)
        else:
            middle = self.relu(self.conv2(middle))
        return self.conv3(middle, RELU, shortcut)


def can_pack() -> bool:
    """Whether this torch has the operations."""
    names = ('_reorder_convolution_weight', '_convolution_pointwise')
    return torch.backends.mkldnn.is_available() and all(
        hasattr(torch.ops.mkldnn, name) for name in names
    )


def pack_convolutions(model: nn.Module) -> int:
    """Turn the convolutions into packed ones, in place, and fuse what follows them.

    Args:
        model: on a CPU, in evaluation mode, its norms folded.

    Returns:
        How many convolutions were packed.
    """
    layers = [m for m in model.modules() if _is_packable(m)]
    for layer in layers:
        layer.__class__ = PackedConv2d
    places = Counter(id(m) for _, m in model.named_modules(remove_duplicate=False))
    for module in model.modules():
        if isinstance(module, nn.Sequential):
            _fuse_sequence(module, places)
        elif type(module) is ConvModule:
            _fuse_conv_module(module, places)
        elif getattr(type(module), 'forward', None) in _BLOCKS:
            _fuse_block(module)
    return len(layers)


def _is_packable(module: Any) -> bool:
    return (
        type(module) in (nn.Conv2d, wrappers.Conv2d)
        and module.padding_mode == 'zeros'
        and not isinstance(module.padding, str)
        and not module._forward_hooks
        and not module._forward_pre_hooks  # spectral norm, for one
    )


def _fuse_sequence(sequence: nn.Sequential, places: Mapping[int, int]) -> None:
    """Let a convolution apply the activation that comes right after it."""
    names = [n for n, m in sequence._modules.items() if not isinstance(m, nn.Identity)]
    for name, following in pairwise(names):
        layer, activation = sequence._modules[name], sequence._modules[following]
        known = _activation(activation)
        if isinstance(layer, PackedConv2d) and places[id(layer)] == 1 and known is not None:
            layer.activation = known
            sequence._modules[following] = nn.Identity()


def _fuse_conv_module(module: Any, places: Mapping[int, int]) -> None:
    plain = not (module.with_explicit_padding or module.with_spectral_norm)
    folded = not module.with_norm or isinstance(module.norm, nn.Identity)
    activation = _activation(module.activate) if module.with_activation else NONE
    in_order = module.order.index('act') > module.order.index('conv')
    alone = places[id(module.conv)] == 1  # else others have it with another activation
    packed = isinstance(module.conv, PackedConv2d)
    if packed and plain and folded and in_order and alone and activation is not None:
        module.conv.activation = activation
        module.__class__ = PackedConvModule


def _fuse_block(block: Any) -> None:
    packed, numbers = _BLOCKS[type(block).forward]
    ends = (numbers[0], numbers[-1])
    folded = all(isinstance(getattr(block, f'norm{i}'), nn.Identity) for i in numbers)
    fusable = all(isinstance(getattr(block, f'conv{i}'), PackedConv2d) for i in ends)
    if folded and fusable and not getattr(block, 'with_plugins', False):
        block.__class__ = packed


# the block's own forward, which a class derived from it may share -> ours and its convolutions
_BLOCKS: dict[Any, tuple[type[nn.Module], tuple[int, ...]]] = {
    resnet.BasicBlock.forward: (PackedBasicBlock, (1, 2)),
    resnet.Bottleneck.forward: (PackedBottleneck, (1, 2, 3)),
}


def _activation(module: Any) -> Activation | None:
    """The activation of a module; None if oneDNN does not fuse it."""
    if type(module) is nn.LeakyReLU:
        return Activation('leaky_relu', [module.negative_slope])
    return _ACTIVATIONS.get(type(module))


_ACTIVATIONS = {
    nn.Identity: NONE,
    nn.ReLU: RELU,
    nn.ReLU6: Activation('hardtanh', (0.0, 6.0)),
    nn.SiLU: Activation('swish'),
    Swish: Activation('swish'),
    nn.Sigmoid: Activation('sigmoid'),
}
