"""Heads of landmarks on crops: what they share, and the one that predicts heat-maps.

Newell et al., "Stacked Hourglass Networks", ECCV 2016 (every stack is supervised); Xiao et al.,
"Simple Baselines for Human Pose Estimation and Tracking", ECCV 2018 (transposed convolutions on any
backbone); Wang et al., "Adaptive Wing Loss", ICCV 2019.

Shapes: N crops, K points, ``H x W`` cells. Points are x, y in sides of the crop: 0 to 1 inside.
"""

from abc import ABCMeta, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmext.errors import InputError
from mmext.functional.landmark_losses import (
    adaptive_wing,
    adaptive_wing_weights,
    masked_mean,
)
from mmext.landmarks.deconv_trunk import deconv_trunk
from mmext.landmarks.heatmap_codec import HeatmapCodec
from mmext.registry import MODELS

Outputs = tuple[Tensor, ...]
MAP_LOSSES = ('mse', 'adaptive_wing', 'weighted_adaptive_wing')


class LandmarkHead(BaseModule, metaclass=ABCMeta):
    """What every head of landmarks does; its kinds differ in four methods.

    Args:
        num_points: K.
        input_size: width and height of the crops, px; the estimator states it.
        in_channels: of the level that the head sees.
        in_index: which level of the backbone or neck that is.
        init_cfg: of mmengine.
    """

    def __init__(
        self,
        num_points: int,
        input_size: tuple[int, int],
        in_channels: int | None = None,
        in_index: int = -1,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = in_channels
        if num_points < 1:
            raise InputError(f'num_points: expected at least 1, got {num_points}')
        self.num_points, self.in_index = num_points, in_index
        self.input_wh = int(input_size[0]), int(input_size[1])

    @abstractmethod
    def forward(self, features: Sequence[Tensor]) -> Outputs:
        """From levels ``[N, C, h, w]`` of the backbone to raw outputs ``[N, ...]``."""

    @abstractmethod
    def loss_by_feat(self, outputs: Outputs, points: Tensor, visible: Tensor) -> dict[str, Tensor]:
        """Losses of raw outputs ``[N, ...]``; points ``[N, K, 2]``, visible ``[N, K]``."""

    @abstractmethod
    def predict_by_feat(self, outputs: Outputs) -> tuple[Tensor, Tensor]:
        """Points ``[N, K, 2]`` in sides and scores ``[N, K]`` of raw outputs ``[N, ...]``."""

    @abstractmethod
    def unflipped(self, outputs: Outputs, permutation: Tensor) -> Outputs:
        """What raw outputs ``[N, ...]`` of flipped crops say of the crops; ``[K]`` names."""

    def level(self, features: Sequence[Tensor]) -> Tensor:
        """The level ``[N, C, h, w]`` that the head sees.

        Args:
            features: all levels of the backbone or neck.

        Raises:
            InputError: there is no such level, or it has other channels.
        """
        count = len(features)
        if not -count <= self.in_index < count:
            raise InputError(
                f'in_index of {type(self).__name__}: there is no level {self.in_index} of {count}; '
                'they are the out_indices of the backbone, or what the neck makes of them'
            )
        level = features[self.in_index]
        if level.shape[1] != self.in_channels:
            raise InputError(
                f'in_channels of {type(self).__name__}: level {self.in_index} of the backbone or '
                f'neck has {level.shape[1]} channels, the config says {self.in_channels}'
            )
        return level

    def loss(
        self, features: Sequence[Tensor], points: Tensor, visible: Tensor
    ) -> dict[str, Tensor]:
        """The losses of a batch, and ``point_error``: the mean error in percent of the crop.

        Args:
            features: levels ``[N, C, h, w]``.
            points: ``[N, K, 2]`` in sides.
            visible: ``[N, K]``, 0 = not annotated.
        """
        outputs = tuple(output.float() for output in self.forward(features))
        with torch.autocast(points.device.type, enabled=False):
            losses = self.loss_by_feat(outputs, points, visible)
        with torch.no_grad(), torch.autocast(points.device.type, enabled=False):
            found, _ = self.predict_by_feat(tuple(output.detach() for output in outputs))
            errors = (found - points).norm(dim=-1)
            error = 100 * masked_mean(errors, (visible > 0).to(errors.dtype))
        return losses | dict(point_error=error)

    def predict(
        self,
        features: Sequence[Tensor],
        flipped_features: Sequence[Tensor] | None = None,
        permutation: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Points and scores of crops, of their and their flipped crops' averaged outputs if given.

        Args:
            features: levels ``[N, C, h, w]``.
            flipped_features: those of the flipped crops.
            permutation: ``[K]``, which point takes the name of each in a flipped crop.

        Returns:
            ``[N, K, 2]`` in sides, ``[N, K]`` in 0..1.
        """
        outputs = self(features)
        if flipped_features is not None and permutation is not None:
            others = self.unflipped(self(flipped_features), permutation)
            outputs = tuple((a + b) / 2 for a, b in zip(outputs, others, strict=True))
        # places are finer than bf16 has digits
        outputs = tuple(output.float() for output in outputs)
        with torch.autocast(outputs[0].device.type, enabled=False):
            return self.predict_by_feat(outputs)


@MODELS.register_module()
class HeatmapHead(LandmarkHead):
    """A heat-map for each point, of one or several stacks.

    Args:
        in_channels: of the level that it sees; None: the backbone's outputs are the maps of its
            stacks already (:class:`.StackedHourglass`), and the head has no layers.
        deconv_channels: widths of transposed convolutions before the maps.
        codec: arguments of :class:`.HeatmapCodec`.
        loss_type: ``'mse'``: mean over all cells and points, those that are not annotated stay in
            the denominator; ``'weighted_adaptive_wing'``: mean over the annotated points' cells, of
            which those at and beside a peak count more, as in the paper; ``'adaptive_wing'``: all
            count alike, as in mmpose.
        stack_weights: weights of the stacks' losses; None: 1 each.
        kwargs: of :class:`LandmarkHead`.

    Raises:
        InputError: an unknown loss or codec.
    """

    def __init__(
        self,
        *,
        in_channels: int | None,
        deconv_channels: Sequence[int] = (256, 256, 256),
        codec: Mapping[str, Any] | None = None,
        loss_type: str = 'mse',
        stack_weights: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels=in_channels, **kwargs)
        if loss_type not in MAP_LOSSES:
            raise InputError(f'loss_type: expected one of {MAP_LOSSES}, got {loss_type!r}')
        self.codec = HeatmapCodec(**(codec or {}))
        self.loss_type, self.stack_weights = loss_type, stack_weights
        self.layers = None
        if in_channels is not None:
            last = deconv_channels[-1] if deconv_channels else in_channels
            conv = nn.Conv2d(last, self.num_points, 1)
            nn.init.normal_(conv.weight, std=0.001)  # as Simple Baselines
            nn.init.constant_(cast(Tensor, conv.bias), 0.0)
            self.layers = nn.Sequential(deconv_trunk(in_channels, deconv_channels), conv)

    def forward(self, features: Sequence[Tensor]) -> Outputs:
        """Maps ``[N, K, H, W]`` of each stack, the last one's only in evaluation.

        Args:
            features: levels ``[N, C, h, w]``, or the maps of the stacks.

        Raises:
            InputError: the stacks' maps are of another number of points.
        """
        if self.layers is not None:
            return (self.layers(self.level(features)),)
        if features[-1].shape[1] != self.num_points:
            raise InputError(
                f'HeatmapHead of {self.num_points} points: in_channels=None takes the maps of the '
                f'backbone as they are, and it has {features[-1].shape[1]}; state in_channels'
            )
        return tuple(features) if self.training else (features[-1],)

    def loss_by_feat(self, outputs: Outputs, points: Tensor, visible: Tensor) -> dict[str, Tensor]:
        """``loss_heatmap`` of the last stack and ``loss_heatmap_s0``, ... of those before it.

        Args:
            outputs: maps ``[N, K, H, W]`` of each stack.
            points: ``[N, K, 2]`` in sides.
            visible: ``[N, K]``, 0 = not annotated.

        Raises:
            InputError: another number of stack weights than of stacks.
        """
        weights = self.stack_weights or (1.0,) * len(outputs)
        if len(weights) != len(outputs):
            raise InputError(
                f'stack_weights: expected {len(outputs)} for as many stacks, got {len(weights)}'
            )
        map_hw = outputs[-1].shape[2], outputs[-1].shape[3]
        targets, counted = self.codec.encode(points.float(), visible, self.input_wh, map_hw)
        losses = {}
        for number, (maps, weight) in enumerate(zip(outputs, weights, strict=True)):
            name = 'loss_heatmap' if maps is outputs[-1] else f'loss_heatmap_s{number}'
            losses[name] = weight * self._map_loss(maps.float(), targets, counted)
        return losses

    def predict_by_feat(self, outputs: Outputs) -> tuple[Tensor, Tensor]:
        """Points ``[N, K, 2]`` in sides and scores ``[N, K]`` of the last stack's maps.

        Args:
            outputs: maps ``[N, K, H, W]`` of each stack.
        """
        return self.codec.decode(outputs[-1], self.input_wh)

    def unflipped(self, outputs: Outputs, permutation: Tensor) -> Outputs:
        """Maps ``[N, K, H, W]`` of flipped crops, flipped back; ``[K]`` names."""
        return tuple(self.codec.unflipped(maps, self.input_wh)[:, permutation] for maps in outputs)

    def _map_loss(self, maps: Tensor, targets: Tensor, counted: Tensor) -> Tensor:
        if self.loss_type != 'mse':
            values = adaptive_wing(maps, targets)
            if self.loss_type == 'weighted_adaptive_wing':
                values = values * adaptive_wing_weights(targets)
            return masked_mean(values, counted)
        if not maps.numel():
            return maps.sum() * 0
        return ((maps - targets).square() * counted[..., None, None]).mean()
