"""What a picture's features say of its content and of its style, and how rough a picture is.

Gatys et al., "Image Style Transfer Using Convolutional Neural Networks", CVPR 2016; Johnson et
al., "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", ECCV 2016.

Shape legend: N pictures, C channels, ``h x w`` places.
"""

from torch import Tensor
from torch.nn import functional

from mmext.errors import InputError

DISTANCES = ('l1', 'l2')


def feature_distance(ours: Tensor, theirs: Tensor, distance: str = 'l1') -> Tensor:
    """The mean over all values of ``[N, C, h, w]``: of differences, or of their squares.

    Raises:
        InputError: an unknown distance.
    """
    if distance not in DISTANCES:
        raise InputError(f'distance {distance!r} of features; it can be {" or ".join(DISTANCES)}')
    compare = functional.l1_loss if distance == 'l1' else functional.mse_loss
    return compare(ours, theirs)


def gram(features: Tensor) -> Tensor:
    """Which channels are strong together: ``[N, C, C]`` from ``[N, C, h, w]``.

    Products of channels, summed over places and divided by C h w: a texture, without where. In
    fp32: the sum over places leaves the range of fp16.
    """
    n, channels, height, width = features.shape
    flat = features.float().reshape(n, channels, height * width)
    return flat @ flat.mT / (channels * height * width)


def style_distance(ours: Tensor, style: Tensor) -> Tensor:
    """Mean squared difference between the Gram matrices of features and of a style.

    Args:
        ours: ``[N, C, h, w]``.
        style: Gram matrices, ``[N, C, C]`` or ``[1, C, C]``.
    """
    grams = gram(ours)
    return functional.mse_loss(grams, style.expand_as(grams))


def total_variation(pictures: Tensor) -> Tensor:
    """Mean squared difference of neighbors, down plus across, of ``[N, C, H, W]``."""
    down = pictures[..., 1:, :] - pictures[..., :-1, :]
    across = pictures[..., 1:] - pictures[..., :-1]
    return down.square().mean() + across.square().mean()
