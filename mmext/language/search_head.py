"""Vectors of regions for search, learned beside the box head without a gradient into it.

One vector cannot be both: the class logits want it at its class alone, whatever the color; a sum of
words wants it between its class, color and ground. This head reads the same pyramid with layers of
its own, so that boxes, masks and classes are those of a training without it. Its words are those of
the classifier; the vectors of the classes are learned by the classifier alone.

Shape legend: n regions, F channels of a pooled region ``[n, F, S, S]``, D numbers.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmext.registry import MODELS


@MODELS.register_module()
class SearchHead(nn.Module):
    """Two layers from pooled regions to vectors of length 1.

    Args:
        in_channels: F.
        roi_feat_size: S.
        channels: of the layer between.
        dim: D of the words.
        scale: the sides of a region grow by it: with 1.3, the region ends where the strip of
            ground ends that :class:`.MeasureTags` looks at, 15 % of the height below the object.
    """

    def __init__(
        self,
        in_channels: int,
        roi_feat_size: int = 7,
        channels: int = 256,
        dim: int = 64,
        scale: float = 1.3,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(in_channels * roi_feat_size**2, channels),
            nn.ReLU(inplace=True),
            nn.Linear(channels, dim),
        )

    def forward(self, regions: Tensor) -> Tensor:
        """Vectors ``[n, D]``, fp32, of pooled regions ``[n, F, S, S]``; they get no gradient."""
        return functional.normalize(self.layers(regions.detach()).float(), dim=1, eps=1e-6)

    def grow(self, boxes: Tensor) -> Tensor:
        """Boxes ``[n, 4]`` around the same centers, px, with sides ``scale`` times as long."""
        centers, halves = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
        return torch.cat([centers - self.scale * halves, centers + self.scale * halves], 1)
