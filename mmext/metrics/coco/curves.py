"""Precision and recall over IoUs, recalls, categories and sizes, and the numbers made of them.

Lin et al., "Microsoft COCO", ECCV 2014. False-discovery rates: Duan et al., "CenterNet: Keypoint
Triplets", ICCV 2019, section 4.3: 1 - AP at low IoUs, the share of detections that are no object.

Shapes: T IoU thresholds, R = 101 recalls, K categories, A ranges of area, M limits of detections
per image.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

AP_IOUS: FloatArray = np.linspace(0.5, 0.95, 10, dtype=np.float64)
FALSE_DISCOVERY_IOUS: FloatArray = np.linspace(0.05, 0.5, 10, dtype=np.float64)


class Curves(NamedTuple):
    """Precision at 101 recalls, and the largest recall; -1 where there is no object."""

    precision: FloatArray
    """``[T, R, K, A, M]``"""
    recall: FloatArray
    """``[T, K, A, M]``"""
    ious: FloatArray
    """``[T]``"""
    areas: tuple[str, ...]
    """A names: '' is all, then 's', 'm', 'l'"""
    limits: tuple[int, ...]
    """M"""

    def average_precision(self, iou: float | None = None, area: str = '') -> float:
        """Mean over categories (and IoUs), 0..1; nan without an object."""
        return _mean(self.precision[self._rows(iou)][:, :, :, self.areas.index(area), -1])

    def average_recall(self, iou: float | None = None, area: str = '', limit: int = -1) -> float:
        """As :meth:`average_precision`; ``limit`` is an index into ``limits``."""
        return _mean(self.recall[self._rows(iou)][:, :, self.areas.index(area), limit])

    def by_category(self, iou: float | None = None) -> FloatArray:
        """Average precision of each category ``[K]``, nan for those without an object."""
        values = self.precision[self._rows(iou)][:, :, :, 0, -1]  # [t, R, K]
        return np.array([_mean(values[:, :, k]) for k in range(values.shape[2])])

    def has_iou(self, iou: float) -> bool:
        """Whether it was evaluated."""
        return bool(np.isclose(self.ious, iou).any())

    def _rows(self, iou: float | None) -> npt.NDArray[np.bool_]:
        return np.ones(len(self.ious), bool) if iou is None else np.isclose(self.ious, iou)


def summarise(curves: Curves) -> dict[str, float]:
    """The customary numbers, 0..1 and not rounded, nan where there is nothing to find.

    ``mAP``, ``mAP_50``, ``mAP_75``, ``mAP_s`` …, ``AR_1`` … ``AR_100``, ``AR_s`` …; as far as the
    thresholds, areas and limits of the curves go.
    """
    values = {'mAP': curves.average_precision()}
    for iou in (0.5, 0.75):
        if curves.has_iou(iou):
            values[f'mAP_{iou * 100:.0f}'] = curves.average_precision(iou)
    sizes = [area for area in curves.areas if area]
    values |= {f'mAP_{area}': curves.average_precision(area=area) for area in sizes}
    for index, limit in enumerate(curves.limits):
        values[f'AR_{limit}'] = curves.average_recall(limit=index)
    return values | {f'AR_{area}': curves.average_recall(area=area) for area in sizes}


def false_discovery_rates(curves: Curves) -> dict[str, float]:
    """``FD`` over IoUs 0.05 to 0.5, at some of them, and by size; lower is better.

    Args:
        curves: of ``FALSE_DISCOVERY_IOUS``.
    """
    values = {'FD': 1 - curves.average_precision()}
    values |= {f'FD_{iou}': 1 - curves.average_precision(iou / 100) for iou in (5, 25, 50)}
    sizes = [area for area in curves.areas if area]
    return values | {f'FD_{area}': 1 - curves.average_precision(area=area) for area in sizes}


def drawn_curves(
    curves: Curves, classes: Sequence[str], whole: str, iou: float = 0.5, most: int = 18
) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Recall and precision at one IoU, as plots show them.

    Args:
        curves: of K categories.
        classes: K names.
        whole: name of the mean over the categories.
        iou: threshold.
        most: classes that get a curve of their own, the first that have objects.

    Returns:
        Name to recall and precision, as far as the recall goes.
    """
    values = curves.precision[curves._rows(iou)][0, :, :, 0, -1]  # [R, K]
    recalls: FloatArray = np.linspace(0, 1, len(values), dtype=np.float64)
    there = [k for k in range(len(classes)) if (values[:, k] > -1).any()]
    if not there:
        return {}
    drawn = {whole: values[:, there].mean(1)}
    if len(classes) > 1:
        drawn |= {classes[k]: values[:, k] for k in there[:most]}
    reached = {name: max(1, np.count_nonzero(line)) for name, line in drawn.items()}
    return {name: (recalls[: reached[name]], line[: reached[name]]) for name, line in drawn.items()}


def _mean(values: FloatArray) -> float:
    there = values[values > -1]
    return float(there.mean()) if there.size else float('nan')
