"""Vectors of regions for search, from their pixels, learned beside the box head.

One vector cannot be both: the class logits want it at its class alone, whatever the color; a sum of
words wants it between its class, color and ground. And maps that are learned for boxes and classes
have lost most of what tells orange from brown. So this head reads the pixels: layers on single
pixels, which learn colors, before anything is averaged, then layers on where they are. Nothing of
it reaches boxes, masks and classes; its words are those of the classifier, which alone learns the
vectors of the classes.

A detector has few objects in a batch, and each of them many times, as proposals: the head learns
from random draws of the last regions (:class:`.RegionMemory`).

Shape legend: n regions, S x S pixels of a region ``[n, 3, S, S]``, W words, D numbers.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmext.errors import InputError
from mmext.language.region_memory import RegionMemory
from mmext.layers.roi_align import RoIAlign
from mmext.registry import MODELS

GRID = 8
"""Cells of a region, in each direction, that are told apart."""


@MODELS.register_module()
class SearchHead(nn.Module):
    """Layers from the pixels of regions to vectors of length 1.

    Args:
        size: S, a multiple of 8.
        channels: of the layers on pixels.
        hidden: numbers of the layer before the last one.
        dim: D of the words.
        scale: the sides of a region grow by it: with 1.3, the region ends where the strip of
            ground ends that :class:`.MeasureTags` looks at, 15 % of the height below the object.
        memory: regions that are kept to learn from again; 0: a batch learns from its own alone.
        draw: regions of the memory that a batch learns from.

    Raises:
        InputError: a size that is no multiple of 8, a memory that is smaller than a draw.
    """

    def __init__(
        self,
        size: int = 16,
        channels: int = 48,
        hidden: int = 256,
        dim: int = 64,
        scale: float = 1.3,
        memory: int = 0,
        draw: int = 64,
    ) -> None:
        super().__init__()
        if size <= 0 or size % GRID:
            raise InputError(f'SearchHead: size {size}, expected a multiple of {GRID}')
        if memory and not 0 < draw <= memory:
            raise InputError(f'SearchHead: draw {draw} of a memory of {memory} regions')
        self.scale, self.draw = scale, draw
        self.memory = RegionMemory(memory) if memory else None
        self.pool = RoIAlign(size, spatial_scale=1.0, sampling_ratio=2)
        self.layers = nn.Sequential(
            *(nn.Conv2d(3, channels, 1), nn.ReLU(inplace=True)),
            *(nn.Conv2d(channels, channels, 1), nn.ReLU(inplace=True)),
            nn.AvgPool2d(size // GRID),
            *(nn.Conv2d(channels, 2 * channels, 3, padding=1), nn.ReLU(inplace=True)),
            *(nn.Flatten(), nn.Linear(2 * channels * GRID**2, hidden), nn.ReLU(inplace=True)),
            nn.Linear(hidden, dim),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """Vectors ``[n, D]``, fp32, of pixels ``[n, 3, S, S]``."""
        return functional.normalize(self.layers(pixels).float(), dim=1, eps=1e-6)

    def look(self, images: Tensor, rois: Tensor) -> Tensor:
        """The pixels ``[n, 3, S, S]`` of regions and what is around them.

        Args:
            images: normalized, ``[N, 3, H, W]``; they get no gradient.
            rois: image and box of each region, ``[n, 5]``, px.
        """
        centers, halves = (rois[:, 1:3] + rois[:, 3:]) / 2, (rois[:, 3:] - rois[:, 1:3]) / 2
        corners = (centers - self.scale * halves, centers + self.scale * halves)
        grown = torch.cat([rois[:, :1], *corners], 1).float()
        pixels: Tensor = self.pool(images.detach().float(), grown)
        return pixels

    def recall(self, pixels: Tensor, tags: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Keep what a batch has, and give what it shall learn from.

        Args:
            pixels: ``[n, 3, S, S]``.
            tags: ``[n, W]``.
            labels: ``[n]``.

        Returns:
            The same three of a random draw of what is kept; of the batch without a memory.
        """
        if self.memory is None:
            return pixels, tags, labels
        self.memory.keep(pixels, tags, labels)
        return self.memory.draw(self.draw)
