"""The evaluators of correct key points, PCK and PCKh, for mmengine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.logging import MMLogger

from mmext.errors import InputError
from mmext.metrics.landmarks.ground_truth import ImageTruth, MatchedObjects, by_subset
from mmext.metrics.landmarks.lengths import (
    HEAD,
    TORSO,
    Normalizer,
    check_normalizer,
    describe_normalizer,
    object_lengths,
    resolve_normalizer,
)
from mmext.metrics.landmarks.metric_base import LandmarkMetricBase
from mmext.metrics.landmarks.pck import groups_of, normalized_distances, pck_values
from mmext.registry import METRICS

_MPII_LEFT_OUT = ('pelvis', 'thorax')


@dataclass(frozen=True)
class ImageDistances:
    """What is kept of the objects of one image that count, N of them.

    Attributes:
        name: of the image.
        distances: in lengths ``[N, K]``, nan for points that do not count.
        found: which objects have a prediction ``[N]``.
        subsets: those that each object belongs to.
        normalizer: by what the distances were divided.
    """

    name: str
    distances: np.ndarray
    found: np.ndarray
    subsets: tuple[frozenset[str], ...]
    normalizer: str


@METRICS.register_module()
class LandmarkPCKMetric(LandmarkMetricBase):
    """Share of points that are nearer than a threshold times a length of their object, in percent.

    ``PCK@0.2`` is the mean over the names of points, ``PCK@0.2_points`` the share of all points;
    ``PCK_AUC`` the mean over the thresholds 0, 1/20, .. 19/20; ``PCK/ankle`` left and right ankles
    together; ``PCK@0.2/{subset}`` of a subset. Points of objects that were not found are wrong;
    ``found`` is the share of objects that were. The log names the normalizer.

    Args:
        normalizer: as of :class:`.LandmarkNMEMetric`, or ``'torso'`` (left shoulder to right hip),
            or ``'head'``: 0.6 of the diagonal of ``head_bbox`` in ``ann_file``. Objects without
            that length are left out.
        thresholds: in lengths; the first one is that of the groups and subsets.
        left_out: names of points that do not count.
        ann_file: a COCO file from which the ground truth is taken instead of the samples.
        subsets: as of :class:`.LandmarkNMEMetric`.
        min_iou: of the true box with the box of a prediction.
        visible_only: only points that are visible, not those that are occluded but annotated.
        field: the points, as of :class:`.LandmarkNMEMetric`.
        collect_device, prefix, collect_dir: of mmengine.

    Raises:
        InputError: an unknown normalizer, a threshold that is not above 0, a name that the data set
            does not have, heads without an ``ann_file``.
    """

    default_prefix = 'pck'
    value_name = 'PCK'
    by_points = False

    def __init__(
        self,
        normalizer: Normalizer = 'box_longer',
        *,
        thresholds: Sequence[float] = (0.2, 0.1, 0.05),
        left_out: Sequence[str] = (),
        ann_file: str | None = None,
        subsets: Mapping[str, str] | None = None,
        min_iou: float = 0.5,
        visible_only: bool = False,
        field: str = 'keypoints',
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
        if not thresholds or min(thresholds) <= 0:
            raise InputError(f'thresholds: expected numbers above 0, got {thresholds}')
        self.normalizer = check_normalizer(normalizer, (HEAD, TORSO))
        if self.normalizer == HEAD and ann_file is None:
            raise InputError("normalizer 'head' needs an ann_file whose annotations have head_bbox")
        self.thresholds, self.left_out = tuple(thresholds), tuple(left_out)

    def check_truths(self, truths: Mapping[Any, ImageTruth]) -> None:
        """InputError if no head is annotated where heads are the measure."""
        heads = (truth.heads for truth in truths.values())
        if self.normalizer == HEAD and not any(np.isfinite(h).any() for h in heads):
            raise InputError(
                f'{self.ann_file}: no annotation has head_bbox (x, y, width, height), by which '
                f'{self.value_name} is measured; take another metric or file'
            )

    def compute_metrics(self, results: Sequence[ImageDistances]) -> dict[str, float]:
        """All values over the images of all ranks."""
        images = list({result.name: result for result in results}.values())
        names = self._names(images[0].distances.shape[1] if images else 0)
        distances = np.concatenate([np.zeros((0, len(names))), *(i.distances for i in images)])
        found = np.concatenate([np.zeros(0, bool), *(image.found for image in images)])
        left_out = self._left_out(names) if images else ()
        groups = groups_of([name if name not in left_out else '' for name in names])
        groups.pop('', None)
        values = self._values(distances, groups)
        values['found'] = 100 * float(found.mean()) if len(found) else float('nan')
        first = f'{self.value_name}@{self.thresholds[0]:g}'
        for name, chosen in by_subset([own for i in images for own in i.subsets]).items():
            values[f'{first}/{name}'] = self._values(distances[chosen], {})[first]
        listing = ', '.join(f'{name} {value:.2f}' for name, value in values.items())
        by = images[0].normalizer if images else self.normalizer
        MMLogger.get_current_instance().info(f'{len(found)} objects, by {by}: {listing}')
        return values

    def _values(
        self, distances: np.ndarray, groups: Mapping[str, Sequence[int]]
    ) -> dict[str, float]:
        return pck_values(distances, self.thresholds, self.value_name, groups, self.by_points)

    def _left_out(self, names: Sequence[str]) -> Sequence[str]:
        """Names of points that do not count."""
        unknown = sorted(set(self.left_out) - set(names))
        if unknown:
            raise InputError(
                f"left_out: {', '.join(unknown)}: not among the data set's points: "
                f'{", ".join(names)}'
            )
        return self.left_out

    def _names(self, count: int) -> list[str]:
        """Of the points, as the data set has them, or numbers."""
        known = list((self.dataset_meta or {}).get('keypoints', ()))
        return known if len(known) == count else [f'point_{number}' for number in range(count)]

    def reduce_image(self, matched: MatchedObjects) -> ImageDistances:
        """The distances of the objects of an image that count."""
        truth = matched.truth
        names = self._names(truth.points.shape[1])
        resolved = resolve_normalizer(self.normalizer, len(names), names)
        lengths = object_lengths(resolved, truth.boxes, truth.points, truth.visible, truth.heads)
        distances = normalized_distances(matched.predicted, truth.points, truth.visible, lengths)
        left_out = self._left_out(names)
        distances[:, [name in left_out for name in names]] = np.nan
        counting = np.asarray((~np.isnan(distances)).any(axis=1))
        return ImageDistances(
            matched.name,
            distances[counting],
            matched.found[counting],
            tuple(own for own, counts in zip(truth.subsets, counting, strict=True) if counts),
            describe_normalizer(resolved),
        )


@METRICS.register_module()
class LandmarkPCKhMetric(LandmarkPCKMetric):
    """PCKh of MPII: within half of the head's length, 0.6 of the diagonal of its box.

    ``PCKh@0.5`` is the share of all points but pelvis and thorax, as HRNet and mmpose have it;
    ``PCKh@0.5_names`` the plain mean over the 14 names, as pytorch-pose has it. Both are in papers.

    Args:
        ann_file: COCO key points with ``head_bbox``, as ``tools/prepare_data.py mpii`` writes them.
        thresholds: in lengths of the head.
        left_out: names of points that do not count; those of MPII that the data set has.
        args: of :class:`.LandmarkPCKMetric`.
    """

    default_prefix = 'pckh'
    value_name = 'PCKh'
    by_points = True

    def __init__(
        self,
        ann_file: str,
        *,
        thresholds: Sequence[float] = (0.5, 0.1),
        left_out: Sequence[str] | None = None,
        **args: Any,
    ) -> None:
        super().__init__(
            HEAD, thresholds=thresholds, left_out=left_out or (), ann_file=ann_file, **args
        )
        self._as_mpii = left_out is None

    def _left_out(self, names: Sequence[str]) -> Sequence[str]:
        if self._as_mpii:
            return [name for name in _MPII_LEFT_OUT if name in names]
        return super()._left_out(names)
