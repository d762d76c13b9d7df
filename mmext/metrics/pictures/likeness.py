"""How like two pictures are, and how much of edges and grain a picture has.

SSIM: Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE
TIP 2004.

Shape legend: ``H x W`` pixels, C channels.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from mmext.errors import InputError

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]

WINDOW, SIGMA = 11, 1.5  # px
_K1, _K2, _RANGE = 0.01, 0.03, 255.0


def psnr(ours: Bytes, theirs: Bytes) -> float:
    """10 log10(255 ^ 2 / mean squared difference) of ``[H, W, C]``, in dB; inf of equal ones.

    Raises:
        InputError: different shapes.
    """
    _check(ours, theirs)
    error = np.square(ours.astype(np.float64) - theirs).mean()
    return math.inf if error == 0 else 10 * math.log10(_RANGE**2 / error)


def ssim(ours: Bytes, theirs: Bytes) -> float:
    """Structural similarity of ``[H, W, C]``, at most 1: windows of 11 px, mean of the channels.

    Only places count whose window is inside of the picture.

    Raises:
        InputError: different shapes, or smaller than a window.
    """
    _check(ours, theirs)
    if min(ours.shape[:2]) < WINDOW:
        raise InputError(f'SSIM looks at {WINDOW} x {WINDOW} px; the picture has {ours.shape[:2]}')
    x, y = ours.astype(np.float64), theirs.astype(np.float64)
    mean_x, mean_y = _blurred(x), _blurred(y)
    var_x = _blurred(x * x) - mean_x**2
    var_y = _blurred(y * y) - mean_y**2
    both = _blurred(x * y) - mean_x * mean_y
    c1, c2 = (_K1 * _RANGE) ** 2, (_K2 * _RANGE) ** 2
    light = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * both + c2) / (var_x + var_y + c2)
    return float((light * structure).mean())


def gradient_energy(picture: Bytes) -> float:
    """Mean absolute difference of neighbors, across and down, of ``[H, W, C]``, gray levels.

    What is blurred has less of it than the real picture, what is noisy more.
    """
    levels = picture.astype(np.float64)
    across, down = np.abs(np.diff(levels, axis=1)), np.abs(np.diff(levels, axis=0))
    return float((across.mean() + down.mean()) / 2)


def _blurred(x: Floats) -> Floats:
    """Gaussian means of ``[H, W, C]`` where the window is inside: ``[H - 10, W - 10, C]``."""
    reach = WINDOW // 2
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / SIGMA) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        x = correlate1d(x, weights, axis)
    return x[reach:-reach, reach:-reach]


def _check(ours: Bytes, theirs: Bytes) -> None:
    if ours.shape != theirs.shape:
        raise InputError(f'pictures of {ours.shape} and {theirs.shape} cannot be compared')
