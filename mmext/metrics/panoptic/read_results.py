"""PQ of predictions in COCO's results format, and how sure it is.

A results file lists the segments of each image, its PNGs lie in a folder of its name. Every image
is reduced to a count table; resampling the images (Efron, "Bootstrap methods", 1979) then tells how
much PQ, and the difference of two predictions of the same images, owes to the choice of images.

Shapes: N images; C classes; B resamplings.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mmext.errors import InputError
from mmext.formats.panoptic_files import decode_id_png, segment_positions
from mmext.metrics.panoptic import quality as pq
from mmext.metrics.panoptic.ground_truth import AnnotationTable, GroundTruth, count_matches

RESAMPLINGS = 1000
_SHARE = 95.0  # of the resamplings that an interval holds, in percent


class Interval(NamedTuple):
    """Ends of what holds 95 % of the resamplings."""

    low: float
    high: float


def submission_table(
    results: Mapping[str, Any], truth: Mapping[str, Any], png_folder: Path, source: str
) -> AnnotationTable:
    """The annotations of a results file, with the categories of the ground truth.

    Args:
        results: the JSON, with ``annotations``.
        truth: the JSON of the ground truth.
        png_folder: the PNGs of the results.
        source: name of the results, for the errors.

    Raises:
        InputError: images of the ground truth that are not in it.
    """
    classes = [c['name'] for c in truth['categories']]
    things = [c['name'] for c in truth['categories'] if c['isthing']]
    content = {'annotations': results['annotations'], 'categories': truth['categories']}
    table = AnnotationTable(content, str(png_folder), classes, things, source)
    missing = [a['image_id'] for a in truth['annotations'] if a['image_id'] not in table]
    if missing:
        raise InputError(
            f'{source}: no prediction of {len(missing)} of {len(truth["annotations"])} images of '
            f'the ground truth, as {missing[0]!r}'
        )
    return table


def image_counts(truth: GroundTruth, predicted: GroundTruth, num_classes: int) -> pq.FloatArray:
    """Count table ``[4, C]`` of one image from its two PNGs.

    Args:
        truth: the ground truth.
        predicted: a prediction in the same form.
        num_classes: C.

    Raises:
        InputError: a PNG disagrees with its JSON, or the two differ in size.
    """
    gt_map, pred_map = (_read(side.png_path) for side in (truth, predicted))
    if gt_map.shape != pred_map.shape:
        raise InputError(
            f'{predicted.png_path}: shape {pred_map.shape}, of the ground truth {gt_map.shape}'
        )
    overlaps = pq.overlap_table(gt_map, pred_map)
    labels = np.full(len(overlaps.pred_ids), pq.VOID_LABEL)
    labels[segment_positions(overlaps.pred_ids, predicted.ids, predicted.png_path)] = (
        predicted.labels
    )
    return count_matches(overlaps, truth, labels, num_classes)


def resampled_quality(
    counts: npt.NDArray[np.floating[Any]], resamplings: int = RESAMPLINGS, seed: int = 0
) -> pq.FloatArray:
    """PQ of sets of N images drawn with replacement; equal seeds draw the same images.

    Args:
        counts: count tables ``[N, 4, C]``.
        resamplings: B.
        seed: of the draw.

    Returns:
        ``[B]``, 0 to 100; nan where no class occurs.
    """
    num_images = len(counts)
    rng = np.random.default_rng(seed)
    shares, table = np.full(num_images, 1 / num_images), counts.reshape(num_images, -1)
    # one after the other: all draws together would be B x N
    totals = np.stack([rng.multinomial(num_images, shares) @ table for _ in range(resamplings)])
    iou_sum, tp, fp, fn = totals.reshape(resamplings, 4, -1).transpose(1, 0, 2)  # each [B, C]
    sizes = tp + 0.5 * (fp + fn)
    occurs = sizes > 0
    qualities = np.where(occurs, iou_sum / np.where(occurs, sizes, 1), 0)
    num_classes = occurs.sum(axis=1)
    means = qualities.sum(axis=1) / np.maximum(num_classes, 1)
    return np.where(num_classes > 0, 100 * means, np.nan)


def interval(values: pq.FloatArray) -> Interval:
    """The ends of the middle 95 % of resampled values ``[n]``."""
    low, high = np.nanpercentile(values, [50 - _SHARE / 2, 50 + _SHARE / 2])
    return Interval(float(low), float(high))


def classes_of(truth: Mapping[str, Any]) -> tuple[Sequence[str], Sequence[bool]]:
    """Names and whether they are things, in the order of the categories."""
    categories = truth['categories']
    return [c['name'] for c in categories], [bool(c['isthing']) for c in categories]


def _read(path: str) -> npt.NDArray[np.int32]:
    try:
        return decode_id_png(Path(path).read_bytes(), path)
    except FileNotFoundError:
        raise InputError(f'no PNG {Path(path).absolute()}') from None
