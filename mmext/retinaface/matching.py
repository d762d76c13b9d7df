"""Which prior learns which face.

A prior takes the face it overlaps most, if the overlap reaches ``positive_iou``; below
``negative_iou`` it is background; between, or on a face that is to be ignored, it is left out.
With ``force_best_from``, the best prior of each face that reaches this overlap takes that face
whatever else it overlaps (of two such faces, the later one).

Shapes: N images, G faces of the fullest image, P priors. Boxes are (x1, y1, x2, y2) px.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

BACKGROUND, LEFT_OUT = -1, -2
_FACES_AT_ONCE = 32  # bounds the memory: N x 32 x P overlaps, and fits a cache for one image


@dataclass(frozen=True)
class MatchingRules:
    """The thresholds; see the module.

    Attributes:
        positive_iou: overlap from which on a prior is a face.
        negative_iou: overlap below which it is background.
        force_best_from: least overlap of a face with its best prior for the match to be forced;
            ``None`` forces none.
    """

    positive_iou: float
    negative_iou: float
    force_best_from: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.negative_iou <= self.positive_iou <= 1:
            raise ValueError(
                'matching: expected 0 < negative_iou <= positive_iou <= 1, got '
                f'{self.negative_iou} and {self.positive_iou}'
            )
        if self.force_best_from is not None and not self.force_best_from > 0:
            raise ValueError(f'force_best_from: expected over 0, got {self.force_best_from}')


def match_priors(
    priors_xyxy: Tensor,
    boxes_xyxy: Sequence[Tensor],
    ignored_xyxy: Sequence[Tensor],
    rules: MatchingRules,
) -> Tensor:
    """Assign a face, background or nothing to every prior of every image.

    No loop over faces or images and no wait for the device: the work is one tensor operation
    for each 32 faces of the fullest image, over the images that have so many.

    Args:
        priors_xyxy: ``[P, 4]``.
        boxes_xyxy: per image ``[G_i, 4]``; a box without area matches nothing.
        ignored_xyxy: per image ``[I_i, 4]``; background priors that overlap one of them by
            ``negative_iou`` are left out.
        rules: the thresholds.

    Returns:
        ``[N, P]`` int64: number of the face in its image, or ``BACKGROUND``, or ``LEFT_OUT``.
    """
    overlap, face, forced = _best_matches(priors_xyxy, boxes_xyxy, rules.force_best_from)
    background = torch.where(overlap < rules.negative_iou, BACKGROUND, LEFT_OUT)
    assigned = torch.where(overlap >= rules.positive_iou, face, background)
    assigned = torch.where(forced >= 0, forced, assigned)
    if any(len(boxes) for boxes in ignored_xyxy):
        overlap, _, _ = _best_matches(priors_xyxy, ignored_xyxy, None)
        ignored = (assigned == BACKGROUND) & (overlap >= rules.negative_iou)
        assigned = assigned.masked_fill(ignored, LEFT_OUT)
    return assigned


def _best_matches(
    priors_xyxy: Tensor, boxes_xyxy: Sequence[Tensor], force_best_from: float | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Per prior the largest overlap, its face, and the face it is forced on (or -1), ``[N, P]``."""
    counts = [len(boxes) for boxes in boxes_xyxy]
    # fullest image first: those that have a face with a given number are then a prefix
    order = sorted(range(len(counts)), key=counts.__getitem__, reverse=True)
    padded = torch.nn.utils.rnn.pad_sequence([boxes_xyxy[i] for i in order], batch_first=True)
    shape = (len(counts), len(priors_xyxy))
    overlap = priors_xyxy.new_zeros(shape)
    face = torch.zeros(shape, dtype=torch.int64, device=priors_xyxy.device)
    forced = torch.full_like(face, -1)
    for start in range(0, padded.shape[1], _FACES_AT_ONCE):
        images = sum(count > start for count in counts)
        part = padded[:images, start : start + _FACES_AT_ONCE]
        iou = pairwise_iou(part, priors_xyxy)  # [n, g, P]
        best, number = iou.max(dim=1)
        better = best > overlap[:images]
        overlap[:images] = torch.where(better, best, overlap[:images])
        face[:images] = torch.where(better, number + start, face[:images])
        if force_best_from is not None:
            best, prior = iou.max(dim=2)  # [n, g]
            number = torch.arange(start, start + part.shape[1], device=prior.device)
            number = torch.where(best >= force_best_from, number, -1)
            forced[:images].scatter_reduce_(1, prior, number, 'amax')
    place = torch.empty(len(order), dtype=torch.int64)
    place[order] = torch.arange(len(order))
    place = place.to(face.device)
    return overlap[place], face[place], forced[place]


def pairwise_iou(boxes_xyxy: Tensor, others_xyxy: Tensor) -> Tensor:
    """Overlaps of ``[..., G, 4]`` with ``[P, 4]``, ``[..., G, P]``; 0 where both are empty.

    No gradients: it works in place on three tables of that size.
    """
    x1, y1, x2, y2 = boxes_xyxy[..., None, :].unbind(-1)  # [..., G, 1]
    # each coordinate of the many boxes in a row of its own: seven times faster on a CPU
    u1, v1, u2, v2 = others_xyxy.mT.contiguous().unbind(0)  # [P]
    width = torch.minimum(x2, u2).sub_(torch.maximum(x1, u1)).clamp_(min=0)
    height = torch.minimum(y2, v2).sub_(torch.maximum(y1, v1)).clamp_(min=0)
    shared = width.mul_(height)
    total = ((x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1)).sub_(shared)
    return shared.div_(total.clamp_(min=torch.finfo(shared.dtype).tiny))
