"""The annotated objects of an image, from its data sample or from a COCO file, and their subsets.

A file says more than a sample: head boxes (``head_bbox``, x, y, width, height) and the names of the
subsets that an object or its image belongs to (``subsets``), which public test sets are divided by.

Shapes: N objects, K points.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmext.errors import InputError, MissingFileError
from mmext.formats.coco_points import key_points
from mmext.formats.coco_records import coco_records
from mmext.formats.coco_values import canonical_id
from mmext.formats.json_files import read_json
from mmext.metrics.landmarks.nme import match_by_box
from mmext.metrics.sample_fields import to_numpy

Floats = NDArray[np.float64]
ONE_PLACE = 0.01
"""Share of the longer side of a box within which points lie in one place."""
Subsets = Mapping[str, str]


@dataclass(frozen=True)
class ImageTruth:
    """The objects of one image that count.

    Attributes:
        boxes: ``[N, 4]`` xyxy.
        points: ``[N, K, 2]``.
        visible: ``[N, K]``, 0 = not to be compared.
        heads: ``[N, 4]`` xyxy, nan where no head is annotated.
        subsets: names of those that each object belongs to.
    """

    boxes: Floats
    points: Floats
    visible: Floats
    heads: Floats
    subsets: tuple[frozenset[str], ...]

    def named(self, name: str, patterns: Subsets) -> 'ImageTruth':
        """With the subsets whose pattern is found in the name of the image."""
        found = frozenset(key for key, pattern in patterns.items() if re.search(pattern, name))
        whole = tuple(own | found for own in self.subsets)
        return ImageTruth(self.boxes, self.points, self.visible, self.heads, whole)


@dataclass(frozen=True)
class MatchedObjects:
    """The objects of an image and the points that were predicted for them.

    Attributes:
        name: of the image.
        truth: the objects ``[N]``.
        predicted: ``[N, K, 2]``, inf for an object without a prediction.
        found: which objects have a prediction ``[N]``.
    """

    name: str
    truth: ImageTruth
    predicted: Floats
    found: NDArray[np.bool_]

    def in_one_place(self) -> NDArray[np.bool_]:
        """Which of the objects that were found have all predicted points in one place, ``[n]``.

        That is a hundredth of the longer side of their box.
        """
        points, boxes = self.predicted[self.found], self.truth.boxes[self.found]
        if points.shape[1] < 2:
            return np.zeros(len(points), bool)
        spread = np.ptp(points, axis=1).max(axis=1, initial=0)
        longer = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)
        return np.asarray(spread < ONE_PLACE * longer)


def match_sample(
    sample: Mapping[str, Any],
    truths: Mapping[Any, ImageTruth] | None,
    field: str,
    min_iou: float,
    visible_only: bool,
) -> MatchedObjects:
    """The objects of a data sample and their predictions.

    Args:
        sample: dict with ``pred_instances`` and, without ``truths``, ``gt_instances``.
        truths: ground truth of a file by image id; None takes that of the sample.
        field: the points ``[N, K, 2]``, in both.
        min_iou: of the box of an object with that of its prediction.
        visible_only: only points that are visible, not those that are occluded but annotated.

    Raises:
        InputError: a field is missing, the file has no such image, the numbers of points differ,
            or a prediction is not finite.
    """
    name = str(sample.get('img_path') or sample['img_id'])
    predictions = sample['pred_instances']
    if field not in predictions:
        raise InputError(f'{name}: no {field} in pred_instances')
    truth = _truth_of(sample, truths, field, name)
    if visible_only:
        truth = ImageTruth(
            truth.boxes,
            truth.points,
            np.where(truth.visible > 1, truth.visible, 0),
            truth.heads,
            truth.subsets,
        )
    points = to_numpy(predictions[field]).astype(np.float64)[..., :2]
    if points.shape[1:] != truth.points.shape[1:]:
        raise InputError(
            f'{name}: {field}: {truth.points.shape[1]} points annotated, '
            f'{points.shape[1]} predicted'
        )
    if not np.isfinite(points).all():
        raise InputError(f'{name}: {field}: expected finite predictions')
    boxes = to_numpy(predictions['bboxes']).astype(np.float64).reshape(-1, 4)
    index = match_by_box(boxes, to_numpy(predictions['scores']), truth.boxes, min_iou)
    found = index >= 0
    predicted = np.full(truth.points.shape, np.inf)
    predicted[found] = points[index[found]]
    return MatchedObjects(name, truth, predicted, found)


def _truth_of(
    sample: Mapping[str, Any], truths: Mapping[Any, ImageTruth] | None, field: str, name: str
) -> ImageTruth:
    if truths is None:
        return sample_truth(sample, field, name)
    image_id = canonical_id(sample['img_id'], 'img_id')
    if image_id not in truths:
        raise InputError(f'{name}: the annotation file of the metric has no image {image_id}')
    return truths[image_id]


def sample_truth(sample: Mapping[str, Any], field: str, name: str) -> ImageTruth:
    """The ground truth of a data sample.

    Args:
        sample: with ``gt_instances``: ``bboxes`` ``[N, 4]``, the points, and which of them are
            annotated: ``{field}_visible`` ``[N, K]`` above 0, or all of the objects with
            ``{field}_valid`` ``[N]``; without either, all.
        field: the points ``[N, K, D]``.
        name: of the image.

    Raises:
        InputError: no such points.
    """
    fields = sample.get('gt_instances', {})
    if field not in fields:
        raise InputError(f'{name}: no {field} in gt_instances')
    points = to_numpy(fields[field]).astype(np.float64)[..., :2]
    visible = np.full(points.shape[:2], 2.0)
    if f'{field}_visible' in fields:
        visible = to_numpy(fields[f'{field}_visible']).astype(np.float64)
    elif f'{field}_valid' in fields:
        visible = visible * to_numpy(fields[f'{field}_valid'])[:, None]
    boxes = to_numpy(fields['bboxes']).astype(np.float64).reshape(-1, 4)
    nothing = (frozenset[str](),) * len(boxes)
    return ImageTruth(boxes, points, visible, np.full((len(boxes), 4), np.nan), nothing)


def read_truths(path: str | Path) -> dict[Any, ImageTruth]:
    """The ground truth of all images of a COCO key point file, by image id.

    Crowds, objects without points and those whose box cannot be used are left out.

    Args:
        path: of the file.

    Raises:
        MissingFileError: no such file.
        InputError: it is no such file, nothing in it has points, or objects have other numbers of
            points, or points that are no numbers.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f'no annotations at {path.absolute()}: check ann_file')
    records = coco_records(read_json(path), str(path), with_names=False)
    rows: dict[Any, list[dict[str, Any]]] = {image_id: [] for image_id in records.images}
    counts = set()
    for annotation in records.annotations:
        points = key_points(annotation, f'{path}, annotation {annotation["id"]}')
        if points is None or annotation['iscrowd'] or annotation['id'] in records.unusable:
            continue
        counts.add(len(points))
        rows[annotation['image_id']].append({**annotation, 'keypoints': points})
    if len(counts) != 1:
        found = f'some of {sorted(counts)} points' if counts else 'none'
        raise InputError(f'{path}: expected objects with one number of key points, got {found}')
    (count,) = counts
    return {
        image_id: _image_truth(rows[image_id], count, frozenset(image.get('subsets', ())))
        for image_id, image in records.images.items()
    }


def _image_truth(
    rows: Sequence[Mapping[str, Any]], count: int, shared: frozenset[str]
) -> ImageTruth:
    triples = np.array([row['keypoints'] for row in rows], np.float64).reshape(-1, count, 3)
    missing = [np.nan] * 4
    return ImageTruth(
        _corners(np.array([row['bbox'] for row in rows], np.float64)),
        triples[..., :2],
        triples[..., 2],
        _corners(np.array([row.get('head_bbox') or missing for row in rows], np.float64)),
        tuple(shared | frozenset(row.get('subsets', ())) for row in rows),
    )


def _corners(boxes_xywh: Floats) -> Floats:
    boxes = boxes_xywh.reshape(-1, 4).copy()
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def by_subset(subsets: Sequence[frozenset[str]]) -> dict[str, NDArray[np.bool_]]:
    """For each subset that occurs, which objects belong to it ``[N]``.

    Args:
        subsets: of each object.
    """
    return {
        name: np.array([name in own for own in subsets], bool)
        for name in sorted(frozenset[str]().union(*subsets))
    }
