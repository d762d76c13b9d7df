"""Smooth pictures with noise, as dark as one likes."""

import numpy as np

from mmext.translation.appearance import Picture


def picture(seed: int, size_hw: tuple[int, int] = (48, 65), dark: float = 1.0) -> Picture:
    """Smooth colors and noise."""
    rng = np.random.default_rng(seed)
    height, width = size_hw
    waves = np.sin(np.arange(height)[:, None] / 9 + seed) * np.cos(np.arange(width) / 7)
    values = 120 + 60 * waves[..., None] * rng.uniform(0.5, 1, 3) + rng.normal(0, 12, (*size_hw, 3))
    return (dark * values.clip(0, 255)).astype(np.uint8)
