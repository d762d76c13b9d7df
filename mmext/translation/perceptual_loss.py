"""The perceptual loss: pictures compared by what a network sees in them.

Johnson et al., "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", ECCV 2016.
Its network is the backbone of the user's own detector: alike is what looks alike to it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from mmext.errors import InputError, MissingFileError
from mmext.registry import MODELS
from mmext.translation.loss_network import LossNetwork
from mmext.translation.style_losses import (
    DISTANCES,
    feature_distance,
    gram,
    style_distance,
    total_variation,
)


@MODELS.register_module()
class PerceptualLoss(nn.Module):
    """Content, and the style of one picture, by the stages of a frozen backbone.

    Args:
        network: arguments of :class:`.LossNetwork`: ``detector`` or ``backbone``, ``checkpoint``.
        content: position among the backbone's outputs to weight.
        style: likewise, of Gram matrices.
        style_picture: a file; needed for ``style``.
        style_size: px, its longer side is reduced to that.
        distance: ``'l1'`` or ``'l2'``, of content.
        variation: weight of the total variation of the picture that is judged.
        loss_weight: of all.

    Raises:
        InputError: nothing to judge by, no weights, a style without a picture.
    """

    def __init__(
        self,
        network: Mapping[str, Any],
        content: Mapping[int, float] | None = None,
        style: Mapping[int, float] | None = None,
        style_picture: str | None = None,
        style_size: int = 256,
        distance: str = 'l1',
        variation: float = 0.0,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.content = {int(stage): weight for stage, weight in (content or {}).items()}
        self.style = {int(stage): weight for stage, weight in (style or {}).items()}
        if not self.content and not self.style:
            raise InputError('PerceptualLoss: neither content nor style; as content={1: 1.0}')
        if self.style and style_picture is None:
            raise InputError('PerceptualLoss: style without style_picture=FILE')
        if distance not in DISTANCES:
            raise InputError(f'PerceptualLoss: distance {distance!r} (of {", ".join(DISTANCES)})')
        self.network = LossNetwork(**network)
        self.style_picture, self.style_size = style_picture, style_size
        self.distance, self.variation, self.loss_weight = distance, variation, loss_weight
        self._style_grams: dict[int, Tensor] = {}

    def init_weights(self) -> None:
        """Before a training: the weights are read, so that what is wrong with them ends it now."""
        self._check_stages(self.network.constants(torch.zeros(1, 3, 64, 64)))
        if self.style:
            self._grams(torch.zeros(1))

    def forward(self, ours: Tensor, theirs: Tensor) -> dict[str, Tensor]:
        """Losses by name.

        Args:
            ours: RGB pictures ``[N, 3, H, W]`` in [-1, 1], which the gradient reaches.
            theirs: of the same shape, what they should look like.
        """
        seen = self.network.features(ours)
        self._check_stages(seen)
        losses = {}
        if self.content:
            wanted = self.network.constants(theirs)
            terms = [
                weight * feature_distance(seen[stage], wanted[stage], self.distance)
                for stage, weight in self.content.items()
            ]
            losses['loss_content'] = self.loss_weight * torch.stack(terms).sum()
        if self.style:
            grams = self._grams(ours)
            terms = [
                weight * style_distance(seen[stage], grams[stage])
                for stage, weight in self.style.items()
            ]
            losses['loss_style'] = self.loss_weight * torch.stack(terms).sum()
        if self.variation:
            share = self.loss_weight * self.variation
            losses['loss_variation'] = share * total_variation(ours)
        return losses

    def _check_stages(self, seen: tuple[Tensor, ...]) -> None:
        wanted = {*self.content, *self.style}
        if not wanted <= set(range(len(seen))):
            raise InputError(
                f'PerceptualLoss: stages {sorted(wanted)}; the backbone has {len(seen)} outputs '
                '(its out_indices), counted from 0'
            )

    def _grams(self, like: Tensor) -> dict[int, Tensor]:
        """Gram matrices ``[1, C, C]`` of the style, by stage, on the device of a tensor."""
        if not self._style_grams or next(iter(self._style_grams.values())).device != like.device:
            picture = read_style(str(self.style_picture), self.style_size).to(like.device)
            with torch.autocast(like.device.type, enabled=False):
                seen = self.network.constants(picture)
            self._check_stages(seen)
            self._style_grams = {stage: gram(seen[stage]) for stage in self.style}
        return self._style_grams


def read_style(path: str, size: int) -> Tensor:
    """A picture as RGB in [-1, 1], ``[1, 3, H, W]``, its longer side at most ``size`` px.

    Raises:
        MissingFileError: no file there.
        InputError: no picture.
    """
    if not Path(path).is_file():
        raise MissingFileError(f'PerceptualLoss: no style_picture at {Path(path).absolute()}')
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise InputError(f'PerceptualLoss: style_picture {path} is no picture that can be read')
    shrink = min(1.0, size / max(image.shape[:2]))
    image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    rgb = np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1))
    return torch.from_numpy(rgb).float()[None] / 127.5 - 1
