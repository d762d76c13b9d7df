"""Landmarks as two classifications: in which bin of each axis do they lie?

Li et al., "SimCC: a Simple Coordinate Classification Perspective for Human Pose Estimation", ECCV
2022; Jiang et al., "RTMPose", arXiv 2303.07399 (the divergence, both sides times 10).

Shapes: N crops, K points, B bins. Points are x, y in sides of the crop: 0 to 1 inside.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmext.errors import InputError
from mmext.functional.landmark_coordinates import decode_simcc, simcc_bins, simcc_targets
from mmext.functional.landmark_losses import simcc_kl
from mmext.landmarks.deconv_trunk import deconv_trunk
from mmext.landmarks.heatmap_head import LandmarkHead, Outputs
from mmext.registry import MODELS


@MODELS.register_module()
class SimCCHead(LandmarkHead):
    """A map for each point, and two linear layers from its cells to the bins of both axes.

    Args:
        in_channels: of the level that it sees.
        stride: of that level: pixels of the crop for a cell.
        deconv_channels: widths of transposed convolutions before; none in the paper's fast form.
        ratio: bins of a pixel.
        sigmas: of the labels along x and y, bins; None: a quarter of the root of the bins, which
            gives the published ones.
        beta: outputs and labels are multiplied with it before the softmax.
        kwargs: of :class:`.LandmarkHead`.

    Raises:
        InputError: a stride that does not divide the crop.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        stride: int,
        deconv_channels: Sequence[int] = (),
        ratio: float = 2.0,
        sigmas: tuple[float, float] | None = None,
        beta: float = 10.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels=in_channels, **kwargs)
        if any(side % stride for side in self.input_wh):
            raise InputError(f'stride: {stride} does not divide the crops of {self.input_wh} px')
        self.ratio, self.beta = ratio, beta
        self.bins = simcc_bins(self.input_wh, ratio)
        given = sigmas or tuple(math.sqrt(count) / 4 for count in self.bins)
        self.sigmas = float(given[0]), float(given[1])
        last = deconv_channels[-1] if deconv_channels else in_channels
        self.maps = nn.Sequential(
            deconv_trunk(in_channels, deconv_channels), nn.Conv2d(last, self.num_points, 1)
        )
        width, height = (side // stride * 2 ** len(deconv_channels) for side in self.input_wh)
        self.along_x = nn.Linear(width * height, self.bins[0])
        self.along_y = nn.Linear(width * height, self.bins[1])

    def forward(self, features: Sequence[Tensor]) -> Outputs:
        """Vectors ``[N, K, B]`` along x and y of levels ``[N, C, h, w]``.

        Raises:
            InputError: the level is of another size than the stride says.
        """
        cells = self.maps(self.level(features)).flatten(2)
        if cells.shape[2] != self.along_x.in_features:
            raise InputError(
                f'stride of SimCCHead: maps have {cells.shape[2]} cells, expected '
                f'{self.along_x.in_features} for crops of {self.input_wh} px'
            )
        return self.along_x(cells), self.along_y(cells)

    def loss_by_feat(self, outputs: Outputs, points: Tensor, visible: Tensor) -> dict[str, Tensor]:
        """``loss_bins``: both axes' divergences, the mean over the points that count.

        (Released: the sum over crops and axes, divided by K.)

        Args:
            outputs: ``[N, K, B]`` along x and y.
            points: ``[N, K, 2]`` in sides.
            visible: ``[N, K]``, 0 = not annotated.
        """
        pixels = points.float() * points.new_tensor(self.input_wh)
        *labels, counted = simcc_targets(pixels, visible, self.input_wh, self.ratio, self.sigmas)
        values = sum(
            simcc_kl(output.float(), label, self.beta)
            for output, label in zip(outputs, labels, strict=True)
        )
        return dict(loss_bins=(values * counted).sum() / counted.sum().clamp(min=1))

    def predict_by_feat(self, outputs: Outputs) -> tuple[Tensor, Tensor]:
        """Points ``[N, K, 2]`` in sides; scores ``[N, K]``: peaks relative to those of labels.

        Args:
            outputs: ``[N, K, B]`` along x and y.
        """
        vectors = [(self.beta * output.float()).softmax(-1) for output in outputs]
        best = self._best_peaks(vectors[0])
        vectors = [vector / peak for vector, peak in zip(vectors, best, strict=True)]
        pixels, scores = decode_simcc(vectors[0], vectors[1], self.ratio)
        return pixels / pixels.new_tensor(self.input_wh), scores.clamp(0, 1)

    def unflipped(self, outputs: Outputs, permutation: Tensor) -> Outputs:
        """Vectors ``[N, K, B]`` of flipped crops, flipped back; ``[K]`` names."""
        along_x, along_y = (output[:, permutation] for output in outputs)
        return along_x.flip(-1), along_y

    def _best_peaks(self, like: Tensor) -> list[Tensor]:
        """The peaks of the softmax of labels in the middle of both axes."""
        middle = like.new_tensor([[self.input_wh]]) / 2  # [1, 1, 2]
        visible = torch.ones_like(middle[..., 0])
        labels = simcc_targets(middle, visible, self.input_wh, self.ratio, self.sigmas)[:2]
        return [(self.beta * label).softmax(-1).flatten().amax(0) for label in labels]
