"""The evaluator of landmarks and meshes for mmengine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from mmengine.logging import MMLogger

from mmext.errors import InputError
from mmext.metrics.landmarks.ground_truth import MatchedObjects, by_subset
from mmext.metrics.landmarks.lengths import (
    Normalizer,
    check_normalizer,
    describe_normalizer,
    object_lengths,
    resolve_normalizer,
)
from mmext.metrics.landmarks.metric_base import LandmarkMetricBase
from mmext.metrics.landmarks.nme import normalized_errors, summarize
from mmext.registry import METRICS
from mmext.renamed_keys import accept_old_keys

_OF_SUBSETS = ('NME', 'failure_rate', 'AUC', 'found')


@dataclass(frozen=True)
class ImageErrors:
    """What is kept of the faces of one image that count, N of them.

    Attributes:
        name: of the image.
        errors: ``[N]``, nan for a face that was not found.
        counts: of annotated points ``[N]``.
        subsets: those that each face belongs to.
        normalizer: by what the errors were divided.
    """

    name: str
    errors: np.ndarray
    counts: np.ndarray
    subsets: tuple[frozenset[str], ...]
    normalizer: str


@METRICS.register_module()
class LandmarkNMEMetric(LandmarkMetricBase):
    """Normalized mean error, failure rate and area under the curve, in percent.

    ``NME``, ``failure_rate`` and ``AUC`` are of the faces that were found; ``found`` is their
    share; in ``failure_rate_all`` and ``AUC_all`` a face that was not found is a failure.
    ``NME`` is the mean over faces; ``NME_points`` pools the points of all faces, as mmpose does.
    The log names the normalizer.

    Args:
        normalizer: ``'box_size'`` (root of the area of the true box), ``'box_diagonal'``,
            ``'box_height'``, ``'box_width'``, ``'box_longer'`` (its longer side);
            ``'inter_ocular'`` (outer corners of the eyes) or ``'inter_pupil'`` of AFLW, COFW, 300W
            and WFLW, by the number of points; or two points, (0, 1), or two sets of points between
            whose means it is. A face without that length is left out.
        threshold: of failure rate and area, as a share of the length; 0.1 is the usual one.
        min_iou: of the true box with the box of a prediction.
        min_height_px: smaller faces are left out.
        visible_only: only points that are visible, not those that are occluded but annotated.
        field: the points in ``pred_instances`` and ``gt_instances``, ``[N, K, 2]`` or with a depth,
            which is not compared: ``'keypoints'``, or ``'mesh'``.
        ann_file: a COCO file from which the ground truth is taken instead, with its ``subsets``
            (of images or annotations): ``NME/{subset}`` and the like beside the values of all.
        subsets: name of a subset to a regular expression that is searched in the path of an image:
            ``dict(common='lfpw|helen', challenge='ibug')``.
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
        ann_file: str | None = None,
        subsets: Mapping[str, str] | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(
            *(min_iou, visible_only, field, ann_file, subsets),
            collect_device,
            prefix,
            collect_dir,
        )
        if threshold <= 0:
            raise InputError(f'threshold: expected more than 0, got {threshold}')
        self.normalizer = check_normalizer(normalizer)
        self.threshold, self.min_height_px = threshold, min_height_px

    def compute_metrics(self, results: Sequence[ImageErrors]) -> dict[str, float]:
        """All values over the images of all ranks."""
        images = list({result.name: result for result in results}.values())
        errors = np.concatenate([np.zeros(0), *(image.errors for image in images)])
        counts = np.concatenate([np.zeros(0, np.int64), *(image.counts for image in images)])
        values = self._values(errors, counts)
        for name, chosen in by_subset([own for i in images for own in i.subsets]).items():
            of_subset = self._values(errors[chosen], counts[chosen])
            values |= {f'{key}/{name}': of_subset[key] for key in _OF_SUBSETS}
        listing = ', '.join(f'{name} {value:.2f}' for name, value in values.items())
        by = images[0].normalizer if images else self.normalizer
        MMLogger.get_current_instance().info(
            f'{self.field}, {len(errors)} faces, by {by}: {listing}'
        )
        return values

    def _values(self, errors: np.ndarray, counts: np.ndarray) -> dict[str, float]:
        found = ~np.isnan(errors)
        return summarize(errors[found], len(errors), self.threshold, counts=counts[found])

    def reduce_image(self, matched: MatchedObjects) -> ImageErrors:
        """The errors of the faces of an image that count."""
        truth = matched.truth
        resolved = resolve_normalizer(self.normalizer, truth.points.shape[1])
        lengths = object_lengths(resolved, truth.boxes, truth.points, truth.visible)
        annotated = (truth.visible > 0).sum(axis=1)
        counting = np.isfinite(lengths) & (annotated > 0)
        counting &= truth.boxes[:, 3] - truth.boxes[:, 1] >= self.min_height_px
        found = counting & matched.found
        errors = np.full(len(counting), np.nan)
        errors[found] = normalized_errors(
            matched.predicted[found], truth.points[found], truth.visible[found], lengths[found]
        )
        return ImageErrors(
            matched.name,
            errors[counting],
            annotated[counting],
            tuple(own for own, counts in zip(truth.subsets, counting, strict=True) if counts),
            describe_normalizer(resolved),
        )
