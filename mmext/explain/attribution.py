"""A map of one detection, and how it was made.

Shape legend: ``h x w`` picture.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

from mmext.errors import InputError
from mmext.explain import relevance
from mmext.explain.scene import Detection


@dataclass(frozen=True)
class Options:
    """How maps are made.

    Attributes:
        layer: of the CAM family, see :func:`.layers.find_layer`.
        scale: 'score' or 'logit', of methods that perturb the image.
        masks: random masks of rise.
        patch_px: side of the patch of occlusion, px of the input; 0: a third of the box.
        steps: of integrated gradients.
        samples: of noise, and orders of segments.
        block: inputs at once.
        seed: of masks, noise and orders.
    """

    layer: str = 'auto'
    scale: str = 'score'
    masks: int = 500
    patch_px: int = 0
    steps: int = 32
    samples: int = 16
    block: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ('masks', 'steps', 'samples', 'block'):
            least = 2 if name == 'masks' else 1
            if getattr(self, name) < least:
                raise InputError(f'{name}: expected {least} or more, got {getattr(self, name)}')
        if self.patch_px < 0:
            raise InputError(f'patch: expected 0 (a third of the box) or more, got {self.patch_px}')
        if self.scale not in ('score', 'logit'):
            raise InputError(f"scale: expected 'score' or 'logit', got {self.scale!r}")


@dataclass(frozen=True)
class Attribution:
    """A map of one detection.

    Attributes:
        detection: that is explained.
        method: that made the map.
        layer: of the CAM family; 'input' of the others.
        target: 'anchored', 'matched' or 'live', see :mod:`mmext.explain.targets`.
        relevance: ``[h, w]`` float32, signed, of the picture.
        levels: the share of each output of the layer; empty for other methods.
        facts: what else is known: ``gap`` of completeness, ``agreement`` of both halves of the
            masks.
        note: what a reader has to know; ''.
        seconds: of all detections together.
    """

    detection: Detection
    method: str
    layer: str
    target: str
    relevance: npt.NDArray[np.float32]
    levels: tuple[float, ...] = ()
    facts: dict[str, float] = field(default_factory=dict)
    note: str = ''
    seconds: float = 0.0

    @cached_property
    def heat(self) -> npt.NDArray[np.float32]:
        """``[h, w]``: what speaks for the detection, 0 to 1; all 0 if nothing does."""
        return np.asarray(
            relevance.heat(torch.from_numpy(self.relevance)[None])[0].numpy(), np.float32
        )
