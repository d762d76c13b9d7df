"""The evaluator of attributes for mmengine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from mmext.errors import InputError
from mmext.metrics.faces.attribute_accuracy import attribute_values, confusion
from mmext.metrics.landmarks.nme import match_by_box
from mmext.metrics.sample_fields import to_numpy
from mmext.registry import METRICS


@dataclass(frozen=True)
class ImageTables:
    """What is kept of one image: the confusion table of each attribute."""

    name: str
    tables: list[np.ndarray]


@METRICS.register_module()
class FaceAttributeMetric(BaseMetric):
    """Accuracy of the attributes of the faces that were found, in percent.

    The attributes are those of the data set's ``metainfo``: ``accuracy_{name}``,
    ``balanced_{name}`` (mean over the values), ``error_{name}`` (mean steps, ordinal ones), and
    the means ``accuracy`` and ``balanced`` over all. Unknown values are left out.

    Args:
        min_iou: of the true box with the box of a prediction.
        collect_device, prefix, collect_dir: of mmengine.
    """

    default_prefix = 'attributes'

    def __init__(
        self,
        min_iou: float = 0.5,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        self.min_iou = min_iou

    @property
    def attributes(self) -> Sequence[Mapping[str, Any]]:
        """Of the data set; at least one.

        Raises:
            InputError: it has none.
        """
        table = (self.dataset_meta or {}).get('attributes', ())
        if not table:
            raise InputError("FaceAttributeMetric: the data set's metainfo states no attributes")
        return table

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Reduces the images of a batch to their tables.

        Args:
            data_batch: not used.
            data_samples: dicts with ``gt_instances`` and ``pred_instances``: ``bboxes``,
                ``attributes`` ``[N, A]``, and ``scores`` of the predictions.

        Raises:
            InputError: a field is missing or has another number of attributes.
        """
        for sample in data_samples:
            name = str(sample.get('img_path') or sample['img_id'])
            truth, found = sample['gt_instances'], sample['pred_instances']
            true, predicted = (self._values(fields, name) for fields in (truth, found))
            boxes = [
                to_numpy(fields['bboxes']).astype(np.float64).reshape(-1, 4)
                for fields in (found, truth)
            ]
            match = match_by_box(boxes[0], to_numpy(found['scores']), boxes[1], self.min_iou)
            pairs = predicted[match[match >= 0]], true[match >= 0]
            tables = [
                confusion(pairs[0][:, column], pairs[1][:, column], len(attribute['values']))
                for column, attribute in enumerate(self.attributes)
            ]
            self.results.append(ImageTables(name, tables))

    def compute_metrics(self, results: Sequence[ImageTables]) -> dict[str, float]:
        """All values over the images of all ranks."""
        images = {result.name: result.tables for result in results}.values()
        tables = [np.sum(column, axis=0) for column in zip(*images, strict=True)]
        values = attribute_values(self.attributes, tables) if tables else {}
        listing = ', '.join(f'{name} {value:.2f}' for name, value in values.items())
        MMLogger.get_current_instance().info(f'attributes: {listing}')
        return values

    def _values(self, fields: Mapping[str, Any], image: str) -> np.ndarray:
        expected = len(self.attributes)
        values = to_numpy(fields['attributes']) if 'attributes' in fields else None
        if values is None or values.shape[1:] != (expected,):
            got = 'none' if values is None else values.shape[1:]
            raise InputError(f'{image}: expected {expected} attributes of each face, got {got}')
        return values
