"""A training picture takes on the look of a random picture of another domain."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmcv.transforms.base import BaseTransform
from mmcv.transforms.utils import cache_randomness

from mmext.errors import InputError
from mmext.registry import TRANSFORMS
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
from mmext.translation.references import find_pictures, read_small


class _Method(NamedTuple):
    """What is measured of a reference at a half width, and what is done with it."""

    measure: Callable[[Picture, int], np.ndarray]
    apply: Callable[[Picture, Any], Picture]


_METHODS = {
    'fourier': _Method(low_amplitudes, match_fourier),
    'histogram': _Method(lambda picture, _: cumulative_histograms(picture), match_histograms),
    'mean_std': _Method(lambda picture, _: lab_moments(picture), match_moments),
}


@TRANSFORMS.register_module()
class MatchAppearance(BaseTransform):
    """Gives the picture the look of a random one of another domain, with some probability.

    It needs photos of that domain and no labels of them: a detector learns from labelled day
    pictures that look like night. Nothing moves, so boxes, masks and points stay as they are.
    Put it anywhere between loading and normalisation::

        dict(type='mmext.MatchAppearance', reference='data/night/', method='histogram', prob=0.5)

    Each data worker keeps what was measured of the last ``cache`` references, at most 6 KiB each by
    histograms, less by the others unless ``beta`` is large; pictures are not kept. All draws come
    from NumPy's generator that mmengine seeds in every worker.

    Args:
        reference: a folder of pictures, searched with its subfolders; or a JSON file in COCO's
            format, whose ``images`` are looked for beside it or in ``reference_root``.
        method: ``'fourier'``: the slow waves of the picture take the reference's amplitudes, with
            ``beta=0`` the mean color alone; ``'histogram'``: each channel is distributed as
            the reference's; ``'mean_std'``: L, a and b take its means and deviations.
        prob: share of pictures that are changed.
        strength: from 0 (unchanged) to 1; or a pair, between which it is drawn for each picture.
        beta: of ``'fourier'``: half width of the square of frequencies, as a share of the
            shorter side, below 0.5.
        reference_root: folder of the pictures that a JSON file names.
        cache: how many references a worker remembers.

    Raises:
        InputError: no such folder, no picture in it, a file that is no picture, an argument out of
            range, or a picture that is not uint8 with three channels (any more).
    """

    def __init__(
        self,
        reference: str,
        method: str = 'histogram',
        prob: float = 0.5,
        strength: float | Sequence[float] = 1.0,
        beta: float = 0.0,
        reference_root: str | None = None,
        cache: int = 4096,
    ) -> None:
        if method not in _METHODS:
            raise InputError(
                f'MatchAppearance: method {method!r}: choose one of {", ".join(_METHODS)}'
            )
        low, high = (strength, strength) if isinstance(strength, int | float) else strength
        for name, value, most in (
            ('prob', prob, 1.0),
            ('strength', low, 1.0),
            ('strength', high, 1.0),
            ('beta', beta, 0.499),
        ):
            if not isinstance(value, int | float) or not 0 <= value <= most:
                raise InputError(
                    f'MatchAppearance: {name}: expected a number from 0 to {most}, got {value!r}'
                )
        if low > high:
            raise InputError(f'MatchAppearance: strength ({low}, {high}): the lower comes first')
        if cache < 1:
            raise InputError(f'MatchAppearance: cache: expected 1 or more, got {cache}')
        self.reference, self.method, self.prob = reference, method, prob
        self.strength, self.beta, self.cache = (low, high), beta, cache
        self.pictures = find_pictures(reference, reference_root)
        self._measured: dict[tuple[Path, int], np.ndarray] = {}

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Changes ``img``; nothing else."""
        if not self._chosen():
            return results
        picture = results['img']
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise InputError(
                f'MatchAppearance: {results.get("img_path", "image")} is {picture.dtype} '
                f'{picture.shape} here, not uint8 [H, W, 3]: put it behind the loading of '
                'the image in color, before anything that makes floats of it'
            )
        measured = self._of(self.pictures[self._number()], picture.shape[:2])
        matched = _METHODS[self.method].apply(picture, measured)
        results['img'] = blend(picture, matched, self._drawn_strength())
        return results

    @cache_randomness
    def _chosen(self) -> bool:
        return bool(np.random.random() < self.prob)

    @cache_randomness
    def _number(self) -> int:
        return int(np.random.randint(len(self.pictures)))

    @cache_randomness
    def _drawn_strength(self) -> float:
        return float(np.random.uniform(*self.strength))

    def _of(self, path: Path, size_hw: tuple[int, int]) -> np.ndarray:
        """What was measured of a reference; the one used longest ago is forgotten."""
        half = half_width(self.beta, *size_hw) if self.method == 'fourier' else 0
        measured = self._measured.pop((path, half), None)
        if measured is None:
            picture = read_small(path)
            room = (min(picture.shape[:2]) - 1) // 2
            if half > room:
                raise InputError(
                    f'MatchAppearance: {path} is too small for beta={self.beta}: take it away or '
                    'choose a smaller beta'
                )
            measured = _METHODS[self.method].measure(picture, half)
        self._measured[path, half] = measured
        if len(self._measured) > self.cache:
            del self._measured[next(iter(self._measured))]
        return measured

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(reference={self.reference!r}, {len(self.pictures)} pictures, '
            f'method={self.method!r}, prob={self.prob}, strength={self.strength}, '
            f'beta={self.beta})'
        )
