"""Hard example mining, and the sums of losses over the mined priors.

Shapes: N images, P priors, M positive priors of the batch.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mmext.retinaface.matching import BACKGROUND


@dataclass(frozen=True)
class MiningRules:
    """How many priors of an image count in a training step. The hardest are taken.

    Attributes:
        negatives_per_positive: number of background priors for each face prior.
        min_negatives: least number of background priors, also in an image without faces.
        max_priors: largest number of face and background priors together. ``None`` takes all face
            priors; a number is filled up with background priors.
        max_positive_ratio: largest share of ``max_priors`` that may be face priors.
    """

    negatives_per_positive: float = 0.0
    min_negatives: int = 0
    max_priors: int | None = None
    max_positive_ratio: float = 1.0


def mine(losses: Tensor, assigned: Tensor, rules: MiningRules) -> Tensor:
    """Choose the priors with the largest classification loss.

    Args:
        losses: ``[N, P]``, the classification loss of each prior, finite and detached.
        assigned: ``[N, P]``, the face of each prior, see :mod:`mmext.retinaface.matching`.
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


def face_cross_entropy(logits: Tensor, assigned: Tensor) -> Tensor:
    """Cross entropy of each prior.

    Args:
        logits: ``[N, P, 2]`` (background, face).
        assigned: ``[N, P]``, a face where it is 0 or more.

    Returns:
        ``[N, P]``; what it is for priors to be ignored means nothing.
    """
    margin = logits[..., 1] - logits[..., 0]
    # softplus of the margin to the wrong class: exact also for logits far from each other
    return F.softplus(torch.where(assigned >= 0, -margin, margin))


def smooth_l1(
    predicted: Tensor, target: Tensor, beta: float, valid: Tensor | None = None
) -> Tensor:
    """Sum of smooth L1 distances.

    Args:
        predicted: ``[...]``.
        target: ``[...]``; may be anything, also nan, where ``valid`` is False.
        beta: the distance below which the loss is quadratic.
        valid: bool, broadcasts with ``target``; ``None`` counts all.

    Returns:
        Scalar ``[]``.
    """
    if valid is not None:  # not by a product: a target that does not count may be anything
        target = torch.where(valid, target, predicted.detach())
    return F.smooth_l1_loss(predicted, target, beta=beta, reduction='sum')
