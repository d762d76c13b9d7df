"""Hard example mining, and the sums of the losses over what was mined.

Shapes: N images, P priors, M positive priors of the batch.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mmext.retinaface.matching import BACKGROUND


@dataclass(frozen=True)
class MiningRules:
    """How many priors of an image take part in a step; the hardest are taken.

    Attributes:
        negatives_per_positive: background priors for each face prior.
        min_negatives: background priors at least, also of an image without faces.
        max_priors: of both kinds together; ``None`` takes all face priors.
        max_positive_ratio: share of ``max_priors`` that face priors may take; background fills
            up what they leave.
    """

    negatives_per_positive: float = 0.0
    min_negatives: int = 0
    max_priors: int | None = None
    max_positive_ratio: float = 1.0


def mine(losses: Tensor, assigned: Tensor, rules: MiningRules) -> Tensor:
    """The priors that take part, by the size of their classification loss.

    Args:
        losses: ``[N, P]``, finite; gradients are not needed.
        assigned: ``[N, P]``, see :mod:`mmext.retinaface.matching`.
        rules: how many.

    Returns:
        ``[N, P]`` bool.
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
    """The ``count`` ``[N]`` largest of each row, of those that are among ``[N, P]``."""
    order = losses.masked_fill(~among, -torch.inf).argsort(dim=1, descending=True)
    ranks = torch.arange(losses.shape[1], device=losses.device)
    first = ranks.expand_as(order) < count[:, None]
    return torch.zeros_like(among).scatter(1, order, first) & among


def face_cross_entropy(logits: Tensor, assigned: Tensor) -> Tensor:
    """Cross entropy of each prior, ``[N, P]``, from logits (background, face) ``[N, P, 2]``."""
    margin = logits[..., 1] - logits[..., 0]
    # softplus of the margin to the wrong class: exact also for logits far from each other
    return F.softplus(torch.where(assigned >= 0, -margin, margin))


def smooth_l1(
    predicted: Tensor, target: Tensor, beta: float, valid: Tensor | None = None
) -> Tensor:
    """Sum of the smooth L1 distances, without those where ``valid`` is given and false."""
    if valid is not None:  # not by a product: a target that does not count may be anything
        target = torch.where(valid, target, predicted.detach())
    return F.smooth_l1_loss(predicted, target, beta=beta, reduction='sum')
