"""The evaluator of landmarks and meshes for mmengine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from mmext.errors import InputError
from mmext.metrics.faces.landmark_nme import (
    Normalizer,
    check_normalizer,
    face_lengths,
    match_by_box,
    normalized_errors,
    summarize,
)
from mmext.metrics.sample_fields import to_numpy
from mmext.registry import METRICS
from mmext.renamed_keys import accept_old_keys


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
    """Normalized mean error, failure rate and area under the curve, in percent.

    ``NME``, ``failure_rate`` and ``AUC`` are of the faces that were found; ``found`` is their
    share; in ``failure_rate_all`` and ``AUC_all`` a face that was not found is a failure.

    Args:
        normalizer: ``'box_size'`` (root of the area of the true box), ``'box_diagonal'``,
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

    @accept_old_keys(normaliser='normalizer')
    def __init__(
        self,
        normalizer: Normalizer = 'box_size',
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
            raise InputError(f'threshold: expected more than 0, got {threshold}')
        self.normalizer = check_normalizer(normalizer)
        self.threshold, self.min_iou = threshold, min_iou
        self.min_height_px, self.visible_only, self.field = min_height_px, visible_only, field

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Reduces the images of a batch to their errors.

        Args:
            data_batch: not used.
            data_samples: dicts with ``gt_instances`` and ``pred_instances`` in one frame.

        Raises:
            InputError: a field is missing, the numbers of points differ, or a prediction is not
                finite.
        """
        for sample in data_samples:
            self.results.append(self._image_errors(sample))

    def compute_metrics(self, results: Sequence[ImageErrors]) -> dict[str, float]:
        """All values over the images of all ranks."""
        images = list({result.name: result for result in results}.values())
        errors = np.concatenate([np.zeros(0), *(image.errors for image in images)])
        values = summarize(errors, sum(image.num_faces for image in images), self.threshold)
        listing = ', '.join(f'{name} {value:.2f}' for name, value in values.items())
        MMLogger.get_current_instance().info(
            f'{self.field}, {len(errors)} faces, by {self.normalizer}: {listing}'
        )
        return values

    def _image_errors(self, sample: Mapping[str, Any]) -> ImageErrors:
        name = str(sample.get('img_path') or sample['img_id'])
        gt, predictions = sample.get('gt_instances', {}), sample['pred_instances']
        for side, fields in (('gt_instances', gt), ('pred_instances', predictions)):
            if self.field not in fields:
                raise InputError(f'{name}: no {self.field} in {side}')
        boxes = to_numpy(gt['bboxes']).astype(np.float64).reshape(-1, 4)
        points = to_numpy(gt[self.field]).astype(np.float64)[..., :2]
        predicted = to_numpy(predictions[self.field]).astype(np.float64)[..., :2]
        if predicted.shape[1:] != points.shape[1:]:
            raise InputError(
                f'{name}: {self.field}: {points.shape[1]} points annotated, '
                f'{predicted.shape[1]} predicted'
            )
        if not np.isfinite(predicted).all():
            raise InputError(f'{name}: {self.field}: expected finite predictions')
        visible = self._visible(gt, points)
        lengths = face_lengths(self.normalizer, boxes, points, visible)
        counting = np.isfinite(lengths) & (visible > 0).any(axis=1)
        counting &= boxes[:, 3] - boxes[:, 1] >= self.min_height_px
        predicted_boxes = to_numpy(predictions['bboxes']).astype(np.float64).reshape(-1, 4)
        scores = to_numpy(predictions['scores'])
        match_index = match_by_box(predicted_boxes, scores, boxes, self.min_iou)
        chosen = counting & (match_index >= 0)
        errors = normalized_errors(
            predicted[match_index[chosen]], points[chosen], visible[chosen], lengths[chosen]
        )
        return ImageErrors(name, errors, int(counting.sum()))

    def _visible(self, gt: Mapping[str, Any], points: np.ndarray) -> np.ndarray:
        """``[N, K]``, above 0 where a point is to be compared."""
        if f'{self.field}_visible' in gt:
            visible = to_numpy(gt[f'{self.field}_visible'])
            return np.where(visible > (1 if self.visible_only else 0), visible, 0)
        if f'{self.field}_valid' in gt:
            valid = to_numpy(gt[f'{self.field}_valid'])
            return np.broadcast_to(2.0 * valid[:, None], points.shape[:2])
        return np.full(points.shape[:2], 2.0)
