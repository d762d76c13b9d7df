"""The evaluator of landmarks and meshes for mmengine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from mmext.metrics.faces.landmark_nme import (
    Normaliser,
    check_normaliser,
    face_lengths,
    match_by_box,
    normalised_errors,
    summarise,
)
from mmext.metrics.sample_fields import to_numpy
from mmext.registry import METRICS


@dataclass(frozen=True)
class ImageErrors:
    """What is kept of one image.

    Attributes:
        name: of the image.
        errors: of the faces that were found, ``[n]``.
        num_faces: with landmarks and a length, found or not.
    """

    name: str
    errors: np.ndarray
    num_faces: int


@METRICS.register_module()
class LandmarkNMEMetric(BaseMetric):
    """Normalised mean error, failure rate and area under the curve, in percent.

    ``NME``, ``failure_rate`` and ``AUC`` are of the faces that were found; ``found`` is their
    share; in ``failure_rate_all`` and ``AUC_all`` a face that was not found is a failure.

    Args:
        normaliser: ``'box_size'`` (root of the area of the true box), ``'box_diagonal'``,
            ``'box_height'``, ``'box_width'``, or two points: (0, 1) is the distance of the eyes. A
            face without that length is left out.
        threshold: of failure rate and area, as a share of the length; 0.1 is the usual one.
        min_iou: of the true box with the box of a prediction.
        min_height_px: smaller faces are left out.
        visible_only: only points that are visible, not those that are occluded but annotated.
        field: the points in ``pred_instances`` and ``gt_instances``, ``[N, K, 2]`` or with a depth,
            which is not compared: ``'keypoints'``, or ``'mesh'``.
        collect_device, prefix, collect_dir: of mmengine.

    The annotated points are those with ``{field}_visible`` ``[N, K]`` above 0, or all of the
    faces with ``{field}_valid`` ``[N]``; without either, all.
    """

    default_prefix = 'landmarks'

    def __init__(
        self,
        normaliser: Normaliser = 'box_size',
        *,
        threshold: float = 0.1,
        min_iou: float = 0.5,
        min_height_px: float = 0.0,
        visible_only: bool = False,
        field: str = 'keypoints',
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        if threshold <= 0:
            raise ValueError(f'threshold: expected more than 0, got {threshold}')
        self.normaliser = check_normaliser(normaliser)
        self.threshold, self.min_iou = threshold, min_iou
        self.min_height_px, self.visible_only, self.field = min_height_px, visible_only, field

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Reduces the images of a batch to their errors.

        Args:
            data_batch: not used.
            data_samples: dicts with ``gt_instances`` and ``pred_instances`` in one frame.

        Raises:
            ValueError: a field is missing, the numbers of points differ, or a prediction is not
                finite.
        """
        for sample in data_samples:
            self.results.append(self._image_errors(sample))

    def compute_metrics(self, results: Sequence[ImageErrors]) -> dict[str, float]:
        """All values over the images of all ranks."""
        images = list({result.name: result for result in results}.values())
        errors = np.concatenate([np.zeros(0), *(image.errors for image in images)])
        values = summarise(errors, sum(image.num_faces for image in images), self.threshold)
        listing = ', '.join(f'{name} {value:.2f}' for name, value in values.items())
        MMLogger.get_current_instance().info(
            f'{self.field}, {len(errors)} faces, by {self.normaliser}: {listing}'
        )
        return values

    def _image_errors(self, sample: Mapping[str, Any]) -> ImageErrors:
        name = str(sample.get('img_path') or sample['img_id'])
        truth, found = sample.get('gt_instances', {}), sample['pred_instances']
        for side, fields in (('gt_instances', truth), ('pred_instances', found)):
            if self.field not in fields:
                raise ValueError(f'{name}: no {self.field} in {side}')
        boxes = to_numpy(truth['bboxes']).astype(np.float64).reshape(-1, 4)
        points = to_numpy(truth[self.field]).astype(np.float64)[..., :2]
        predicted = to_numpy(found[self.field]).astype(np.float64)[..., :2]
        if predicted.shape[1:] != points.shape[1:]:
            raise ValueError(
                f'{name}: {self.field}: {points.shape[1]} points annotated, '
                f'{predicted.shape[1]} predicted'
            )
        if not np.isfinite(predicted).all():
            raise ValueError(f'{name}: {self.field}: expected finite predictions')
        visible = self._visible(truth, points)
        lengths = face_lengths(self.normaliser, boxes, points, visible)
        counting = np.isfinite(lengths) & (visible > 0).any(axis=1)
        counting &= boxes[:, 3] - boxes[:, 1] >= self.min_height_px
        found_boxes = to_numpy(found['bboxes']).astype(np.float64).reshape(-1, 4)
        match = match_by_box(found_boxes, to_numpy(found['scores']), boxes, self.min_iou)
        chosen = counting & (match >= 0)
        errors = normalised_errors(
            predicted[match[chosen]], points[chosen], visible[chosen], lengths[chosen]
        )
        return ImageErrors(name, errors, int(counting.sum()))

    def _visible(self, truth: Mapping[str, Any], points: np.ndarray) -> np.ndarray:
        """``[N, K]``, above 0 where a point is to be compared."""
        if f'{self.field}_visible' in truth:
            visible = to_numpy(truth[f'{self.field}_visible'])
            return np.where(visible > (1 if self.visible_only else 0), visible, 0)
        if f'{self.field}_valid' in truth:
            valid = to_numpy(truth[f'{self.field}_valid'])
            return np.broadcast_to(2.0 * valid[:, None], points.shape[:2])
        return np.full(points.shape[:2], 2.0)
