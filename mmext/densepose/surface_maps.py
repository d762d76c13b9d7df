"""The maps that a region's features become: body, parts, coordinates, and how sure they are.

Shapes: R regions, s cells of a side before, S = 2 s after, 2 S of the maps that are read.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmext.densepose.surface_losses import variance
from mmext.formats.surface_annotations import MASK_OF_PART

NUM_LABELS = 25


class SurfaceMaps(NamedTuple):
    """Maps ``[R, ., S, S]``; those of confidences are None where there are none.

    Attributes:
        coarse: logits ``[R, 2 or 15, S, S]``.
        parts: logits ``[R, 25, S, S]``.
        u: ``[R, 25, S, S]``, 0 to 1 on the charts, not limited to it.
        v: likewise.
        sigma: raw variance of U and V ``[R, 25, S, S]``.
        kappa_u: along U, of their direction ``[R, 25, S, S]``.
        kappa_v: along V.
        part_confidence: raw ``[R, 1, S, S]``.
        coarse_confidence: raw ``[R, 1, S, S]``.
    """

    coarse: Tensor
    parts: Tensor
    u: Tensor
    v: Tensor
    sigma: Tensor | None = None
    kappa_u: Tensor | None = None
    kappa_v: Tensor | None = None
    part_confidence: Tensor | None = None
    coarse_confidence: Tensor | None = None

    def first(self, count: int) -> 'SurfaceMaps':
        """Those of the first regions."""
        kept: Any = [None if values is None else values[:count] for values in self]
        return SurfaceMaps(*kept)


class SurfacePredictor(nn.Module):
    """Transposed convolutions 4 x 4 of stride 2, one for each kind of map, computed as one.

    Args:
        in_channels: of the features.
        num_coarse: 2 or 15.
        confidence: None, ``'wc1'``, ``'wc2'``.
        mask_confidence: whether parts and body have confidences.
        nested: logits of a part are its own plus those of its coarse part (``num_coarse`` 15): what
            masks say of all cells need not be learned again from points.
    """

    def __init__(
        self,
        in_channels: int,
        num_coarse: int = 2,
        confidence: str | None = None,
        mask_confidence: bool = False,
        nested: bool = False,
    ) -> None:
        super().__init__()
        self.nested = nested
        widths = dict(coarse=num_coarse, parts=NUM_LABELS, u=NUM_LABELS, v=NUM_LABELS)
        if confidence is not None:
            widths['sigma'] = NUM_LABELS
        if confidence == 'wc2':
            widths |= dict(kappa_u=NUM_LABELS, kappa_v=NUM_LABELS)
        if mask_confidence:
            widths |= dict(part_confidence=1, coarse_confidence=1)
        layers = {
            name: nn.ConvTranspose2d(in_channels, width, 4, stride=2, padding=1)
            for name, width in widths.items()
        }
        self.layers = nn.ModuleDict(layers)
        for layer in layers.values():
            assert layer.bias is not None
            nn.init.kaiming_normal_(layer.weight, mode='fan_out', nonlinearity='relu')
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> SurfaceMaps:
        """``[R, in_channels, s, s]`` -> maps ``[R, ., S, S]``."""
        layers: list[Any] = list(self.layers.values())
        weight = torch.cat([layer.weight for layer in layers], dim=1)
        bias = torch.cat([layer.bias for layer in layers])
        merged = F.conv_transpose2d(features, weight, bias, stride=2, padding=1)
        widths = [len(layer.bias) for layer in layers]
        maps = SurfaceMaps(**dict(zip(self.layers, merged.split(widths, dim=1), strict=True)))
        if not self.nested:
            return maps
        of_body = maps.coarse[:, MASK_OF_PART[1:]]
        return maps._replace(parts=maps.parts + F.pad(of_body, (0, 0, 0, 0, 1, 0)))


def doubled(maps: Tensor) -> Tensor:
    """``[R, C, S, S]`` -> ``[R, C, 2 S, 2 S]``, bilinear, float32."""
    return F.interpolate(maps.float(), scale_factor=2.0, mode='bilinear', align_corners=False)


def doubled_logits(logits: Tensor, confidence: Tensor | None) -> Tensor:
    """Logits ``[R, C, S, S]`` at twice the size, times their confidence if there is one."""
    enlarged = doubled(logits)
    return enlarged if confidence is None else enlarged * variance(doubled(confidence))
