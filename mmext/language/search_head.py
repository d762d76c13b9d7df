"""Vectors of regions for search, from their pixels, learned beside the box head.

One vector cannot be both: the class logits want it at its class alone, whatever the color; a sum of
words wants it between its class, color and ground. And maps that are learned for boxes and classes
have lost most of what tells orange from brown. So this head reads the pixels: layers on single
pixels, which learn colors, before anything is averaged, then layers on where they are. Nothing of
it reaches boxes, masks and classes; its words are those of the classifier, which alone learns the
vectors of the classes.

A detector has few objects in a batch, and each of them many times, as proposals. Pixels do not
change while a network learns, so regions of earlier batches are as good as new ones: the head keeps
the last ones and learns from random draws of them. Cf. Wang et al. 2020, "Cross-Batch Memory for
Embedding Learning", which keeps vectors, and Lin 1992, "Self-Improving Reactive Agents Based on
Reinforcement Learning, Planning and Teaching" (experience replay), which keeps inputs, as here.

Shape legend: n regions, S x S pixels of a region ``[n, 3, S, S]``, W words, D numbers.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmext.errors import InputError
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
            It is not part of a checkpoint.
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
        self.scale, self.memory, self.draw = scale, memory, draw
        self.pool = RoIAlign(size, spatial_scale=1.0, sampling_ratio=2)
        self.layers = nn.Sequential(
            *(nn.Conv2d(3, channels, 1), nn.ReLU(inplace=True)),
            *(nn.Conv2d(channels, channels, 1), nn.ReLU(inplace=True)),
            nn.AvgPool2d(size // GRID),
            *(nn.Conv2d(channels, 2 * channels, 3, padding=1), nn.ReLU(inplace=True)),
            *(nn.Flatten(), nn.Linear(2 * channels * GRID**2, hidden), nn.ReLU(inplace=True)),
            nn.Linear(hidden, dim),
        )
        self._kept: tuple[Tensor, ...] = ()  # pixels, tags, labels; the latest last

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

    @torch.no_grad()
    def recall(self, pixels: Tensor, tags: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        """Keep what a batch has, and give what it shall learn from.

        Args:
            pixels: ``[n, 3, S, S]``.
            tags: ``[n, W]``.
            labels: ``[n]``.

        Returns:
            The same three of a random draw of what is kept; of the batch without a memory.
        """
        batch: tuple[Tensor, ...] = (pixels, tags, labels)
        if not self.memory:
            return batch
        if self._kept:
            batch = tuple(torch.cat(both) for both in zip(self._kept, batch, strict=True))
        self._kept = tuple(values[-self.memory :] for values in batch)
        drawn = torch.randperm(len(self._kept[0]))[: self.draw].to(labels.device)
        return tuple(values[drawn] for values in self._kept)
