"""A map of one detection, and how it was made.

Shape legend: ``h x w`` picture, ``H x W`` input, K detections.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mmext.errors import InputError
from mmext.explain import relevance
from mmext.explain.captum_methods import Settings
from mmext.explain.geometry import to_original
from mmext.explain.layers import INPUT
from mmext.explain.quantities import parse_quantity
from mmext.explain.scene import Detection, Scene

KINDS = ('anchored', 'matched', 'live')  # of targets that are scores


@dataclass(frozen=True)
class Options:
    """How maps are made.

    Attributes:
        layer: of the CAM family, see :func:`.layers.find_layer`.
        target: what of a detection is explained, see :mod:`.quantities`.
        scale: 'score' or 'logit', of methods that perturb the image.
        masks: random masks of rise.
        patch_px: side of the patch of occlusion, px of the input; 0: a third of the box.
        steps: of integrated gradients.
        samples: of noise, and orders of segments.
        smooth: standard deviation of the Gaussian that spreads a map, over the side of a square of
            the area of the box; 0: the map as it is.
        channels: of a layer that scorecam and ablationcam try.
        block: inputs at once.
        seed: of masks, noise and orders.
    """

    layer: str = 'auto'
    target: str = 'score'
    scale: str = 'score'
    masks: int = 500
    patch_px: int = 0
    steps: int = 32
    samples: int = 16
    smooth: float = 0.0
    channels: int = 64
    block: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        parse_quantity(self.target)
        for name in ('masks', 'steps', 'samples', 'channels', 'block'):
            least = 2 if name == 'masks' else 1
            if getattr(self, name) < least:
                raise InputError(f'{name}: expected {least} or more, got {getattr(self, name)}')
        if not 0 <= self.smooth <= 1:
            raise InputError(f'smooth: expected 0 to 1, got {self.smooth}')
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
        target: 'anchored', 'matched' or 'live', see :mod:`mmext.explain.targets`; of other numbers
            than the score their name.
        relevance: ``[h, w]`` float32, signed, of the picture.
        levels: the share of each output of the layer; empty for other methods.
        facts: what else is known: ``gap`` of completeness, ``agreement`` of both halves of the
            masks.
        note: what a reader has to know; ''.
        seconds: of all detections together.
        smooth: see :class:`Options`.
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
    smooth: float = 0.0

    def smoothed(self, share: float) -> 'Attribution':
        """What speaks for the detection, spread by a Gaussian of ``share`` of the side of the box.

        What speaks against it is left out: spread as well, it would take away what lies beside it.
        """
        if not share:
            return self
        left, top, right, bottom = self.detection.box_xyxy
        side = max((right - left) * (bottom - top), 1.0) ** 0.5
        maps = relevance.smoothed(torch.from_numpy(self.relevance)[None].clamp(min=0), share * side)
        return replace(self, relevance=maps[0].numpy(), smooth=share)

    @cached_property
    def heat(self) -> npt.NDArray[np.float32]:
        """``[h, w]``: what speaks for the detection, 0 to 1; all 0 if nothing does."""
        return np.asarray(
            relevance.heat(torch.from_numpy(self.relevance)[None])[0].numpy(), np.float32
        )


def attributions(
    scene: Scene, group: Sequence[Detection], options: Options, method: str, target: Any,
    maps: Tensor, layer: str = INPUT,
) -> list[Attribution]:  # fmt: skip
    """Maps of the input ``[K, H, W]`` as attributions of the picture.

    Args:
        scene: of the picture.
        group: K detections.
        options: how the maps were made.
        method: that made them.
        target: that was explained.
        maps: signed.
        layer: of the CAM family.
    """
    original = to_original(maps.detach().float().cpu(), scene.prepared.frame)
    is_score = parse_quantity(options.target).is_score
    kind = type(target).__name__.lower() if is_score else options.target
    return [
        Attribution(d, method, layer, kind, np.ascontiguousarray(m.numpy()))
        for d, m in zip(group, original, strict=True)
    ]


def settings_of(options: Options) -> Settings:
    """The options of captum's methods."""
    return Settings(
        steps=options.steps,
        samples=options.samples,
        block=options.block,
        seed=options.seed,
        scale=options.scale,
    )


def third_of_box(scene: Scene, detection: Detection) -> int:
    """A third of the shorter side of the box, px of the input, at least 4."""
    left, top, right, bottom = detection.box_xyxy
    scale_w, scale_h = scene.prepared.frame.scale_wh
    return max(4, round(min((right - left) * scale_w, (bottom - top) * scale_h) / 3))
