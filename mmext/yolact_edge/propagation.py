"""Partial feature transforms: the merged laterals of a frame, without its deep stages.

Liu et al., "YolactEdge", ICRA 2021, section 3.2. Between key frames the backbone stops at its first
map. The finest lateral comes from this frame; the coarser levels are those of the key frame, moved
here, and corrected by what the lateral shows.

Shapes: B frames, M channels of the pyramid, Q of an encoded lateral; levels of h_i x w_i cells.
"""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmext.registry import MODELS
from mmext.yolact_edge.feature_warping import Motion, propagate
from mmext.yolact_edge.flow_net import MIDDLE, FeatFlowNet, leaky_conv
from mmext.yolact_edge.key_state import KeyState
from mmext.yolact_edge.pyramid import resize_like


@MODELS.register_module()
class FeaturePropagation(BaseModule):
    """Flow, warp and correction.

    Args:
        channels: M.
        encoded_channels: Q.
        init_cfg: of mmengine.
    """

    def __init__(
        self,
        channels: int = 256,
        encoded_channels: int = 64,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.encoder = leaky_conv(channels, encoded_channels)
        self.flow_net = FeatFlowNet(channels, encoded_channels)
        # of the middle and the coarsest level
        self.corrections = nn.ModuleList(leaky_conv(2 * channels, channels) for _ in range(2))
        convolution: Any
        for convolution, _ in self.corrections:  # type: ignore[misc]
            nn.init.zeros_(convolution.weight)
            nn.init.zeros_(convolution.bias)

    def state_of(self, merged: Sequence[Tensor], lateral: Tensor) -> KeyState:
        """What to keep of key frames.

        Args:
            merged: the three levels of phase 1, finest first.
            lateral: of the finest level ``[B, M, h_1, w_1]``, not merged.
        """
        return KeyState(merged[1], merged[2], self.encoder(lateral))

    def motions(self, lateral: Tensor, encoded_key: Tensor, finest: int = MIDDLE) -> list[Motion]:
        """The motion since the key frame, see :meth:`FeatFlowNet.forward`."""
        motions: list[Motion] = self.flow_net(self.encoder(lateral), encoded_key, finest)
        return motions

    def forward(self, lateral: Tensor, key: KeyState) -> list[Tensor]:
        """The merged laterals of frames.

        Args:
            lateral: of the finest level ``[B, M, h_1, w_1]``.
            key: of their key frames.

        Returns:
            In the place of what phase 1 returns: three levels ``[B, M, h_i, w_i]``.
        """
        moved = [
            propagate(level, motion)
            for level, motion in zip(key[:2], self.motions(lateral, key.encoded), strict=True)
        ]
        merged, shown = [lateral + resize_like(moved[0], lateral)], lateral
        for level, correction in zip(moved, self.corrections, strict=True):
            shown = resize_like(shown, level)
            merged.append(level + correction(torch.cat((level, shown), dim=1)))
        return merged
