"""Which way through the latent space of a generator changes one property of its pictures.

Found from what the generator makes, without another training: a linear fit, as of Shen et al.,
"Interpreting the Latent Space of GANs for Semantic Face Editing", CVPR 2020, with measured
properties in the place of a classifier's answers.

Shape legend: n crops of S x S px, Z latent values.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmext.errors import InputError

Floats = NDArray[np.floating]
PROPERTIES = ('light', 'warmth', 'size')


@dataclass(frozen=True)
class Direction:
    """A way through the latent space.

    Attributes:
        vector: ``[Z]`` of length 1.
        slope: by how much the property changes with a step of length 1, as fitted.
        explained: share of the property's variance that the fit explains, 0 to 1.
    """

    vector: Floats
    slope: float
    explained: float


def measured(crops: NDArray[np.uint8], name: str) -> Floats:
    """A property of each crop's object.

    Args:
        crops: ``[n, S, S, 4]``: RGB and mask.
        name: ``'light'``, the mean of red, green and blue (0 to 255); ``'warmth'``, mean red less
            mean blue; ``'size'``, the share of the crop that the mask covers.

    Returns:
        ``[n]``; nan where a crop shows nothing.

    Raises:
        InputError: another name.
    """
    if name not in PROPERTIES:
        raise InputError(f'property {name!r} of crops; it can be one of {", ".join(PROPERTIES)}')
    solid = crops[..., 3] >= 128
    count = solid.sum((1, 2)).astype(np.float64)
    if name == 'size':
        return count / solid[0].size if len(crops) else count
    with np.errstate(invalid='ignore'):
        colors = (crops[..., :3] * solid[..., None]).sum((1, 2)) / count[:, None]
    return colors.mean(1) if name == 'light' else colors[:, 0] - colors[:, 2]


Make = Callable[[Floats, NDArray[np.int64]], NDArray[np.uint8]]
"""Crops ``[n, S, S, 4]`` of latents ``[n, Z]`` and labels ``[n]``."""


def learn_direction(
    make: Make, dim: int, label: int, name: str, count: int = 512, seed: int = 0
) -> Direction:
    """The direction of a property among the crops that a generator makes of one class.

    Args:
        make: the generator.
        dim: Z.
        label: of the class.
        name: one of :data:`PROPERTIES`.
        count: of the crops that are made.
        seed: of their latent vectors.
    """
    latents = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    crops = make(latents, np.full(count, label, np.int64))
    return fit_direction(latents, measured(crops, name))


def fit_direction(latents: Floats, values: Floats, keep: Floats | None = None) -> Direction:
    """The direction along which a property grows, by least squares.

    Args:
        latents: ``[n, Z]`` of the crops.
        values: ``[n]``, their property; what is not finite is left out.
        keep: ``[m, Z]``, directions of other properties, along which nothing shall change.

    Raises:
        InputError: no more crops than latent values, or the property never changes.
    """
    there = np.isfinite(values)
    x, y = np.asarray(latents, np.float64)[there], np.asarray(values, np.float64)[there]
    if len(x) <= x.shape[1] + 1:
        raise InputError(
            f'{len(x)} crops for {x.shape[1]} latent values: more crops are needed for a direction'
        )
    centered = y - y.mean()
    if not centered.any():
        raise InputError('the property is the same in all crops: no direction changes it')
    design = x - x.mean(0)
    solution = np.linalg.lstsq(design, centered, rcond=None)[0]
    explained = 1 - np.square(centered - design @ solution).sum() / np.square(centered).sum()
    way = solution
    if keep is not None and len(keep):
        basis = np.linalg.qr(np.asarray(keep, np.float64).T)[0]
        way = solution - basis @ (basis.T @ solution)
    length = np.linalg.norm(way)
    return Direction(way / length, float(solution @ way / length), float(explained))
