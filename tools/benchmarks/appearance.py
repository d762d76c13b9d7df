"""Appearance matching against the plain way: whole transforms, counts of NumPy.

A picture of 640 x 480 takes on the look of another. The plain ways are those of the papers' code:
Fourier transforms of each channel there and back; counts and tables of NumPy. What is measured of
the reference is kept in ours and measured anew in theirs, as they do.
"""

import statistics
from collections.abc import Callable

import cv2
import numpy as np

from mmext.benchmark.rows import Row
from mmext.benchmark.timing import milliseconds_in_turn
from mmext.translation.appearance import (
    Picture,
    cumulative_histograms,
    low_amplitudes,
    match_fourier,
    match_histograms,
)

HALF = 4


def run(quick: bool) -> list[Row]:
    """Measures both."""
    size, repetitions = ((120, 160), 3) if quick else ((480, 640), 15)
    rng = np.random.default_rng(0)
    source, reference = _picture(rng, size, 1.0), _picture(rng, size, 0.4)
    amplitudes, shares = low_amplitudes(reference, HALF), cumulative_histograms(reference)
    return [
        _row(
            f'Fourier matching, {size[1]} x {size[0]}, {2 * HALF + 1} x {2 * HALF + 1} waves',
            'transforms of NumPy',
            lambda: match_fourier(source, amplitudes),
            lambda: _by_transforms(source, reference),
            10.0,
            repetitions,
        ),
        _row(
            f'histogram matching, {size[1]} x {size[0]}',
            'counts of NumPy',
            lambda: match_histograms(source, shares),
            lambda: _by_counts(source, reference),
            None,
            repetitions,
        ),
    ]


def _picture(rng: np.random.Generator, size: tuple[int, int], dark: float) -> Picture:
    noise = rng.integers(0, 256, (*size, 3)).astype(np.float32)
    smooth = np.asarray(cv2.GaussianBlur(noise, (0, 0), 9), np.float32)
    smooth = 240 * (smooth - smooth.min()) / np.ptp(smooth)
    return (dark * (smooth + 15 * rng.random((*size, 3)))).astype(np.uint8)


def _by_transforms(source: Picture, reference: Picture) -> Picture:
    own, other = (
        np.fft.fftshift(np.fft.fft2(each.astype(np.float64), axes=(0, 1)), axes=(0, 1))
        for each in (source, reference)
    )
    size = np.abs(own)
    window = tuple(slice(side // 2 - HALF, side // 2 + HALF + 1) for side in own.shape[:2])
    size[window] = np.abs(other)[window]
    mixed = np.fft.ifftshift(size * np.exp(1j * np.angle(own)), axes=(0, 1))
    values = np.fft.ifft2(mixed, axes=(0, 1)).real
    return np.rint(values).clip(0, 255).astype(np.uint8)


def _by_counts(source: Picture, reference: Picture) -> Picture:
    out = np.empty_like(source)
    for channel in range(source.shape[2]):
        own, other = (
            np.cumsum(np.bincount(each[..., channel].ravel(), minlength=256)) / each[..., 0].size
            for each in (source, reference)
        )
        levels = np.flatnonzero(np.diff(other, prepend=0.0))
        table = np.rint(np.interp(own, other[levels], levels)).astype(np.uint8)
        out[..., channel] = table[source[..., channel]]
    return out


def _row(
    what: str,
    against: str,
    ours: Callable[[], Picture],
    theirs: Callable[[], Picture],
    aim: float | None,
    repetitions: int,
) -> Row:
    if np.abs(ours().astype(int) - theirs()).max() > 1:
        raise AssertionError(f'{what}: the two ways give different pictures')
    times = milliseconds_in_turn({'ours': ours, 'theirs': theirs}, repetitions)
    medians = {name: statistics.median(values) for name, values in times.items()}
    return Row(what, against, medians['ours'], medians['theirs'], 'ms', aim)
