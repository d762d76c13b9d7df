"""D-RISE around a detector: random masks over the picture, or over what its heads see.

All detections of an image share the masks. Memory does not depend on their number.

Shape legend: K detections, B masks of a block, ``H x W`` input.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from mmext.explain.heads import mapped
from mmext.explain.network import Network, Prepared
from mmext.explain.random_masks import MaskEffects, agreement, mask_blocks

KEEP, KEEP_MORE = 0.5, 0.8
_MOSTLY_NOTHING = 0.95
_SEEN = 1e-3  # a score below is nothing found
_LARGE_PX, _FINE_GRID, _COARSE_GRID = 256, 16, 8

Score = Callable[[Tensor, str], Tensor]
Masked = Callable[[Tensor, str], Tensor]


class Draw(NamedTuple):
    """The masks: how many (at least 2), how many at once, and the seed they are drawn from."""

    masks: int
    block: int
    seed: int


class MaskMaps(NamedTuple):
    """What masks say.

    Attributes:
        relevance: ``[K, H, W]`` signed.
        agreement: ``[K]`` correlation of the maps of both halves of the masks.
        keep: the share of the picture that the masks kept.
    """

    relevance: Tensor
    agreement: Tensor
    keep: float


def rise(
    target: Masked,
    prepared: Prepared,
    draw: Draw,
    scale: str = 'score',
    raw: bool = False,
) -> MaskMaps:
    """The effect of each pixel on K scores by random masks.

    What is masked takes the mean color; padding stays as it is. Where fewer than one in twenty
    masks leaves anything of a detection, the masks keep more.

    Args:
        target: scores ``[B, K]`` under masks ``[B, H, W]``.
        prepared: the image.
        draw: how many masks.
        scale: 'score' or 'logit'.
        raw: RISE's own estimate in the place of the covariance.
    """
    found, nothing = _effects(target, prepared, draw, KEEP, scale)
    if nothing > _MOSTLY_NOTHING:
        found, _ = _effects(target, prepared, draw, KEEP_MORE, scale)
    first, second = found
    whole = first.joined(second)
    relevance = whole.weighted_mean() if raw else whole.covariance()
    halves = agreement(first.covariance(), second.covariance())
    return MaskMaps(relevance, halves, whole.keep)


def _effects(
    target: Masked, prepared: Prepared, draw: Draw, keep: float, scale: str
) -> tuple[tuple[MaskEffects, MaskEffects], float]:
    """The effects of odd and even masks, and the share of masks that left nothing of the best."""
    height, width = prepared.frame.inner_hw
    masks, block, seed = draw
    grid = _FINE_GRID if min(height, width) > _LARGE_PX else _COARSE_GRID
    halves = MaskEffects(keep), MaskEffects(keep)
    nothing = 0
    for drawn in mask_blocks(masks, block, (height, width), grid, keep, seed):
        padded = _on_input(drawn.to(prepared.inputs.device), prepared)
        with torch.no_grad():
            scores = target(padded, scale)
        if scale == 'score':
            nothing += int((scores < _SEEN).all(1).sum())
        for half, effects in enumerate(halves):
            effects.add(padded[half::2], scores[half::2])
    return halves, nothing / masks


def _on_input(masks: Tensor, prepared: Prepared) -> Tensor:
    """Masks ``[B, h, w]`` of the picture in the input, ``[B, H, W]``; padding stays."""
    top, left = prepared.frame.top, prepared.frame.left
    whole = masks.new_ones(len(masks), *prepared.size_hw)
    target = whole[:, top : top + masks.shape[1], left : left + masks.shape[2]]
    target.copy_(masks[:, : target.shape[1], : target.shape[2]])
    return whole


def on_pixels(target: Score, prepared: Prepared) -> Masked:
    """Scores ``[B, K]`` of a picture under masks ``[B, H, W]``."""

    def scores(masks: Tensor, scale: str) -> Tensor:
        return target(prepared.inputs * masks[:, None], scale)

    return scores


@contextmanager
def on_features(network: Network, prepared: Prepared, target: Score) -> Iterator[Masked]:
    """Scores under masks ``[B, H, W]`` of what the heads see: the backbone runs once.

    The features have mixed the surroundings already, so the maps answer another question than
    masks of pixels do.

    Args:
        network: inside of ``undisturbed``.
        prepared: the image.
        target: scores of inputs.
    """
    with torch.no_grad():
        features = network.features(prepared.inputs)
    under: list[Tensor] = []

    def extract_feat(inputs: Tensor) -> object:
        masks = under[-1][: len(inputs), None]
        return mapped(features, lambda f: f * adaptive_avg_pool2d(masks, (f.shape[2], f.shape[3])))

    def scores(masks: Tensor, scale: str) -> Tensor:
        under[:] = [masks]
        return target(prepared.inputs.expand(len(masks), -1, -1, -1), scale)

    network.model.extract_feat = extract_feat
    try:
        yield scores
    finally:
        del network.model.extract_feat
