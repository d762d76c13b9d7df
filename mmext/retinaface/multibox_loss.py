"""The sums of losses over the mined priors.

Shapes: N images, P priors, M positive priors of the batch.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


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
