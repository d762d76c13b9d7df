"""Which prior learns which face.

A prior takes the face it overlaps most, if the overlap reaches ``positive_iou``. Below
``negative_iou`` it is background. Between the two, or on a face that is to be ignored, it is
ignored: it counts in no loss. With ``force_best_from``, the best prior of each face that reaches
this overlap takes that face whatever else it overlaps (of two such faces, the later one).

Shapes: N images, G faces of the fullest image, P priors. Boxes are (x1, y1, x2, y2) px.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmext.errors import InputError
from mmext.functional.boxes import pairwise_iou
from mmext.functional.mining import BACKGROUND, IGNORE

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
            raise InputError(
                'matching: expected 0 < negative_iou <= positive_iou <= 1, got '
                f'{self.negative_iou} and {self.positive_iou}'
            )
        if self.force_best_from is not None and not self.force_best_from > 0:
            raise InputError(f'force_best_from: expected over 0, got {self.force_best_from}')


def match_priors(
    priors_xyxy: Tensor,
    boxes_xyxy: Sequence[Tensor],
    ignored_xyxy: Sequence[Tensor],
    rules: MatchingRules,
) -> Tensor:
    """Assign a face, background or "ignore" to every prior of every image.

    There is no loop over faces or images and no wait for the device. One tensor operation handles
    32 faces of all the images that have so many.

    Args:
        priors_xyxy: ``[P, 4]``.
        boxes_xyxy: per image ``[G_i, 4]``; a box without area matches nothing.
        ignored_xyxy: per image ``[I_i, 4]``; background priors that overlap one of them by
            ``negative_iou`` are ignored.
        rules: the thresholds.

    Returns:
        ``[N, P]`` int64: index of the face in its image, or ``BACKGROUND``, or ``IGNORE``.
    """
    overlap, face_index, forced = _best_matches(priors_xyxy, boxes_xyxy, rules.force_best_from)
    background = torch.where(overlap < rules.negative_iou, BACKGROUND, IGNORE)
    assigned = torch.where(overlap >= rules.positive_iou, face_index, background)
    assigned = torch.where(forced >= 0, forced, assigned)
    if any(len(boxes) for boxes in ignored_xyxy):
        overlap, _, _ = _best_matches(priors_xyxy, ignored_xyxy, None)
        ignored = (assigned == BACKGROUND) & (overlap >= rules.negative_iou)
        assigned = assigned.masked_fill(ignored, IGNORE)
    return assigned


def _best_matches(
    priors_xyxy: Tensor, boxes_xyxy: Sequence[Tensor], force_best_from: float | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Of each prior the largest overlap, its face, and the face forced on it or -1; ``[N, P]``."""
    counts = [len(boxes) for boxes in boxes_xyxy]
    # fullest image first: those that have at least so many faces are then a prefix
    order = sorted(range(len(counts)), key=counts.__getitem__, reverse=True)
    padded = torch.nn.utils.rnn.pad_sequence([boxes_xyxy[i] for i in order], batch_first=True)
    shape = (len(counts), len(priors_xyxy))
    overlap = priors_xyxy.new_zeros(shape)
    face_index = torch.zeros(shape, dtype=torch.int64, device=priors_xyxy.device)
    forced = torch.full_like(face_index, -1)
    for start in range(0, padded.shape[1], _FACES_AT_ONCE):
        images = sum(count > start for count in counts)
        faces = padded[:images, start : start + _FACES_AT_ONCE]
        iou = pairwise_iou(faces, priors_xyxy)  # [n, g, P]
        best, best_face = iou.max(dim=1)
        better = best > overlap[:images]
        overlap[:images] = torch.where(better, best, overlap[:images])
        face_index[:images] = torch.where(better, best_face + start, face_index[:images])
        if force_best_from is not None:
            best, best_prior = iou.max(dim=2)  # [n, g]
            candidates = torch.arange(start, start + faces.shape[1], device=best_prior.device)
            candidates = torch.where(best >= force_best_from, candidates, -1)
            forced[:images].scatter_reduce_(1, best_prior, candidates, 'amax')
    position = torch.empty(len(order), dtype=torch.int64)
    position[order] = torch.arange(len(order))
    position = position.to(face_index.device)
    return overlap[position], face_index[position], forced[position]
