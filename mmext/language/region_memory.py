"""Regions of earlier batches, to learn from again.

A detector has few objects in a batch, and each of them many times, as proposals. Pixels do not
change while a network learns, so regions of earlier batches are as good as new ones. Cf. Wang et
al. 2020, "Cross-Batch Memory for Embedding Learning", which keeps vectors, and Lin 1992,
"Self-Improving Reactive Agents Based on Reinforcement Learning, Planning and Teaching" (experience
replay), which keeps inputs, as here.

Shape legend: n regions, M kept ones, S x S pixels, W words.
"""

from typing import Any

import torch
from torch import Tensor, nn


class RegionMemory(nn.Module):
    """The last M regions with what is said of them.

    They are in the checkpoint: a resumed training draws what an unbroken one draws; of several
    ranks, those of the first. Pixels and tags are kept in half precision, by their bits: buffers of
    floats are averaged over the ranks.

    Args:
        size: M.
    """

    pixels: Tensor
    """``[M, 3, S, S]`` int16, the bits of float16, or empty before the first region."""
    tags: Tensor
    """``[M, W]`` likewise."""
    labels: Tensor
    """``[M]`` int64."""
    count: Tensor
    """How many regions were ever kept, a scalar."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        for name in ('pixels', 'tags'):
            self.register_buffer(name, torch.zeros(0, dtype=torch.int16))
        self.register_buffer('labels', torch.zeros(0, dtype=torch.long))
        self.register_buffer('count', torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def keep(self, pixels: Tensor, tags: Tensor, labels: Tensor) -> None:
        """Keep new regions in the place of the oldest.

        Args:
            pixels: ``[n, 3, S, S]``.
            tags: ``[n, W]``.
            labels: ``[n]``.
        """
        new = _bits(pixels), _bits(tags), labels
        self._make_room(new)
        count = int(self.count)
        last = slice(max(0, len(labels) - self.size), len(labels))
        places = torch.arange(last.start, last.stop, device=labels.device).add_(count) % self.size
        for kept, values in zip(self._all(), new, strict=True):
            kept[places] = values[last]
        self.count += len(labels)

    @torch.no_grad()
    def draw(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Pixels, tags and labels of up to ``count`` regions, none twice.

        The draw is of torch's global generator.
        """
        filled = min(int(self.count), self.size)
        drawn = torch.randperm(filled)[:count].to(self.labels.device)
        pixels, tags = (bits[drawn].view(torch.float16).float() for bits in self._all()[:2])
        return pixels, tags, self.labels[drawn]

    def _all(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.pixels, self.tags, self.labels

    def _make_room(self, new: tuple[Tensor, ...]) -> None:
        """Begin anew, if nothing was kept yet, or what was has other sizes."""
        shapes = [(self.size, *values.shape[1:]) for values in new]
        if [kept.shape for kept in self._all()] != shapes:
            self.pixels, self.tags, self.labels = (
                values.new_zeros(shape) for values, shape in zip(new, shapes, strict=True)
            )
            self.count.zero_()

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *arguments: Any) -> None:
        """Take over regions of any number and size."""
        for name in ('pixels', 'tags', 'labels'):
            kept = state_dict.get(f'{prefix}{name}')
            if isinstance(kept, Tensor):
                setattr(self, name, torch.zeros_like(kept, device=self.labels.device))
        super()._load_from_state_dict(state_dict, prefix, *arguments)


def _bits(values: Tensor) -> Tensor:
    return values.half().contiguous().view(torch.int16)
