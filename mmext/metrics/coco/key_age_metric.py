"""Mask AP of a stream by how old the key frame was: what propagation costs, frame by frame."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine import dist
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from mmext.metrics.coco.detection_metric import CocoDetectionMetric, ImageResult
from mmext.registry import METRICS

_SHOWN = ('mAP', 'mAP_50')


@METRICS.register_module()
class MaskAPByKeyAgeMetric(CocoDetectionMetric):
    """COCO's AP of single frames, one for each age of the key frame.

    ``mAP`` of frames that are key frames (``age_0``), and of the first, second … frame after one.
    All ages are evaluated on the same frames, those that were met at every age: a data set that
    goes through a video once for every position of the key frames makes that possible
    (``key_passes``). If no frame was, each age is evaluated on its own frames.

    Args:
        As of :class:`~mmext.metrics.coco.detection_metric.CocoDetectionMetric`.
    """

    default_prefix = 'video'
    frames_at_each_age = 0  # of the last evaluation; 0 where none was met at all of them

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keeps the predictions of a batch; frames with ``is_annotated=False`` are not judged.

        Args:
            data_batch: not used.
            data_samples: as for the base class, with ``key_age`` in the meta.
        """
        for sample in data_samples:
            if sample.get('is_annotated', True):
                self.results.append((int(sample.get('key_age', 0)), self._image_result(sample)))

    def evaluate(self, size: int) -> dict[str, float]:
        """Merges the ranks and evaluates; ``size`` is not needed."""
        self.results: list[Any] = [self.results]
        return BaseMetric.evaluate(self, dist.get_world_size())

    def compute_metrics(self, results: Sequence[Sequence[Any]]) -> dict[str, float]:
        """Evaluates the frames of all ranks: age and result, ``results[rank][frame]``.

        Returns:
            ``age_0/segm_mAP``, ``age_1/segm_mAP`` …; ``segm_mAP`` and ``segm_mAP_50`` are means
            over the ages.
        """
        by_age: dict[int, dict[Any, ImageResult]] = {}
        for part in results:
            for age, image in part:
                by_age.setdefault(age, {})[image.image['id']] = image
        common = set.intersection(*(set(images) for images in by_age.values())) if by_age else set()
        self.frames_at_each_age = len(common)
        values: dict[str, float] = {}
        for age in sorted(by_age):
            images = [image for i, image in by_age[age].items() if i in common or not common]
            self._dataset_size = len(images)
            of_age = super().compute_metrics([images])
            values |= {f'age_{age}/{name}': value for name, value in of_age.items()}
        kinds = {name.partition('/')[2] for name in values}
        for name in (f'{kind}_{what}' for kind in self.metrics for what in _SHOWN):
            if name in kinds:
                values[name] = sum(values[f'age_{age}/{name}'] for age in by_age) / len(by_age)
        frames = len(common) if common else 'different'
        MMLogger.get_current_instance().info(
            f'AP by age of the key frame, {frames} frames at each of the ages {sorted(by_age)}'
        )
        return values
