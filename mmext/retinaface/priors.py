"""Prior boxes ("anchors"): one set of squares around the center of every feature cell.

Frame: pixels of the network input, (0, 0) is the upper left corner of the image. A prior is
(x of the center, y of the center, width, height). Order: level, row, column, size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from mmext.errors import InputError

_CACHED_SHAPES = 16  # 1700 x 2300 px take 21 MB with the five levels of the paper


@dataclass(frozen=True)
class PriorRules:
    """Which priors there are.

    Attributes:
        strides: pixels between the cells of each level.
        sizes_px: the sides of each level's squares, the same number on every level.
        first_center_px: x and y of the center of the first cell; ``None`` is half a stride.
    """

    strides: tuple[int, ...]
    sizes_px: tuple[tuple[float, ...], ...]
    first_center_px: float | None = None

    def __post_init__(self) -> None:
        if len(self.strides) != len(self.sizes_px):
            raise InputError(
                f'sizes_px: expected one entry per stride, {len(self.strides)}, '
                f'got {len(self.sizes_px)}'
            )
        counts = [len(sizes) for sizes in self.sizes_px]
        if not counts or min(counts) != max(counts) or min(counts) < 1:
            raise InputError(f'sizes_px: expected as many sizes on every level, got {counts}')
        # a config hands over lists: make them hashable
        object.__setattr__(self, 'strides', tuple(self.strides))
        object.__setattr__(self, 'sizes_px', tuple(tuple(sizes) for sizes in self.sizes_px))

    @property
    def priors_per_cell(self) -> int:
        """Number of priors around each cell."""
        return len(self.sizes_px[0])


def make_priors(
    rules: PriorRules, level_sizes: Sequence[tuple[int, int]], device: torch.device | str = 'cpu'
) -> Tensor:
    """All priors of an input.

    Args:
        rules: strides and sizes.
        level_sizes: (rows, columns) of the feature map of each level.
        device: where they are wanted.

    Returns:
        ``[P, 4]`` float32, the same tensor on every call with the same arguments: do not change
        it in place.

    Raises:
        InputError: not as many levels as strides.

    >>> make_priors(PriorRules((8,), ((16., 32.),)), [(1, 2)]).tolist()[1:3]
    [[4.0, 4.0, 32.0, 32.0], [12.0, 4.0, 16.0, 16.0]]
    """
    if len(level_sizes) != len(rules.strides):
        raise InputError(
            f'level_sizes: expected {len(rules.strides)} levels, got {len(level_sizes)}'
        )
    return _make_priors(rules, tuple((int(h), int(w)) for h, w in level_sizes), str(device))


@lru_cache(maxsize=_CACHED_SHAPES)
def _make_priors(
    rules: PriorRules, level_sizes: tuple[tuple[int, int], ...], device: str
) -> Tensor:
    # a tensor made in inference mode could not take part in a training step later
    with torch.inference_mode(False):
        return compute_priors(rules, level_sizes, device)


def compute_priors(
    rules: PriorRules, level_sizes: Sequence[tuple[int, int]], device: torch.device | str
) -> Tensor:
    """All priors ``[P, 4]``, as :func:`make_priors`, but neither cached nor checked.

    The sizes may be symbols, for export.
    """
    levels = zip(rules.strides, rules.sizes_px, level_sizes, strict=True)
    return torch.cat(
        [
            _level_priors(stride, sizes, rules.first_center_px, shape, device)
            for stride, sizes, shape in levels
        ]
    )


def _level_priors(
    stride: int,
    sizes_px: tuple[float, ...],
    first_center_px: float | None,
    shape: tuple[int, int],
    device: torch.device | str,
) -> Tensor:
    first = stride / 2 if first_center_px is None else first_center_px
    ys, xs = (torch.arange(n, dtype=torch.float32, device=device) * stride + first for n in shape)
    sides = torch.tensor(sizes_px, dtype=torch.float32, device=device)
    grids = torch.meshgrid(ys, xs, sides, indexing='ij')  # [H, W, A] each
    return torch.stack((grids[1], grids[0], grids[2], grids[2]), dim=-1).reshape(-1, 4)


def to_corners(priors: Tensor) -> Tensor:
    """(center, size) ``[..., 4]`` to (x1, y1, x2, y2) ``[..., 4]``."""
    centers, half = priors[..., :2], priors[..., 2:] / 2
    return torch.cat((centers - half, centers + half), dim=-1)
