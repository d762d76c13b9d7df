"""Random masks, and what the scores under them say of each pixel: RISE and D-RISE.

Sources: Petsiuk 2018 (RISE), Petsiuk 2021 (D-RISE).

Deviations: the estimate is the covariance of score and mask. RISE's own, the mean of the masks
weighted by the scores, is the same plus a multiple of the mean score, which hides small effects.
Masks are drawn from a seed, in blocks, and never kept: memory does not grow with their number.

Shape legend: B masks of a block, K scores, ``H x W`` pixels.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import interpolate


def mask_blocks(
    count: int, block: int, size_hw: tuple[int, int], grid: int, keep: float, seed: int
) -> Iterator[Tensor]:
    """Smooth random masks in blocks ``[B, H, W]``, 1 where the image stays.

    The masks do not depend on the size of the blocks.

    Args:
        count: how many masks in all.
        block: at most so many at once.
        size_hw: of the region that is masked, px.
        grid: cells along each side.
        keep: probability that a cell stays, between 0 and 1.
        seed: equal seeds, equal masks.

    Raises:
        ValueError: a number out of its range.
    """
    for name, number in (('count', count), ('block', block), ('grid', grid)):
        if number < 1:
            raise ValueError(f'{name}: expected 1 or more, got {number}')
    if not 0 < keep < 1:
        raise ValueError(f'keep: expected a probability between 0 and 1, got {keep}')
    generator = torch.Generator().manual_seed(seed)
    for start in range(0, count, block):
        masks = [_mask(size_hw, grid, keep, generator) for _ in range(min(block, count - start))]
        yield torch.stack(masks)


def _mask(size_hw: tuple[int, int], grid: int, keep: float, generator: torch.Generator) -> Tensor:
    """One mask: coarse cells, enlarged linearly by one cell too much, cut at a random place."""
    height, width = size_hw
    cell_h, cell_w = math.ceil(height / grid), math.ceil(width / grid)
    cells = (torch.rand(1, 1, grid + 1, grid + 1, generator=generator) < keep).float()
    size = ((grid + 1) * cell_h, (grid + 1) * cell_w)
    smooth = interpolate(cells, size, mode='bilinear', align_corners=False)[0, 0].clamp(0, 1)
    top = int(torch.randint(cell_h, (), generator=generator))
    left = int(torch.randint(cell_w, (), generator=generator))
    return smooth[top : top + height, left : left + width]


class MaskEffects:
    """How much each pixel changes K scores, from masks as they come.

    Args:
        keep: probability that a pixel stays.
    """

    def __init__(self, keep: float) -> None:
        self.keep, self.count = keep, 0
        self._scores: Tensor = torch.zeros(())
        self._masks: Tensor = torch.zeros(())
        self._products: Tensor = torch.zeros(())

    def add(self, masks: Tensor, scores: Tensor) -> None:
        """Take in masks ``[B, H, W]`` and the scores ``[B, K]`` of the images under them."""
        masks, scores = masks.double().cpu(), scores.double().cpu()
        self.count += len(masks)
        self._scores = self._scores + scores.sum(0)
        self._masks = self._masks + masks.sum(0)
        self._products = self._products + torch.einsum('bk,bhw->khw', scores, masks)

    def joined(self, other: 'MaskEffects') -> 'MaskEffects':
        """The effects of the masks of both."""
        both = MaskEffects(self.keep)
        both.count = self.count + other.count
        both._scores = self._scores + other._scores
        both._masks = self._masks + other._masks
        both._products = self._products + other._products
        return both

    def covariance(self) -> Tensor:
        """``[K, H, W]``: the main effect of each pixel, signed; 0 where it does not matter."""
        mean = (self._scores / self.count)[:, None, None]
        spread = self.count * self.keep * (1 - self.keep)
        return ((self._products - mean * self._masks) / spread).float()

    def weighted_mean(self) -> Tensor:
        """``[K, H, W]``: RISE's own, the mean score of the images in which a pixel stays."""
        return (self._products / (self.count * self.keep)).float()


def agreement(first: Tensor, second: Tensor) -> Tensor:
    """The correlation ``[K]`` of maps ``[K, H, W]`` with others; 0 where one is constant."""
    rows = [maps.flatten(1).double() for maps in (first, second)]
    rows = [row - row.mean(1, keepdim=True) for row in rows]
    lengths = rows[0].norm(dim=1) * rows[1].norm(dim=1)
    return ((rows[0] * rows[1]).sum(1) / lengths.clamp(min=torch.finfo(torch.float64).tiny)).float()
