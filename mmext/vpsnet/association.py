"""Which detection is which remembered object: scores, and the decision by them.

Source: VPSNet (Kim et al., CVPR 2020), section 3.3, with the rule of MaskTrack R-CNN (Yang et al.,
"Video Instance Segmentation", ICCV 2019, equation 4) as released with VPSNet: a detection goes to
the remembered object, or to the dummy "new object", of the highest

    ``log softmax(affinity) + a log(probability) + b IoU + c [same label]``

with the label term granted to the dummy as well. If two detections choose one object, the one with
the higher score keeps it and the other becomes a new object.

Shape legend: n detections, m remembered objects, D channels of an embedding.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

NEW = -1


class Association(NamedTuple):
    """Which remembered object each detection is."""

    matches: Tensor
    """int64 ``[n]``: 0..m-1, or ``NEW``; no object occurs twice."""
    new_ranks: Tensor
    """int64 ``[n]``: rank among the new objects, 0 for those that are matched.

    First come the detections that chose to be new, then those that lost their object."""


def affinity(embeddings: Tensor, remembered: Tensor) -> Tensor:
    """Similarity of detections ``[n, D]`` to objects ``[m, D]``: ``[n, m + 1]``.

    It is the dot product, in float32 at least. Column 0 is the dummy, whose similarity is 0.
    """
    dtype = torch.promote_types(embeddings.dtype, torch.float32)
    with torch.autocast(embeddings.device.type, enabled=False):
        products = embeddings.to(dtype) @ remembered.to(dtype).T
    return torch.cat((products.new_zeros(len(products), 1), products), dim=1)


def association_scores(
    affinities: Tensor,
    probabilities: Tensor,
    ious: Tensor,
    same_label: Tensor,
    *,
    probability_weight: float = 1.0,
    iou_weight: float = 2.0,
    label_weight: float = 10.0,
) -> Tensor:
    """Scores of each detection for the dummy (column 0) and for each object.

    Args:
        affinities: ``[n, m + 1]``, see :func:`affinity`.
        probabilities: ``[n]``, of the detections, over 0.
        ious: ``[n, m]``.
        same_label: bool ``[n, m]``.
        probability_weight: a of the module's equation.
        iou_weight: b.
        label_weight: c.

    Returns:
        ``[n, m + 1]``.
    """
    terms = iou_weight * ious + label_weight * same_label
    terms = torch.cat((terms.new_full((len(terms), 1), label_weight), terms), dim=1)
    certainty = probability_weight * probabilities.log()[:, None]
    return affinities.log_softmax(dim=1) + certainty + terms


def associate(scores: Tensor) -> Association:
    """Decide which object each detection is; all work stays on the device of the scores.

    Args:
        scores: ``[n, m + 1]``, column 0 the dummy. Of equal scores of a detection the first
            column wins; of equal detections that choose one object the first keeps it.
    """
    if len(scores) == 0:
        none = scores.new_zeros(0, dtype=torch.long)
        return Association(none, none)
    best, choices = scores.max(dim=1)
    objects = torch.arange(1, scores.shape[1], device=scores.device)
    bids = best[:, None].where(choices[:, None] == objects, -torch.inf)  # [n, m]
    holders = bids.argmax(dim=0)  # [m]; any detection where none bids
    chose_new = choices == 0
    detections = torch.arange(len(scores), device=scores.device)
    if len(objects):
        keeps = ~chose_new & (holders[(choices - 1).clamp(min=0)] == detections)
    else:
        keeps = torch.zeros_like(chose_new)
    loses = ~chose_new & ~keeps
    new_ranks = chose_new.cumsum(0) - 1
    loser_ranks = chose_new.sum() + loses.cumsum(0) - 1
    return Association(
        matches=(choices - 1).where(keeps, NEW),
        new_ranks=new_ranks.where(chose_new, loser_ranks).masked_fill(keeps, 0),
    )
