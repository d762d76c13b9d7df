"""The network as it is deployed: crops in, points out.

Normalization and decoding are inside; the crops, and the average with flipped ones, stay outside.
"""

from typing import Any

import torch
from torch import Tensor, nn


class LandmarkNetwork(nn.Module):
    """A :class:`.CropLandmarkEstimator` without everything that is not a tensor.

    Args:
        estimator: the model.

    Attributes:
        output_names: of the graph.
        size_hw: height and width of the crops, px.
        jumps: whether a last bit may move a point from one maximum to another.
    """

    output_names = ('points', 'scores')

    def __init__(self, estimator: Any) -> None:
        super().__init__()
        self.estimator = estimator
        self.swap_channels = bool(
            getattr(estimator.data_preprocessor, '_channel_conversion', False)
        )
        width, height = estimator.input_wh
        self.size_hw = (height, width)
        self.jumps = type(estimator.head).__name__ in ('HeatmapHead', 'SimCCHead')
        self.register_buffer('sides', torch.tensor([float(width), float(height)]), persistent=False)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The points of crops.

        Args:
            image: ``[N, 3, height, width]`` float32, BGR, 0 to 255.

        Returns:
            ``points`` ``[N, K, 2]`` px of the crop, ``scores`` ``[N, K]`` in 0..1.
        """
        image = image.flip(1) if self.swap_channels else image
        points, scores = self.estimator.head.predict(self.estimator.extract_feat(image))
        return points * self.sides, scores
