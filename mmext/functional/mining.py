"""Hard example mining: which priors of an image count in a training step.

Liu et al., "SSD", 2016, section 2.2. Shapes: N images, P priors.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

BACKGROUND, IGNORE = -1, -2
"""What is assigned to a prior that learns no object: background, or nothing at all."""


@dataclass(frozen=True)
class MiningRules:
    """How many priors of an image count in a training step. The hardest are taken.

    Attributes:
        negatives_per_positive: number of background priors for each prior of an object.
        min_negatives: least number of background priors, also in an image without objects.
        max_priors: largest number of object and background priors together. ``None`` takes all
            object priors; a number is filled up with background priors.
        max_positive_ratio: largest share of ``max_priors`` that may be object priors.
    """

    negatives_per_positive: float = 0.0
    min_negatives: int = 0
    max_priors: int | None = None
    max_positive_ratio: float = 1.0


def mine(losses: Tensor, assigned: Tensor, rules: MiningRules) -> Tensor:
    """Choose the priors with the largest classification loss.

    Args:
        losses: ``[N, P]``, the classification loss of each prior, finite and detached.
        assigned: ``[N, P]``, the object of each prior, ``BACKGROUND`` or ``IGNORE``.
        rules: how many of each kind.

    Returns:
        ``[N, P]`` bool, True for the chosen priors.
    """
    positive, negative = assigned >= 0, assigned == BACKGROUND
    num_positive = positive.sum(dim=1)
    chosen = positive
    if rules.max_priors is not None:
        num_positive = num_positive.clamp(max=int(rules.max_priors * rules.max_positive_ratio))
        chosen = _hardest(losses, positive, num_positive)
        num_negative = rules.max_priors - num_positive
    else:
        num_negative = (num_positive * rules.negatives_per_positive).long()
    return chosen | _hardest(losses, negative, num_negative.clamp(min=rules.min_negatives))


def _hardest(losses: Tensor, among: Tensor, count: Tensor) -> Tensor:
    """Where the ``count`` ``[N]`` largest losses of each row are, of those that are ``among``."""
    order = losses.masked_fill(~among, -torch.inf).argsort(dim=1, descending=True)
    ranks = torch.arange(losses.shape[1], device=losses.device)
    first = ranks.expand_as(order) < count[:, None]
    return torch.zeros_like(among).scatter(1, order, first) & among
