"""PSNR, SSIM and gradient energy: by hand, and against scikit-image."""

import math

import numpy as np
import pytest
import torch

from mmext.errors import InputError
from mmext.metrics.pictures.likeness import gradient_energy, psnr, ssim
from mmext.registry import METRICS


def pair(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    real = rng.integers(0, 256, (24, 31, 3), np.uint8)
    noisy = real + rng.normal(0, 30, real.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), real


def test_equal_to_scikit_image() -> None:
    metrics = pytest.importorskip('skimage.metrics')
    ours, real = pair()
    expected = metrics.structural_similarity(
        ours, real, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        channel_axis=2, data_range=255,
    )  # fmt: skip
    assert ssim(ours, real) == pytest.approx(expected, abs=1e-10)
    ratio = metrics.peak_signal_noise_ratio(real, ours, data_range=255)
    assert psnr(ours, real) == pytest.approx(ratio)


def test_by_hand() -> None:
    black, gray = np.zeros((12, 12, 3), np.uint8), np.full((12, 12, 3), 51, np.uint8)
    assert psnr(black, gray) == pytest.approx(20 * math.log10(5))
    assert psnr(gray, gray) == math.inf and ssim(gray, gray) == pytest.approx(1)
    stripes = black.copy()
    stripes[:, ::2] = 10
    assert gradient_energy(stripes) == 5 and gradient_energy(gray) == 0


def test_what_cannot_be_compared() -> None:
    ours, real = pair()
    with pytest.raises(InputError, match='cannot be compared'):
        psnr(ours, real[:-1])
    with pytest.raises(InputError, match='11 x 11 px'):
        ssim(ours[:8], real[:8])


def sample(seed: int) -> dict[str, torch.Tensor]:
    made, real = (torch.from_numpy(picture.transpose(2, 0, 1).copy()) for picture in pair(seed))
    return dict(translated=made, target=real)


def test_the_metric_is_the_mean_over_pictures_and_its_border_does_not_count() -> None:
    metric = METRICS.build(dict(type='mmext.LikenessMetric', border=4))
    metric.process(None, [sample(0), sample(1)])
    metric.process(None, [dict(translated=sample(2)['target'], target=sample(2)['target'])])
    found = metric.evaluate(3)
    inner = [[picture[4:-4, 4:-4] for picture in pair(seed)] for seed in (0, 1)]
    assert found['likeness/psnr'] == pytest.approx(np.mean([psnr(*both) for both in inner]))
    expected = (sum(ssim(*both) for both in inner) + 1) / 3
    assert found['likeness/ssim'] == pytest.approx(expected)
    assert found['likeness/gradient_energy'] > 0


def test_a_sample_without_a_picture() -> None:
    metric = METRICS.build(dict(type='mmext.LikenessMetric'))
    with pytest.raises(InputError, match="no picture 'translated'"):
        metric.process(None, [dict(target=sample(0)['target'])])
