"""The evaluator of pictures that should be like others, for mmengine."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric

from mmext.errors import InputError
from mmext.metrics.pictures.likeness import gradient_energy, psnr, ssim
from mmext.metrics.sample_fields import to_numpy
from mmext.registry import METRICS


@METRICS.register_module()
class LikenessMetric(BaseMetric):
    """PSNR (dB), SSIM and gradient energy (gray levels), means over the pictures.

    ``gradient_energy_real`` is that of the targets. PSNR is the mean of the pictures' own; equal
    ones have none and are left out of it (nan if all are equal).

    Args:
        field: name of the made pictures in the samples, uint8 ``[3, H, W]``.
        target: of the real ones.
        border: px at each side that do not count (the scale, in super resolution).
        prefix: of the names of the values.
        collect_device: see mmengine's ``BaseMetric``.
        collect_dir: likewise.
    """

    default_prefix = 'likeness'

    def __init__(
        self,
        field: str = 'translated',
        target: str = 'target',
        border: int = 0,
        prefix: str | None = None,
        collect_device: str = 'cpu',
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix, collect_dir)
        self.field, self.target, self.border = field, target, border

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Compare the pictures of a batch.

        Args:
            data_batch: not used.
            data_samples: each with both pictures.

        Raises:
            InputError: one is missing, or they have different sizes.
        """
        for sample in data_samples:
            absent = [name for name in (self.field, self.target) if name not in sample]
            if absent:
                raise InputError(
                    f'LikenessMetric: no picture {absent[0]!r} in the samples: the pipeline has to '
                    'pack it, the model to make it'
                )
            pair = (to_numpy(sample[name]).transpose(1, 2, 0) for name in (self.field, self.target))
            ours, theirs = (self._inner(picture) for picture in pair)
            energies = gradient_energy(ours), gradient_energy(theirs)
            self.results.append([psnr(ours, theirs), ssim(ours, theirs), *energies])

    def compute_metrics(self, results: list[list[float]]) -> dict[str, float]:
        """The means over the pictures of all ranks."""
        table = np.asarray(results, np.float64)
        finite = table[np.isfinite(table[:, 0]), 0]
        means = table[:, 1:].mean(0).tolist()
        names = ('ssim', 'gradient_energy', 'gradient_energy_real')
        ratio = float(finite.mean()) if len(finite) else float('nan')
        return dict(psnr=ratio, **dict(zip(names, means, strict=True)))

    def _inner(self, picture: np.ndarray) -> np.ndarray:
        b = self.border
        return picture[b:-b, b:-b] if b else picture
