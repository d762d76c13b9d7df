"""The look of one picture given to another: mean color and slow shades, histograms, deviations.

Nothing is trained and nothing moves, so boxes and masks stay true. Each way has two halves: what
is measured of a reference (a few numbers, to be kept), and what makes another picture like it.

Pictures are uint8 ``[H, W, 3]``, blue first as OpenCV reads them, with values on 0 to 255: around
zero the first coefficient of two spectra may differ in sign, and brightness would turn over.

Sources: Yang and Soatto, "FDA: Fourier Domain Adaptation for Semantic Segmentation", CVPR 2020;
Reinhard, Ashikhmin, Gooch and Shirley, "Color Transfer between Images", IEEE CG&A 2001, here in
CIE Lab; Gonzalez and Woods, "Digital Image Processing", for histogram specification.
"""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Waves = NDArray[np.complex64]


def half_width(beta: float, height: int, width: int) -> int:
    """How many frequencies on each side of the mean are matched: floor of beta times the side."""
    return min(int(beta * min(height, width)), (min(height, width) - 1) // 2)


def low_amplitudes(picture: Picture, half: int) -> Floats:
    """Amplitudes of the lowest frequencies, in grey levels.

    Args:
        picture: uint8 ``[H, W, C]``.
        half: ``b``; frequencies from ``-b`` to ``b`` along both sides.

    Returns:
        ``[b + 1, C, 2 b + 1]``, divided by the number of pixels, so that pictures of all sizes can
        be compared. The rows below zero mirror those above.
    """
    return np.abs(_spectrum(np.asarray(picture, np.float32), half))


def match_fourier(picture: Picture, amplitudes: Floats) -> Picture:
    """A picture with the reference's lowest amplitudes and its own phases (FDA).

    The few coefficients that change are taken by two thin matrix products each way, so the rest
    of the spectrum is never computed.

    Args:
        picture: uint8 ``[H, W, C]``.
        amplitudes: ``[b + 1, C, 2 b + 1]`` of the reference, as :func:`low_amplitudes` gives them.

    Returns:
        uint8 ``[H, W, C]``, rounded and clipped.
    """
    height, width, channels = picture.shape
    half = len(amplitudes) - 1
    values = picture.astype(np.float32)
    own = _spectrum(values, half)
    size = np.abs(own)
    phase = np.divide(own, size, out=np.ones_like(own), where=size > 0)
    change = amplitudes * phase - own
    change[1:] *= 2  # the rows below zero, conjugates of those above
    across = (change @ _waves(width, half).conj()).transpose(0, 2, 1)
    rows = np.concatenate((across.real, across.imag)).reshape(-1, width * channels)
    values += (_columns(height, half) @ rows).reshape(values.shape)
    return _eight_bits(values)


def cumulative_histograms(picture: Picture) -> Doubles:
    """Share of pixels up to each grey level: ``[C, 256]`` of a uint8 ``[H, W, C]``."""
    counts = [
        cv2.calcHist([picture], [channel], None, [256], [0, 256])[:, 0]
        for channel in range(picture.shape[2])
    ]
    return np.cumsum(np.asarray(counts, np.float64), axis=1) / picture[..., 0].size


def match_histograms(picture: Picture, shares: Doubles) -> Picture:
    """A picture whose channels are distributed like the reference's.

    Args:
        picture: uint8 ``[H, W, C]``.
        shares: ``[C, 256]`` of the reference, as :func:`cumulative_histograms` gives them.

    Returns:
        uint8 ``[H, W, C]``: every level goes to the level below which the reference has as many
        pixels, linear in between.
    """
    table = np.empty((256, 1, len(shares)), np.uint8)
    for channel, (own, reference) in enumerate(
        zip(cumulative_histograms(picture), shares, strict=True)
    ):
        levels = np.flatnonzero(np.diff(reference, prepend=0.0))
        table[:, 0, channel] = np.rint(np.interp(own, reference[levels], levels))
    return np.asarray(cv2.LUT(picture, table), np.uint8)


def lab_moments(picture: Picture) -> Doubles:
    """Means and deviations of L, a and b: ``[2, 3]`` of a uint8 BGR ``[H, W, 3]``."""
    return np.stack([each[:, 0] for each in cv2.meanStdDev(_to_lab(picture))])


def match_moments(picture: Picture, moments: Doubles) -> Picture:
    """A picture whose L, a and b have the reference's means and deviations.

    Args:
        picture: uint8 BGR ``[H, W, 3]``.
        moments: ``[2, 3]`` of the reference, as :func:`lab_moments` gives them.

    Returns:
        uint8 ``[H, W, 3]``. A channel that is the same everywhere takes the mean alone.
    """
    lab = _to_lab(picture)
    mean, deviation = (each[:, 0] for each in cv2.meanStdDev(lab))
    scale = np.divide(moments[1], deviation, out=np.zeros(3), where=deviation > 1e-6)
    shift = moments[0] - scale * mean
    lab *= scale.astype(np.float32)
    lab += shift.astype(np.float32)
    values = np.asarray(cv2.cvtColor(lab, cv2.COLOR_Lab2BGR), np.float32)
    values *= 255
    return _eight_bits(values)


def blend(picture: Picture, matched: Picture, strength: float) -> Picture:
    """``(1 - strength) picture + strength matched``, uint8 ``[H, W, C]``."""
    if strength == 1:
        return matched
    return np.asarray(cv2.addWeighted(picture, 1 - strength, matched, strength, 0), np.uint8)


def _to_lab(picture: Picture) -> Floats:
    scaled = np.multiply(picture, np.float32(1 / 255), dtype=np.float32)
    return np.asarray(cv2.cvtColor(scaled, cv2.COLOR_BGR2Lab), np.float32)


def _eight_bits(values: Floats) -> Picture:
    """Rounded and clipped, by OpenCV in one pass."""
    return np.asarray(cv2.convertScaleAbs(np.maximum(values, 0, out=values)), np.uint8)


@lru_cache(maxsize=64)
def _waves(size: int, half: int) -> Waves:
    """``exp(-2 pi i f p / size)``, f from -half to half: complex64 ``[2 half + 1, size]``."""
    turns = np.outer(np.arange(-half, half + 1), np.arange(size)) / size
    return np.exp(-2j * np.pi * turns).astype(np.complex64)


@lru_cache(maxsize=64)
def _columns(size: int, half: int) -> Floats:
    """Cosines and then negative sines of frequencies 0 to half: float32 ``[size, 2 half + 2]``."""
    waves = _waves(size, half)[half:]
    return np.ascontiguousarray(np.concatenate((waves.real, waves.imag)).T)


def _spectrum(picture: Floats, half: int) -> Waves:
    """Coefficients per pixel: rows 0 to b, columns -b to b: complex64 ``[b + 1, C, 2 b + 1]``."""
    height, width = picture.shape[:2]
    rows = (_columns(height, half).T @ picture.reshape(height, -1)).reshape(2, half + 1, width, -1)
    turned = (rows[0] + 1j * rows[1]).transpose(0, 2, 1)
    found = turned @ _waves(width, half).T / np.float32(height * width)
    return np.asarray(found, np.complex64)
