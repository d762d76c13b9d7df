"""COCO's evaluation of key points, for any kind of object with any number of points."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine import fileio
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from mmext.errors import InputError, MissingFileError
from mmext.formats.coco_values import canonical_id
from mmext.formats.json_files import parse_json
from mmext.metrics.coco.category_ids import categories_of, id_array, ids_of_labels
from mmext.metrics.coco.curves import Curves, drawn_curves
from mmext.metrics.coco.evaluation import Backend, CocoGroundTruth, Detections
from mmext.metrics.sample_fields import numbers_labels_by_name, to_numpy
from mmext.registry import METRICS


@METRICS.register_module()
class KeypointOKSMetric(BaseMetric):
    """Average precision and recall by object key point similarity: 0..1, not rounded.

    ``AP``, ``AP50``, ``AP75``, ``AP_M``, ``AP_L``, ``AR``, ``AR50``, ``AR75``, ``AR_M``,
    ``AR_L`` after the prefix ``keypoints/``, over the best 20 detections of an image, as
    COCO's own evaluation; nan where there is nothing to find. Save the best checkpoint by
    ``save_best='keypoints/AP'``.

    Takes of each image ``pred_instances``: ``keypoints`` ``[N, K, 2]`` in px of the
    original image, ``scores`` ``[N]``, ``labels`` ``[N]`` and, if there, ``keypoint_scores``
    ``[N, K]`` (written to files; COCO does not use them). An object's score is
    that of its box.

    Args:
        ann_file: COCO annotations with ``keypoints``.
        sigmas: ``[K]`` how precisely each point can be annotated, relative to the object's
            size; None takes ``sigmas`` of the data set's meta data.
        backend: 'hotcoco', 'pycocotools' or 'auto', the faster one that is installed.
        outfile_prefix: also writes ``{outfile_prefix}.keypoints.json``.
        collect_device, prefix, collect_dir: of mmengine.

    Raises:
        MissingFileError: no annotation file.
        InputError: no sigmas, or as many as there are not points; classes that the file
            does not have or has in another order; labels out of range.
    """

    default_prefix = 'keypoints'

    def __init__(
        self,
        ann_file: str,
        sigmas: Sequence[float] | None = None,
        *,
        backend: Backend = 'auto',
        outfile_prefix: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        self.ann_file, self.sigmas, self.backend = ann_file, sigmas, backend
        self.outfile_prefix = outfile_prefix
        self.pr_curves: dict[str, Any] = {}
        self._file_truth: CocoGroundTruth | None = None

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keeps the detections of a batch.

        Args:
            data_batch: not used.
            data_samples: dicts with ``img_id`` and ``pred_instances``.

        Raises:
            InputError: a prediction without key points.
        """
        for sample in data_samples:
            found = sample['pred_instances']
            if 'keypoints' not in found:
                raise InputError(f'image {sample["img_id"]}: no keypoints in pred_instances')
            points = to_numpy(found['keypoints']).astype(np.float64)  # [N, K, 2]
            scores = to_numpy(found['scores']).astype(np.float64)
            of_points = np.ones(points.shape[:2])
            if 'keypoint_scores' in found:
                of_points = to_numpy(found['keypoint_scores']).astype(np.float64)
            triples = np.concatenate([points, of_points[..., None]], 2)  # [N, K, 3]
            self.results.append(
                (
                    canonical_id(sample['img_id'], 'img_id'),
                    triples,
                    scores,
                    to_numpy(found['labels']),
                )
            )

    def compute_metrics(self, results: Sequence[tuple]) -> dict[str, float]:
        """All values over the images of all ranks."""
        truth = self.file_truth()
        category_of_label = self._categories(truth)
        images = {result[0]: result for result in results}  # a sampler may have repeated some
        detections = _detections(list(images.values()), category_of_label)
        if self.outfile_prefix:
            target = Path(f'{self.outfile_prefix}.keypoints.json')
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(json.dumps(detections.records('keypoints')))
        curves = truth.evaluate(
            detections, 'keypoints', list(images), category_of_label, sigmas=self._sigmas()
        )
        classes = [str(category) for category in category_of_label]
        self.pr_curves = {
            name: line
            for oks in (0.5, 0.75)
            for name, line in drawn_curves(curves, classes, f'OKS {oks}', oks, most=0).items()
        }
        values = oks_values(curves)
        listing = ', '.join(f'{name} {value:.4f}' for name, value in values.items())
        MMLogger.get_current_instance().info(f'key points, {len(images)} images: {listing}')
        return values

    def file_truth(self) -> CocoGroundTruth:
        """The ground truth of ``ann_file``, read once."""
        if self._file_truth is None:
            try:
                data = fileio.get(self.ann_file)
            except FileNotFoundError:
                raise MissingFileError(
                    f'no annotations at {Path(self.ann_file).absolute()}: check ann_file'
                ) from None
            content = parse_json(data, self.ann_file)
            self._file_truth = CocoGroundTruth(content, self.backend, self.ann_file)
        return self._file_truth

    def check_truth(self) -> None:
        """Look at ``ann_file`` before a run: has it the classes?

        Raises:
            InputError: it has not.
        """
        self._categories(self.file_truth())

    def _categories(self, truth: CocoGroundTruth) -> list[int | str]:
        """Category of each label."""
        categories = truth.records.categories.values()
        meta = self.dataset_meta or {}
        classes = meta.get('classes') or tuple(category['name'] for category in categories)
        return ids_of_labels(categories, classes, self.ann_file, numbers_labels_by_name(meta))

    def _sigmas(self) -> Sequence[float]:
        sigmas = self.sigmas
        if sigmas is None:
            sigmas = (self.dataset_meta or {}).get('sigmas')
        if sigmas is None:
            raise InputError("sigmas: state them in the metric or in the data set's metainfo")
        return sigmas


def oks_values(curves: Curves) -> dict[str, float]:
    """The ten numbers of COCO's key point evaluation."""
    values: dict[str, float] = {}
    for name, measure in (('AP', curves.average_precision), ('AR', curves.average_recall)):
        values |= {
            name: measure(),
            f'{name}50': measure(0.5),
            f'{name}75': measure(0.75),
            f'{name}_M': measure(area='m'),
            f'{name}_L': measure(area='l'),
        }
    return values


def _detections(images: Sequence[tuple], category_of_label: Sequence[int | str]) -> Detections:
    """All detections side by side; boxes are not compared."""
    points = [triples.reshape(len(triples), -1) for _, triples, _, _ in images if len(triples)]
    counts = [len(scores) for _, _, scores, _ in images]
    labels = np.concatenate([np.zeros(0, np.int64), *(labels for *_, labels in images)])
    total = sum(counts)
    return Detections(
        np.repeat(id_array(image for image, *_ in images), counts),
        categories_of(labels.astype(np.int64), category_of_label),
        np.zeros((total, 4)),
        np.concatenate([np.zeros(0), *(scores for _, _, scores, _ in images)]),
        keypoints=np.concatenate(points) if points else np.zeros((0, 0)),
    )
