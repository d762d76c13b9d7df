"""Adversarial losses on the maps of a discriminator.

``'vanilla'``: Goodfellow et al. 2014 on logits, as in pix2pix. ``'lsgan'``: Mao et al. 2017, as in
CycleGAN. ``'hinge'``: Lim and Ye 2017, as in SPADE. Maps are logits ``[N, 1, h, w]`` of one or more
scales; a loss is the mean over scales of the mean over places, in float32.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

KINDS = ('vanilla', 'lsgan', 'hinge')


def discriminator_loss(real: Sequence[Tensor], fake: Sequence[Tensor], kind: str) -> Tensor:
    """What a discriminator lessens: half of each side, the whole of each for ``'hinge'``.

    Args:
        real: maps of real pictures, one for each scale.
        fake: of made ones.
        kind: one of ``KINDS``.

    Returns:
        A scalar.
    """
    share = 1.0 if kind == 'hinge' else 0.5
    return share * (verdict_loss(real, True, kind) + verdict_loss(fake, False, kind))


def generator_loss(fake: Sequence[Tensor], kind: str) -> Tensor:
    """What a generator lessens, from the maps of its pictures; a scalar."""
    if kind == 'hinge':
        return _over_scales(fake, lambda logits: -logits.mean())
    return verdict_loss(fake, True, kind)


def verdict_loss(maps: Sequence[Tensor], real: bool, kind: str) -> Tensor:
    """How far the maps are from saying that pictures are real, or made; a scalar."""
    target = 1.0 if real else 0.0

    def of_scale(logits: Tensor) -> Tensor:
        if kind == 'hinge':
            return functional.relu(1 - logits if real else 1 + logits).mean()
        wanted = torch.full_like(logits, target)
        if kind == 'lsgan':
            return functional.mse_loss(logits, wanted)
        return functional.binary_cross_entropy_with_logits(logits, wanted)

    return _over_scales(maps, of_scale)


def feature_matching_loss(
    fake: Sequence[Sequence[Tensor]], real: Sequence[Sequence[Tensor]]
) -> Tensor:
    """L1 between what a discriminator sees in made and in real pictures (Wang et al. 2018).

    Args:
        fake: of each scale the results of the layers; the last, the map, does not count.
        real: of the real pictures; no gradient reaches them.

    Returns:
        The sum over layers, the mean over scales; a scalar.
    """
    sums = [
        torch.stack(
            [
                functional.l1_loss(ours.float(), theirs.detach().float())
                for ours, theirs in zip(of_fake[:-1], of_real[:-1], strict=True)
            ]
        ).sum()
        for of_fake, of_real in zip(fake, real, strict=True)
    ]
    return torch.stack(sums).mean()


def verdicts_right(real: Sequence[Tensor], fake: Sequence[Tensor], kind: str) -> Tensor:
    """Share of the places, from 0 to 1, that a discriminator judges rightly; a scalar.

    A place says "real" above the middle between the two answers that it is taught.
    """
    middle = 0.5 if kind == 'lsgan' else 0.0
    with torch.no_grad():
        said = [(m > middle).float().mean() for m in real]
        said += [(m <= middle).float().mean() for m in fake]
        return torch.stack(said).mean()


def _over_scales(maps: Sequence[Tensor], loss: Callable[[Tensor], Tensor]) -> Tensor:
    return torch.stack([loss(logits.float()) for logits in maps]).mean()
