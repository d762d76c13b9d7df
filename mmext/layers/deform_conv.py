"""Deformable convolution layers: mmcv's, with a bias, fast on a CPU, safe in autocast.

Drop-in for ``conv_cfg`` and for a backbone's ``dcn``. Parameter names are mmcv's
(``weight``, ``bias``, ``conv_offset.weight``, ``conv_offset.bias``), so
checkpoints and mmengine's ``dcn_offset_lr_mult`` work as with the parents.

On a GPU, and for several (deformable) groups, mmcv's kernel runs; otherwise
:func:`~mmext.functional.deformable_conv.deformable_conv2d`. Either way in
float32, because mmcv has no bfloat16 kernel and float16 offsets displace
samples by visible fractions of a pixel; under autocast the result is cast to
autocast's dtype like that of every other convolution.
"""

from typing import Any

import torch
from mmcv import ops
from torch import Tensor, nn

from mmext.functional.deformable_conv import deformable_conv2d
from mmext.layers.graph_operators import deform_conv
from mmext.registry import MODELS


@MODELS.register_module()
class DeformConv2dPack(ops.DeformConv2dPack):
    """Deformable convolution v1 that predicts its own offsets.

    The offsets are those of a plain convolution with zero weight and bias at
    the start, the weight is drawn kaiming-normal (UPSNet, section 3.1).

    Args:
        in_channels: this and all others not named below as for ``nn.Conv2d``.
        deform_groups: groups of channels that have their own offsets.
        bias: adds a bias, zero at the start; mmcv's own layer cannot.
    """

    takes_any_memory_order = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        deform_groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, deform_groups
        )
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.init_weights()

    def init_weights(self) -> None:
        """Kaiming-normal weight, everything else zero."""
        nn.init.kaiming_normal_(self.weight, nonlinearity='relu')
        self.init_offset()
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` -> ``[N, O, h, w]``."""
        with torch.autocast(x.device.type, enabled=False):
            x_full = x.to(self.weight.dtype)
            offsets = self.conv_offset(x_full)
            if _runs_on_torch(self, x):
                outputs = _convolve(self, x_full, offsets, None)
            else:
                outputs = ops.deform_conv2d(
                    x_full,
                    offsets,
                    self.weight,
                    self.stride,
                    self.padding,
                    self.dilation,
                    self.groups,
                    self.deform_groups,
                    False,
                    self.im2col_step,
                )
                if self.bias is not None:
                    outputs = outputs + self.bias.view(-1, 1, 1)
        return _as_convolution_output(outputs, x)

    def __repr__(self) -> str:
        return super().__repr__().replace('bias=False', f'bias={self.bias is not None}')


@MODELS.register_module()
class ModulatedDeformConv2dPack(ops.ModulatedDeformConv2dPack):
    """Deformable convolution v2 that predicts its own offsets and masks.

    Constructor, parameters and initial values are mmcv's ``DCNv2``.
    """

    takes_any_memory_order = True

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` -> ``[N, O, h, w]``."""
        with torch.autocast(x.device.type, enabled=False):
            x_full = x.to(self.weight.dtype)
            # mmcv's order: all offsets, (y, x) per tap, then one mask logit per tap
            offsets, mask_logits = self.conv_offset(x_full).split(
                [2 * self.num_samples, self.num_samples], dim=1
            )
            mask = mask_logits.sigmoid()
            if _runs_on_torch(self, x):
                outputs = _convolve(self, x_full, offsets, mask)
            else:
                outputs = ops.modulated_deform_conv2d(
                    x_full,
                    offsets.contiguous(),
                    mask.contiguous(),
                    self.weight,
                    self.bias,
                    self.stride,
                    self.padding,
                    self.dilation,
                    self.groups,
                    self.deform_groups,
                )
        return _as_convolution_output(outputs, x)

    @property
    def num_samples(self) -> int:
        """Samples per output position."""
        return self.deform_groups * self.kernel_size[0] * self.kernel_size[1]


def _runs_on_torch(layer: ops.DeformConv2d | ops.ModulatedDeformConv2d, x: Tensor) -> bool:
    return x.device.type == 'cpu' and layer.groups == 1 and layer.deform_groups == 1


def _convolve(layer: Any, x: Tensor, offsets: Tensor, mask: Tensor | None) -> Tensor:
    """By torch's operators; in a graph that is exported, as one node."""
    convolve = deform_conv if torch.compiler.is_exporting() else deformable_conv2d
    steps = (_pair(value) for value in (layer.stride, layer.padding, layer.dilation))
    return convolve(x, offsets, layer.weight, layer.bias, mask, *steps)


def _as_convolution_output(outputs: Tensor, x: Tensor) -> Tensor:
    """Casts to the dtype ``nn.Conv2d`` would return here."""
    device = x.device.type
    if torch.is_autocast_enabled(device):
        return outputs.to(torch.get_autocast_dtype(device))
    return outputs.to(x.dtype)


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value
