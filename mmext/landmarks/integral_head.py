"""Landmarks as the mean places of heat-maps that nobody draws.

Nibali et al., "Numerical Coordinate Regression with Convolutional Neural Networks", arXiv
1801.07372 (DSNT); Sun et al., "Integral Human Pose Regression", ECCV 2018.

Shapes: N crops, K points, ``H x W`` cells. Points are x, y in sides of the crop: 0 to 1 inside.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmext.errors import InputError
from mmext.functional.landmark_coordinates import (
    jensen_shannon,
    normalized_gaussians,
    soft_argmax,
)
from mmext.functional.landmark_losses import masked_mean
from mmext.landmarks.deconv_trunk import deconv_trunk
from mmext.landmarks.heatmap_head import LandmarkHead, Outputs
from mmext.registry import MODELS


@MODELS.register_module()
class IntegralHead(LandmarkHead):
    """The softmax of a map is a distribution over its cells, and its mean is the point.

    The loss is the distance from the annotated point, in half sides, and the Jensen-Shannon
    divergence of the distribution from a Gaussian there.

    Args:
        in_channels: of the level that it sees.
        deconv_channels: widths of transposed convolutions before the maps.
        sigma: of that Gaussian, cells.
        divergence_weight: of the divergence; 0 is the plain integral.
        kwargs: of :class:`.LandmarkHead`.

    Raises:
        InputError: a sigma that is not above 0.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        deconv_channels: Sequence[int] = (256, 256, 256),
        sigma: float = 1.0,
        divergence_weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels=in_channels, **kwargs)
        if not sigma > 0:
            raise InputError(f'sigma: expected cells above 0, got {sigma}')
        self.sigma, self.divergence_weight = sigma, divergence_weight
        last = deconv_channels[-1] if deconv_channels else in_channels
        conv = nn.Conv2d(last, self.num_points, 1)
        self.layers = nn.Sequential(deconv_trunk(in_channels, deconv_channels), conv)

    def forward(self, features: Sequence[Tensor]) -> Outputs:
        """Logits ``[N, K, H, W]`` of levels ``[N, C, h, w]``."""
        return (self.layers(self.level(features)),)

    def loss_by_feat(self, outputs: Outputs, points: Tensor, visible: Tensor) -> dict[str, Tensor]:
        """``loss_point`` and ``loss_divergence``; points outside of the crop do not count.

        Args:
            outputs: logits ``[N, K, H, W]``.
            points: ``[N, K, 2]`` in sides.
            visible: ``[N, K]``, 0 = not annotated.
        """
        xy, probs = soft_argmax(outputs[0])
        counted = inside(points, visible).to(xy.dtype)
        targets = 2 * points.where(counted[..., None] > 0, 0.5).to(xy) - 1
        distances = torch.linalg.vector_norm(xy - targets, dim=-1)
        losses = dict(loss_point=masked_mean(distances, counted))
        if self.divergence_weight:
            height, width = probs.shape[-2:]
            gaussians = normalized_gaussians(targets, (height, width), self.sigma)
            divergence = masked_mean(jensen_shannon(probs, gaussians), counted)
            losses['loss_divergence'] = self.divergence_weight * divergence
        return losses

    def predict_by_feat(self, outputs: Outputs) -> tuple[Tensor, Tensor]:
        """Points ``[N, K, 2]`` in sides; scores ``[N, K]``, the peaks relative to a Gaussian's.

        Args:
            outputs: logits ``[N, K, H, W]``.
        """
        xy, probs = soft_argmax(outputs[0])
        height, width = probs.shape[-2:]
        center = xy.new_tensor([1 / width, 1 / height])  # of a cell, so far as both are even
        peak = normalized_gaussians(center, (height, width), self.sigma).flatten().amax(0)
        return (xy + 1) / 2, (probs.amax((-2, -1)) / peak).clamp(max=1)

    def unflipped(self, outputs: Outputs, permutation: Tensor) -> Outputs:
        """Logits ``[N, K, H, W]`` of flipped crops, flipped back; ``[K]`` names."""
        return (outputs[0].flip(3)[:, permutation],)


def inside(points: Tensor, visible: Tensor) -> Tensor:
    """Which points ``[N, K, 2]`` (in sides) are annotated and in the crop: bool ``[N, K]``."""
    return (visible > 0) & ((points >= 0) & (points <= 1)).all(-1)
