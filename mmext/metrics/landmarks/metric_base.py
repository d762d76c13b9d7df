"""What the evaluators of points share: ground truth of samples or of a file, matching, subsets."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from mmext.metrics.landmarks.ground_truth import (
    ImageTruth,
    MatchedObjects,
    match_sample,
    read_truths,
)

_NEARLY_ALL = 0.9


class LandmarkMetricBase(BaseMetric):
    """Matches predictions with annotated objects and reduces each image at once.

    Warns where nearly all objects have their points in one place: such a network has learned
    nothing, however small its loss is (of maps that are 0 nearly everywhere).

    Args:
        min_iou: of the true box with the box of a prediction.
        visible_only: only points that are visible, not those that are occluded but annotated.
        field: the points in ``pred_instances`` and ``gt_instances``, ``[N, K, 2]`` or with a depth.
        ann_file: a COCO file from which the ground truth is taken instead of the samples.
        subsets: name of a subset to a regular expression that is searched in the path of an image.
        collect_device, prefix, collect_dir: of mmengine.
    """

    def __init__(
        self,
        min_iou: float,
        visible_only: bool,
        field: str,
        ann_file: str | None,
        subsets: Mapping[str, str] | None,
        collect_device: str,
        prefix: str | None,
        collect_dir: str | None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        self.min_iou, self.visible_only, self.field = min_iou, visible_only, field
        self.ann_file, self.subsets = ann_file, dict(subsets or {})
        self._truths: dict[Any, ImageTruth] | None = None
        self._num_found = self._num_in_one_place = 0

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Reduces the images of a batch to what is kept of them.

        Args:
            data_batch: not used.
            data_samples: dicts with ``pred_instances`` and, without ``ann_file``,
                ``gt_instances`` in one frame.

        Raises:
            InputError: a field is missing, the numbers of points differ, a prediction is not
                finite, or the file lacks what the metric needs.
        """
        if self.ann_file is not None and self._truths is None:
            self._truths = read_truths(self.ann_file)
            self.check_truths(self._truths)
        for sample in data_samples:
            matched = match_sample(
                sample, self._truths, self.field, self.min_iou, self.visible_only
            )
            in_one_place = matched.in_one_place()
            self._num_found += len(in_one_place)
            self._num_in_one_place += int(in_one_place.sum())
            truth = matched.truth.named(matched.name, self.subsets)
            self.results.append(
                self.reduce_image(
                    MatchedObjects(matched.name, truth, matched.predicted, matched.found)
                )
            )

    def evaluate(self, size: int) -> dict[str, float]:
        """The values, as of mmengine; ``size`` is the number of images."""
        found, alike = self._num_found, self._num_in_one_place
        self._num_found = self._num_in_one_place = 0
        if found and alike >= _NEARLY_ALL * found:
            MMLogger.get_current_instance().warning(
                f'{self.field}: of {alike} of {found} objects all points were predicted in one '
                'place: the network has not learned where they are; train longer, or look at '
                'learning rate, batch size and the annotations (mmext check CONFIG)'
            )
        values: dict[str, float] = super().evaluate(size)
        return values

    def check_truths(self, truths: Mapping[Any, ImageTruth]) -> None:
        """InputError if the ground truth of a file lacks something."""

    def reduce_image(self, matched: MatchedObjects) -> Any:
        """What is kept of an image."""
        raise NotImplementedError
