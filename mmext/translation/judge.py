"""Made pictures, judged by a detector that has learned from real ones.

The score of pix2pix on label maps (Isola et al., CVPR 2017), by the metrics of the house: what the
detector finds in the picture is compared with the truth that the picture was made from.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from torch import Tensor

from mmext.errors import InputError
from mmext.registry import METRICS
from mmext.translation.frozen_model import frozen_model, pipeline_after_loading


@METRICS.register_module()
class DetectorJudge(BaseMetric):
    """The metrics of a frozen detector on the pictures of a translator.

    A sample has the picture, uint8 ``[3, H, W]`` BGR, and what the inner metrics read: ``img_id``,
    or ``seg_map_path`` and ``segments_info``. The picture goes through the test pipeline of the
    detector. Detector and truth must have the same classes.

    Args:
        config: of the detector, a file (``mmext::upsnet_demo.py``).
        checkpoint: its weights.
        metrics: configs of metrics.
        field: name of the picture in the samples; ``'target'`` judges the real ones.
        collect_device, prefix, collect_dir: of mmengine.

    Raises:
        MissingFileError: no weights there.
        InputError: no metrics, or weights of another model.
    """

    default_prefix = 'judge'

    def __init__(
        self,
        config: str,
        checkpoint: str,
        metrics: Sequence[dict],
        field: str = 'translated',
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix, collect_dir)
        if not metrics:
            raise InputError('DetectorJudge: metrics is empty; name one (PanopticQualityMetric)')
        self.metrics = [METRICS.build(metric) for metric in metrics]
        self.field = field
        self._detector, read = frozen_model(config, checkpoint)
        self._pipeline = pipeline_after_loading(read)

    @property
    def dataset_meta(self) -> dict | None:
        """Of the data set of the truth."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, meta: dict) -> None:
        self._dataset_meta = meta
        for metric in self.metrics:
            metric.dataset_meta = meta

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Let the detector look at the pictures of a batch.

        Raises:
            InputError: a sample without the picture.
        """
        prepared = [self._prepared(sample) for sample in data_samples]
        batch = {key: [one[key] for one in prepared] for key in ('inputs', 'data_samples')}
        device = data_samples[0][self.field].device
        detector: Any = self._detector.to(device)
        found = [sample.to_dict() for sample in detector.test_step(batch)]
        for metric in self.metrics:
            metric.process(batch, found)

    def evaluate(self, size: int) -> dict[str, float]:
        """The values of all metrics, under the prefix."""
        values: dict[str, float] = {}
        for metric in self.metrics:
            values |= {f'{self.prefix}/{k}': v for k, v in metric.evaluate(size).items()}
        return values

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Nothing is kept here: the inner metrics compute."""
        raise NotImplementedError

    def _prepared(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        picture = sample.get(self.field)
        if not isinstance(picture, Tensor):
            raise InputError(
                f'{sample.get("img_path", "a sample")}: no picture {self.field!r} to judge: is the '
                'model a translator?'
            )
        image = np.ascontiguousarray(picture.cpu().numpy().transpose(1, 2, 0))
        own = {key: value for key, value in sample.items() if not isinstance(value, Tensor)}
        shape = image.shape[:2]
        return self._pipeline(
            {**own, 'img': image, 'img_shape': shape, 'ori_shape': shape, 'scale_factor': (1, 1)}
        )
