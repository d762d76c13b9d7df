"""FeatFlowNet: how far things have moved since the key frame, seen in the features of both.

Liu et al., "YolactEdge", ICRA 2021, section 3.2 and figure 3, with the layers of the released
"mini" network. It reads encoded laterals of the finest level and says, for each level of the
pyramid, a flow, a scale and a bias. All convolutions are 3x3 with a leaky ReLU of .1 unless said.

Level 1 has the size of the lateral, levels 2 and 3 a half and a quarter. The detector warps levels
2 and 3 alone, so level 1 is computed when it is asked for: in the training of flow.

Shapes: B frames, M channels of the pyramid, Q channels of an encoded lateral, h x w cells of it.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmext.yolact_edge.feature_warping import Motion
from mmext.yolact_edge.pyramid import resize_like

LEAK = 0.1
FINEST, MIDDLE, COARSEST = 1, 2, 3


class FlowPrediction(nn.Module):
    """Flow, scale and bias out of the features of a level.

    Scale begins at 1 and bias at 0 everywhere: an untrained network moves and changes nothing else.

    Args:
        in_channels: of the features.
        channels: M.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.flow = nn.Conv2d(in_channels, 2, 3, padding=1, bias=False)
        nn.init.normal_(self.flow.weight, std=0.05)
        self.scale = nn.Conv2d(in_channels, channels, 1)
        self.bias = nn.Conv2d(in_channels, channels, 1)
        for layer, value in ((self.scale, 1.0), (self.bias, 0.0)):
            nn.init.zeros_(layer.weight)
            nn.init.constant_(layer.bias, value)  # type: ignore[arg-type]

    def forward(self, features: Tensor, flow: Tensor | None = None) -> Motion:
        """The motion of features ``[B, F, h, w]``; ``flow`` if it is known already."""
        flow = self.flow(features) if flow is None else flow
        return Motion(flow, self.scale(features), self.bias(features))


class FeatFlowNet(nn.Module):
    """The network.

    Args:
        channels: M.
        encoded_channels: Q; the levels have Q, 2 Q and 4 Q channels.
    """

    def __init__(self, channels: int = 256, encoded_channels: int = 64) -> None:
        super().__init__()
        q = encoded_channels
        self.conv1 = _two_convs(2 * q, q, 1)
        self.conv2 = _two_convs(q, 2 * q, 2)
        self.conv3 = _two_convs(2 * q, 4 * q, 2)
        joined = [q + q + 2, 2 * q + 2 * q + 2, 4 * q]  # own features, those below, their flow
        self.predictions = nn.ModuleList(FlowPrediction(width, channels) for width in joined)
        self.raise_features = nn.ModuleList(
            nn.Conv2d(coarse, fine, 3, padding=1, bias=False)
            for coarse, fine in ((joined[1], q), (4 * q, 2 * q))
        )
        self.raise_flows = nn.ModuleList(_raised_flow() for _ in range(2))

    def forward(self, encoded: Tensor, encoded_key: Tensor, finest: int = MIDDLE) -> list[Motion]:
        """The motion since the key frame.

        Args:
            encoded: ``[B, Q, h, w]`` of the current frame.
            encoded_key: ``[B, Q, h, w]`` of the key frame.
            finest: the first level that is wanted, 1 to 3.

        Returns:
            Of the levels ``finest`` to 3.
        """
        own = [self.conv1(torch.cat((encoded, encoded_key), dim=1))]
        own.append(self.conv2(own[0]))
        own.append(self.conv3(own[1]))
        features, motions = own[2], [self.predictions[2](own[2])]
        for level in range(COARSEST - 1, finest - 1, -1):
            index, like = level - 1, own[level - 1]
            below = self.raise_features[index](resize_like(features, like))
            flow = self.raise_flows[index](resize_like(motions[0].flow, like))
            features = torch.cat((like, below, flow), dim=1)
            motions.insert(0, self.predictions[index](features))
        return motions


def _raised_flow() -> nn.Conv2d:
    """Begins as the flow of the level below, a good first guess."""
    convolution = nn.Conv2d(2, 2, 3, padding=1, bias=False)
    nn.init.dirac_(convolution.weight)
    return convolution


def _two_convs(in_channels: int, channels: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        leaky_conv(in_channels, channels, stride), leaky_conv(channels, channels, 1)
    )


def leaky_conv(in_channels: int, channels: int, stride: int = 1) -> nn.Sequential:
    """A 3x3 convolution and its leaky ReLU."""
    return nn.Sequential(nn.Conv2d(in_channels, channels, 3, stride, padding=1), nn.LeakyReLU(LEAK))


def flow_parameters(network: Any) -> Sequence[nn.Parameter]:
    """What of a :class:`FeatFlowNet` is learned from flow alone: all but scales and biases."""
    others = {
        id(parameter)
        for prediction in network.predictions
        for part in (prediction.scale, prediction.bias)
        for parameter in part.parameters()
    }
    return [parameter for parameter in network.parameters() if id(parameter) not in others]
