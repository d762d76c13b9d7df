"""Landmarks as numbers out of a fully connected layer, plainly or with their deviations.

Feng et al., "Wing Loss", CVPR 2018; Li et al., "Human Pose Regression with Residual Log-likelihood
Estimation", ICCV 2021 (RLE).

Shapes: N crops, K points. Points are x, y in sides of the crop: 0 to 1 inside.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmext.errors import InputError
from mmext.functional.landmark_losses import (
    masked_mean,
    residual_log_likelihood,
    smooth_l1,
    soft_wing,
    wing,
)
from mmext.landmarks.heatmap_head import LandmarkHead, Outputs
from mmext.landmarks.integral_head import inside
from mmext.landmarks.residual_flow import ResidualFlow
from mmext.registry import MODELS

_PIXEL_LOSSES: dict[str, Callable[[Tensor], Tensor]] = {'wing': wing, 'soft_wing': soft_wing}
LOSSES = ('l1', 'smooth_l1', *_PIXEL_LOSSES, 'rle')


@MODELS.register_module()
class RegressionHead(LandmarkHead):
    """The mean of a level's features, and one linear layer.

    Args:
        in_channels: of the level that it sees.
        loss_type: ``'l1'`` and ``'smooth_l1'`` in sides of the crop, ``'wing'`` and ``'soft_wing'``
            in pixels of the input, as their papers have them; ``'rle'`` learns the errors' density
            beside the points, and needs its flow in training alone.
        beta: of smooth L1, in sides.
        loss_weight: factor.
        kwargs: of :class:`.LandmarkHead`.

    Raises:
        InputError: an unknown loss.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        loss_type: str = 'l1',
        beta: float = 0.01,
        loss_weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels=in_channels, **kwargs)
        if loss_type not in LOSSES:
            raise InputError(f'loss_type: expected one of {LOSSES}, got {loss_type!r}')
        self.loss_type, self.beta, self.loss_weight = loss_type, beta, loss_weight
        numbers = 4 if loss_type == 'rle' else 2
        self.linear = nn.Linear(in_channels, numbers * self.num_points)
        nn.init.normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)
        with torch.no_grad():  # begins in the middle of the crop
            self.linear.bias[: 2 * self.num_points] = 0.5
        self.flow = ResidualFlow() if loss_type == 'rle' else None

    def forward(self, features: Sequence[Tensor]) -> Outputs:
        """Points ``[N, K, 2]``, and for RLE what the sigmoid makes deviations of, the same.

        Args:
            features: levels ``[N, C, h, w]``.
        """
        numbers = self.linear(self.level(features).mean((2, 3)))
        return tuple(numbers.unflatten(1, (-1, self.num_points, 2)).unbind(1))

    def loss_by_feat(self, outputs: Outputs, points: Tensor, visible: Tensor) -> dict[str, Tensor]:
        """``loss_point``; points outside of the crop do not count.

        Args:
            outputs: ``[N, K, 2]`` each.
            points: ``[N, K, 2]`` in sides.
            visible: ``[N, K]``, 0 = not annotated.
        """
        predicted = outputs[0].float()
        counted = inside(points, visible)
        targets = points.where(counted[..., None], 0.5).to(predicted)
        weights = counted.to(predicted.dtype)
        if self.flow is not None:
            values = residual_log_likelihood(predicted, targets, outputs[1].float(), self.flow)
            total = (values * weights[..., None]).sum() / max(1, len(values))
            return dict(loss_point=self.loss_weight * total)
        differences = predicted - targets
        if self.loss_type in _PIXEL_LOSSES:
            pixels = differences * differences.new_tensor(self.input_wh)
            values = _PIXEL_LOSSES[self.loss_type](pixels)
        else:
            values = smooth_l1(differences, self.beta if self.loss_type == 'smooth_l1' else 0.0)
        return dict(loss_point=self.loss_weight * masked_mean(values, weights))

    def predict_by_feat(self, outputs: Outputs) -> tuple[Tensor, Tensor]:
        """Points ``[N, K, 2]`` and scores ``[N, K]``: 1 less the mean deviation, 1 without RLE.

        Args:
            outputs: ``[N, K, 2]`` each.
        """
        points = outputs[0].float()
        if self.flow is None:
            return points, torch.ones_like(points[..., 0])
        return points, 1 - outputs[1].float().sigmoid().mean(-1)

    def unflipped(self, outputs: Outputs, permutation: Tensor) -> Outputs:
        """Points ``[N, K, 2]`` of flipped crops, flipped back; ``[K]`` names."""
        points, *deviations = (output[:, permutation] for output in outputs)
        points = torch.stack((1 - points[..., 0], points[..., 1]), dim=-1)
        return (points, *deviations)
