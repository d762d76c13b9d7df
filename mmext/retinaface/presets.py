"""The three networks that are called RetinaFace, number by number.

``paper``
    Deng et al., arXiv 1905.00641 v2. Where in it a number stands is not noted: the text was not
    at hand when this was written down.
``insightface``
    The authors' MXNet release. Its legacy ``+1`` box arithmetic is not kept. That all centers
    begin at 8 px whatever the stride, and what its loss weights are divided by, is from memory
    and unverified.
``pytorch``
    biubug6/Pytorch_Retinaface, the port that most checkpoints in use come from. Not kept: a face
    below an overlap of 0.2 with all priors still took its best prior's target over.

A config names one and changes single numbers:
``preset='pytorch', rules=dict(mining=dict(min_negatives=32))``.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmext.errors import InputError
from mmext.functional.mining import MiningRules
from mmext.retinaface.encoding import Encoding
from mmext.retinaface.matching import MatchingRules
from mmext.retinaface.priors import PriorRules


@dataclass(frozen=True)
class LossRules:
    """Weights and kinds of the losses of faces, boxes and landmarks.

    Attributes:
        face_weight: of the classification.
        box_weight: of the boxes.
        landmark_weight: of the landmarks.
        beta: of the smooth L1, 1 / sigma**2.
        mean_over: what the classification is averaged over: ``'positives'`` or all ``'mined'``
            priors.
    """

    face_weight: float = 1.0
    box_weight: float = 1.0
    landmark_weight: float = 1.0
    beta: float = 1.0
    mean_over: str = 'positives'

    def __post_init__(self) -> None:
        if self.mean_over not in ('positives', 'mined'):
            raise InputError(f"mean_over: expected 'positives' or 'mined', got {self.mean_over!r}")


@dataclass(frozen=True)
class Preset:
    """All rules of one of the three."""

    priors: PriorRules
    encoding: Encoding
    matching: MatchingRules
    mining: MiningRules
    losses: LossRules


_OCTAVE_THIRDS = tuple(2 ** (i / 3) for i in range(3))

PRESETS: dict[str, Preset] = {
    'paper': Preset(
        # P2 to P6, scale step 2 ** (1/3)
        PriorRules(
            strides=(4, 8, 16, 32, 64),
            sizes_px=tuple(
                tuple(side * step for step in _OCTAVE_THIRDS) for side in (16, 32, 64, 128, 256)
            ),
        ),
        Encoding(),
        MatchingRules(positive_iou=0.5, negative_iou=0.3),
        MiningRules(negatives_per_positive=3.0),  # "at least 3:1"
        # lambda 1 and 2; what the terms are averaged over is not said
        LossRules(box_weight=0.25, landmark_weight=0.1),
    ),
    'insightface': Preset(
        PriorRules(
            strides=(8, 16, 32),
            sizes_px=((16.0, 32.0), (64.0, 128.0), (256.0, 512.0)),
            first_center_px=8.0,
        ),
        Encoding(),
        MatchingRules(positive_iou=0.5, negative_iou=0.3),
        MiningRules(max_priors=256, max_positive_ratio=0.25),
        # sigma 3; landmarks 0.4 x LANDMARK_LR_MULT of 2.0
        LossRules(box_weight=0.25, landmark_weight=0.8, beta=1 / 9, mean_over='mined'),
    ),
    'pytorch': Preset(
        PriorRules(strides=(8, 16, 32), sizes_px=((16.0, 32.0), (64.0, 128.0), (256.0, 512.0))),
        Encoding(center=0.1, size=0.2),
        MatchingRules(positive_iou=0.35, negative_iou=0.35, force_best_from=0.2),
        MiningRules(negatives_per_positive=7.0),
        LossRules(box_weight=2.0),
    ),
}


def make_preset(name: str, **changes: Mapping[str, Any] | None) -> Preset:
    """A preset, with single numbers changed.

    Args:
        name: one of ``PRESETS``.
        changes: for ``priors``, ``encoding``, ``matching``, ``mining``, ``losses`` the fields
            that differ.

    Raises:
        InputError: an unknown name or field.

    >>> make_preset('pytorch', matching=dict(positive_iou=0.5)).matching.positive_iou
    0.5
    """
    if name not in PRESETS:
        raise InputError(f'preset: expected one of {", ".join(PRESETS)}, got {name!r}')
    preset = PRESETS[name]
    for part, fields in changes.items():
        rules = getattr(preset, part)
        known = [field.name for field in dataclasses.fields(rules)]
        unknown = [field for field in fields or () if field not in known]
        if unknown:
            raise InputError(f'{part}: expected some of {", ".join(known)}, got {unknown[0]!r}')
        preset = dataclasses.replace(
            preset, **{part: dataclasses.replace(rules, **dict(fields or {}))}
        )
    return preset
