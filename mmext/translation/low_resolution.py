"""Pairs for super resolution out of any data set: a picture, and what a worse camera had seen.

Shape legend: ``H x W`` the picture, s the scale.
"""

from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from mmext.errors import InputError
from mmext.registry import MODELS, TRANSFORMS

_METHODS = {'bicubic': Image.Resampling.BICUBIC, 'area': Image.Resampling.BOX}


@TRANSFORMS.register_module()
class LowResolution(BaseTransform):
    """Adds ``source``, the picture at ``1 / scale`` of its size; the picture is the target.

    After every transform that moves pixels. Sides that are no multiples of the scale are continued
    at the right and below by their last pixels, of ``img`` too; boxes stay true.

    Args:
        scale: s.
        method: ``'bicubic'`` over the pixels that become one (as in the literature), or ``'area'``,
            their mean.
        noise: largest standard deviation of the sensor's noise, gray levels; drawn each time.

    Raises:
        InputError: an unknown method, or a scale below 2.
    """

    def __init__(self, scale: int = 4, method: str = 'bicubic', noise: float = 0.0) -> None:
        if method not in _METHODS or scale < 2:
            raise InputError(
                f'LowResolution: method {method!r} (of {", ".join(_METHODS)}), scale {scale} (at '
                'least 2)'
            )
        self.scale, self.method, self.noise = scale, method, noise

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``source``, uint8 ``[H / s, W / s, 3]``."""
        image = results['img']
        height, width = image.shape[:2]
        more = (-height % self.scale, -width % self.scale)
        if any(more):
            image = np.pad(image, ((0, more[0]), (0, more[1]), (0, 0)), mode='edge')
            results['img'] = image
        size = image.shape[1] // self.scale, image.shape[0] // self.scale
        small = np.asarray(Image.fromarray(image).resize(size, _METHODS[self.method]))
        if self.noise:
            deviation = np.random.uniform(0, self.noise)
            noisy = small + np.random.normal(0, deviation, small.shape)
            small = np.clip(np.round(noisy), 0, 255).astype(np.uint8)
        results['source'] = np.ascontiguousarray(small)
        return results


@MODELS.register_module()
class BicubicUpscaler(nn.Module):
    """Bicubic interpolation (a = -0.5): what every network has to be better than.

    Args:
        scale: s.
    """

    def __init__(self, scale: int = 4) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, low: Tensor) -> Tensor:
        """``[N, C, h, w]`` to ``[N, C, s h, s w]`` in [-1, 1]."""
        size = [self.scale * side for side in low.shape[-2:]]
        high = functional.interpolate(low.float(), size, mode='bicubic', antialias=True)
        return torch.clamp(high, -1, 1)
