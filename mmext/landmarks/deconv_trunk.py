"""Features brought to a higher resolution by transposed convolutions.

Xiao et al., "Simple Baselines for Human Pose Estimation and Tracking", ECCV 2018, section 2.
"""

from collections.abc import Sequence

from torch import nn


def deconv_trunk(in_channels: int, widths: Sequence[int]) -> nn.Sequential:
    """Transposed convolutions that double both sides, each with BatchNorm and ReLU.

    Args:
        in_channels: of the features.
        widths: channels after each; none leaves the features as they are.
    """
    layers: list[nn.Module] = []
    for before, width in zip((in_channels, *widths[:-1]), widths, strict=False):
        layers += [
            nn.ConvTranspose2d(before, width, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)
