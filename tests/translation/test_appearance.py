"""Looks of pictures against plain restatements: transforms of Fourier, sorted pixels, moments."""

import numpy as np
import pytest
from dim_pictures import picture

from mmext.translation.appearance import (
    Picture,
    blend,
    cumulative_histograms,
    half_width,
    lab_moments,
    low_amplitudes,
    match_fourier,
    match_histograms,
    match_moments,
)


def fourier_by_transform(source: Picture, reference: Picture, half: int) -> Picture:
    """FDA of the paper, channel by channel, by whole transforms."""
    out = np.empty_like(source)
    for channel in range(3):
        own, other = (
            np.fft.fftshift(np.fft.fft2(each[..., channel].astype(float)))
            for each in (source, reference)
        )
        size, (y, x) = np.abs(own), (side // 2 for side in own.shape)
        window = slice(y - half, y + half + 1), slice(x - half, x + half + 1)
        size[window] = np.abs(other)[window]
        mixed = np.fft.ifft2(np.fft.ifftshift(size * np.exp(1j * np.angle(own)))).real
        out[..., channel] = np.rint(mixed).clip(0, 255)
    return out


@pytest.mark.parametrize('half', [0, 1, 4, 20])
def test_fourier_equals_the_transforms(half: int) -> None:
    source, reference = picture(0), picture(1, dark=0.4)
    found = match_fourier(source, low_amplitudes(reference, half))
    expected = fourier_by_transform(source, reference, half)
    difference = np.abs(found.astype(int) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3


def test_the_mean_alone_is_a_shift() -> None:
    source, reference = picture(0, dark=0.7), picture(1, (30, 90), dark=0.9)
    found = match_fourier(source, low_amplitudes(reference, 0))
    shift = reference.mean((0, 1)) - source.mean((0, 1))
    np.testing.assert_allclose(found, (source + shift).clip(0, 255), atol=0.51)


def test_brightness_does_not_turn_over() -> None:
    """Dark and bright stay that way round, as they would not on data around zero."""
    source = picture(0)
    found = match_fourier(source, low_amplitudes(picture(1, dark=0.3), 1))
    assert np.corrcoef(source.ravel(), found.ravel())[0, 1] > 0.6


@pytest.mark.parametrize(('beta', 'half'), [(0.0, 0), (0.01, 0), (0.09, 4), (0.499, 23)])
def test_half_width_fits_into_the_picture(beta: float, half: int) -> None:
    assert half_width(beta, 48, 65) == half


def test_histograms_equal_those_of_sorted_pixels() -> None:
    source, reference = picture(0), picture(1, (40, 70), dark=0.4)
    found = match_histograms(source, cumulative_histograms(reference))
    for channel in range(3):
        own, other = source[..., channel].ravel(), np.sort(reference[..., channel].ravel())
        shares = (np.sort(own).searchsorted(own, 'right')) / own.size
        levels, last = np.unique(other, return_index=True)[0], np.unique(other, return_counts=True)
        expected = np.interp(shares, np.cumsum(last[1]) / other.size, levels)
        assert np.abs(found[..., channel].ravel() - expected).max() <= 0.5001


def test_histograms_equal_skimage() -> None:
    exposure = pytest.importorskip('skimage.exposure')
    source, reference = picture(0), picture(1, dark=0.4)
    found = match_histograms(source, cumulative_histograms(reference))
    expected = exposure.match_histograms(source, reference, channel_axis=2)
    assert np.abs(found.astype(int) - expected).max() <= 1  # it cuts where we round


def test_moments_become_the_reference_s() -> None:
    source, reference = picture(0), (40 + 0.3 * picture(1).astype(float)).astype(np.uint8)
    moments = lab_moments(reference)
    np.testing.assert_allclose(lab_moments(match_moments(source, moments)), moments, atol=0.3)


def test_moments_equal_skimage() -> None:
    color = pytest.importorskip('skimage.color')
    source, reference = picture(0), picture(1, dark=0.4)
    found = match_moments(source, lab_moments(reference))
    lab, other = (color.rgb2lab(each[..., ::-1]) for each in (source, reference))
    lab = (lab - lab.mean((0, 1))) / lab.std((0, 1)) * other.std((0, 1)) + other.mean((0, 1))
    expected = 255 * color.lab2rgb(lab)[..., ::-1]
    assert np.abs(found - expected).max() <= 1


def test_a_picture_of_one_color_takes_the_mean() -> None:
    flat, reference = np.full((20, 30, 3), 90, np.uint8), picture(1)
    found = match_moments(flat, lab_moments(reference))
    assert np.ptp(found, axis=(0, 1)).max() == 0
    np.testing.assert_allclose(lab_moments(found)[0], lab_moments(reference)[0], atol=0.5)


@pytest.mark.parametrize('dark', [1.0, 0.4])
def test_its_own_look_changes_nothing(dark: float) -> None:
    source = picture(0, dark=dark)
    for found in (
        match_fourier(source, low_amplitudes(source, 3)),
        match_histograms(source, cumulative_histograms(source)),
        match_moments(source, lab_moments(source)),
    ):
        assert np.abs(found.astype(int) - source).max() <= 1


def test_blend() -> None:
    source, matched = picture(0), picture(1)
    assert blend(source, matched, 1.0) is matched
    np.testing.assert_array_equal(blend(source, matched, 0.0), source)
    half = blend(source, matched, 0.5)
    np.testing.assert_allclose(half, (source.astype(float) + matched) / 2, atol=0.5)
