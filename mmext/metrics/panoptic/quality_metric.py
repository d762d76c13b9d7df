"""The evaluator of panoptic quality for mmengine, without panopticapi."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.logging import MMLogger

from mmext.errors import InputError
from mmext.formats.panoptic_files import VOID_ID
from mmext.metrics.panoptic import quality as pq
from mmext.metrics.panoptic.ground_truth import GroundTruth, count_matches, ground_truth_of_sample
from mmext.metrics.panoptic.metric_base import PanopticMetricBase
from mmext.metrics.panoptic.predictions import predicted_labels, predicted_map
from mmext.metrics.panoptic.write_results import PanopticResultsWriter, hotcoco_counts
from mmext.registry import METRICS


@dataclass(frozen=True)
class ImageResult:
    """What is kept of one image: its counts for the classes that occur in it."""

    image_id: int | str
    img_path: str
    labels: pq.IntArray
    """Classes that occur, ``[K]``."""
    counts: pq.FloatArray
    """Count table ``[4, K]``."""
    annotation: dict[str, Any] | None
    """Entry of the results JSON, if one is written."""


@METRICS.register_module()
class PanopticQualityMetric(PanopticMetricBase):
    """PQ, SQ and RQ over all classes, over things and over stuff, and by class.

    The ground truth comes from ``ann_file`` and ``seg_prefix`` or, without them,
    from ``seg_map_path`` and ``segments_info`` of the data samples. An image is
    reduced to a few numbers at once. Ranks are merged by image: one that a
    distributed sampler repeats counts once, shards may differ in length.

    Args:
        ann_file: panoptic JSON; its categories must be the classes of the data set.
        seg_prefix: folder of its PNGs.
        classwise: also return ``PQ/{class}``, ``SQ/{class}`` and ``RQ/{class}``;
            characters that a logger may refuse, such as ``,`` and ``/``, become ``_``.
        format_only: write the results files and evaluate nothing; needs no ground truth.
        outfile_prefix: write ``{outfile_prefix}.panoptic/*.png`` and
            ``{outfile_prefix}.panoptic.json`` in COCO's results format; all ranks
            must share the place.
        backend: ``'numpy'``, or ``'hotcoco'`` to let the hotcoco package evaluate the
            written files: a slower, independent check that needs ``ann_file`` and
            ``outfile_prefix``. The log says which one computed the numbers.
        backend_args: file backend of mmengine for reading.
        collect_device: ``'cpu'`` or ``'gpu'``, how results travel between ranks.
        prefix: of the names of the returned values.
        collect_dir: shared folder for the collection, see mmengine's ``BaseMetric``.
    """

    default_prefix = 'coco_panoptic'

    def __init__(
        self,
        ann_file: str | None = None,
        seg_prefix: str | None = None,
        *,
        classwise: bool = False,
        format_only: bool = False,
        outfile_prefix: str | None = None,
        backend: str = 'numpy',
        backend_args: dict | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(ann_file, seg_prefix, backend_args, collect_device, prefix, collect_dir)
        if backend not in ('numpy', 'hotcoco'):
            raise InputError(f"backend: expected 'numpy' or 'hotcoco', got {backend!r}")
        if backend == 'hotcoco' and (format_only or not ann_file or not outfile_prefix):
            raise InputError("backend='hotcoco' evaluates files: set ann_file and outfile_prefix")
        if format_only and not outfile_prefix:
            raise InputError('format_only=True: set outfile_prefix, the path to write to')
        self.classwise, self.format_only, self.backend = classwise, format_only, backend
        self.writer = PanopticResultsWriter(outfile_prefix) if outfile_prefix else None

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Evaluates the images of a batch and writes them if ``outfile_prefix`` is set.

        Args:
            data_batch: not used.
            data_samples: dicts with ``img_id``, ``pred_panoptic_seg`` (``sem_seg``
                ``[1, H, W]`` at the size of the annotation: label + 1000 x instance
                number, void = number of classes) and, without ``ann_file``,
                ``seg_map_path`` and ``segments_info``.

        Raises:
            InputError: a prediction of another size than its ground truth, a predicted
                label that is no class, a PNG and a JSON that disagree.
            MissingFileError: an image without its PNG.
        """
        for sample in data_samples:
            self.results.append(self._image_result(sample))

    def compute_metrics(self, results: Sequence[Sequence[ImageResult]]) -> dict[str, float]:
        """Averages over the images of all ranks, ``results[rank][image]``."""
        by_name = {(str(i.image_id), i.img_path): i for part in results for i in part}
        # sorted: the sums are the same to the last bit for any number of ranks
        images = [by_name[name] for name in sorted(by_name)]
        logger = MMLogger.get_current_instance()
        if len(images) != self._dataset_size:
            logger.warning(f'PQ of {len(images)} images; the data set has {self._dataset_size}')
        if self.writer is not None:
            self.writer.write_json([i.annotation for i in images], self.categories)
            logger.info(f'panoptic results written to {self.writer.json_path}')
        if self.format_only:
            return {}
        counts = self._sum_counts(images)
        values = pq.panoptic_quality(counts, self.is_thing)
        logger.info(f'panoptic quality by {self.backend}\n{self._table(values, counts)}')
        return values | (pq.classwise_values(counts, self.classes) if self.classwise else {})

    def _image_result(self, sample: Mapping[str, Any]) -> ImageResult:
        pred_map = predicted_map(sample)
        truth, gt_map = self._truth(sample, pred_map)
        overlaps = pq.overlap_table(gt_map, pred_map)
        pred_labels = predicted_labels(overlaps.pred_ids, sample, len(self.classes))
        counts = count_matches(overlaps, truth, pred_labels, len(self.classes))
        labels = np.flatnonzero(counts.any(axis=0))
        annotation = None
        if self.writer is not None:
            category_ids = self.category_ids
            annotation = self.writer.write_image(
                sample['img_id'],
                pred_map,
                overlaps.pred_ids.tolist(),
                [None if label < 0 else category_ids[label] for label in pred_labels.tolist()],
                overlaps.areas_px.sum(axis=0).tolist(),
            )
        img_path = str(sample.get('img_path', ''))
        return ImageResult(sample['img_id'], img_path, labels, counts[:, labels], annotation)

    def _truth(
        self, sample: Mapping[str, Any], pred_map: pq.IntArray
    ) -> tuple[GroundTruth, pq.IntArray]:
        """The segments and the id map to compare a prediction with."""
        if self.format_only:  # nothing but void: every prediction is forgiven
            return GroundTruth('', [], [], []), np.full_like(pred_map, VOID_ID)
        table = self.annotation_table
        if table is not None:
            truth = table.truth_of_image(sample['img_id'])
        else:
            truth = ground_truth_of_sample(sample, self.is_thing)
        gt_map = self.read_ground_truth_map(truth, pred_map.shape)
        return truth, gt_map

    def _sum_counts(self, images: Sequence[ImageResult]) -> pq.FloatArray:
        """Count table ``[4, C]`` of the data set."""
        if self.backend == 'hotcoco':
            table = self.annotation_table
            assert table and self.writer  # the constructor insists
            annotations = [table.annotation(i.image_id) for i in images]
            return hotcoco_counts(
                {'annotations': annotations, 'categories': self.categories},
                self.seg_prefix,
                self.writer,
                self.category_ids,
            )
        counts = np.zeros((4, len(self.classes)))
        for image in images:
            counts[:, image.labels] += image.counts
        return counts

    def _table(self, values: Mapping[str, float], counts: pq.FloatArray) -> str:
        """The values for the log, by class if asked for."""
        occurs, things = counts[1:].any(axis=0), np.array(self.is_thing)
        rows = [
            (title, *(values[m + suffix] for m in pq.MEASURES), f'{n:4d} classes')
            for title, suffix, n in (
                ('all', '', occurs.sum()),
                ('things', '_th', (occurs & things).sum()),
                ('stuff', '_st', (occurs & ~things).sum()),
            )
        ]
        if self.classwise:
            quality = pq.classwise_quality(counts).T
            rows += [(self.classes[i], *quality[i], '') for i in np.flatnonzero(occurs)]
        lines = [f'{t:24.24s}{p:8.2f}{s:8.2f}{r:8.2f}  {note}' for t, p, s, r, note in rows]
        return '\n'.join([f'{"":24s}{"PQ":>8s}{"SQ":>8s}{"RQ":>8s}', *lines])
