"""The evaluator of panoptic quality for mmengine, without panopticapi."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmdet.evaluation.functional import INSTANCE_OFFSET
from mmengine import dist, fileio
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from mmext.functional.panoptic_files import VOID_ID, decode_id_png, segment_positions
from mmext.metrics import panoptic_quality as pq
from mmext.metrics.panoptic_ground_truth import AnnotationTable, GroundTruth, truth_of_sample
from mmext.metrics.panoptic_results import PanopticResultsWriter, hotcoco_counts
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
class PanopticQualityMetric(BaseMetric):
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
        super().__init__(collect_device, prefix, collect_dir)
        if backend not in ('numpy', 'hotcoco'):
            raise ValueError(f"backend: expected 'numpy' or 'hotcoco', got {backend!r}")
        if backend == 'hotcoco' and (format_only or not ann_file or not outfile_prefix):
            raise ValueError("backend='hotcoco' evaluates files: set ann_file and outfile_prefix")
        if format_only and not outfile_prefix:
            raise ValueError('format_only=True: set outfile_prefix, the path to write to')
        if ann_file and not fileio.exists(ann_file, backend_args=backend_args):
            raise FileNotFoundError(
                f'no panoptic annotation file at {os.path.abspath(ann_file)}: '
                'check ann_file of the evaluator'
            )
        self.ann_file, self.seg_prefix = ann_file, seg_prefix or ''
        self.classwise, self.format_only, self.backend = classwise, format_only, backend
        self.backend_args = backend_args
        self.writer = PanopticResultsWriter(outfile_prefix) if outfile_prefix else None
        self._annotations: AnnotationTable | None = None
        self._dataset_size: int | None = None

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Evaluates the images of a batch and writes them if ``outfile_prefix`` is set.

        Args:
            data_batch: not used.
            data_samples: dicts with ``img_id``, ``pred_panoptic_seg`` (``sem_seg``
                ``[1, H, W]`` at the size of the annotation: label + 1000 x instance
                number, void = number of classes) and, without ``ann_file``,
                ``seg_map_path`` and ``segments_info``.

        Raises:
            ValueError: a prediction of another size than its ground truth, a predicted
                label that is no class, a PNG and a JSON that disagree.
            FileNotFoundError: an image without its PNG.
        """
        for sample in data_samples:
            self.results.append(self._image_result(sample))

    def evaluate(self, size: int) -> dict[str, float]:
        """Merges the ranks and averages.

        Args:
            size: number of images of the data set.

        Returns:
            The values by name, on every rank; ``{}`` with ``format_only``.
        """
        self._dataset_size = size
        # one part per rank: which images repeat is told by their names, not their positions
        self.results: list[Any] = [self.results]
        return super().evaluate(dist.get_world_size())

    def compute_metrics(self, results: Sequence[Sequence[ImageResult]]) -> dict[str, float]:
        """Averages over the images of all ranks, ``results[rank][image]``."""
        by_name = {(str(i.image_id), i.img_path): i for part in results for i in part}
        # sorted: the sums are the same to the last bit for any number of ranks
        images = [by_name[name] for name in sorted(by_name)]
        logger = MMLogger.get_current_instance()
        if len(images) != self._dataset_size:
            logger.warning(f'PQ of {len(images)} images; the data set has {self._dataset_size}')
        if self.writer is not None:
            self.writer.write_json([i.annotation for i in images], self._categories())
            logger.info(f'panoptic results written to {self.writer.json_path}')
        if self.format_only:
            return {}
        counts = self._sum_counts(images)
        values = pq.panoptic_quality(counts, self._is_thing)
        logger.info(f'panoptic quality by {self.backend}\n{self._table(values, counts)}')
        return values | (pq.classwise_values(counts, self._classes) if self.classwise else {})

    @property
    def _classes(self) -> Sequence[str]:
        return self.dataset_meta['classes']

    @property
    def _is_thing(self) -> list[bool]:
        things = set(self.dataset_meta['thing_classes'])
        return [name in things for name in self._classes]

    @property
    def _annotation_table(self) -> AnnotationTable | None:
        """The annotation file, read when the first image comes; None without ``ann_file``."""
        if self._annotations is None and self.ann_file:
            content = fileio.load(self.ann_file, backend_args=self.backend_args)
            things = self.dataset_meta['thing_classes']
            self._annotations = AnnotationTable(
                content, self.seg_prefix, self._classes, things, self.ann_file
            )
        return self._annotations

    def _image_result(self, sample: Mapping[str, Any]) -> ImageResult:
        pred_map = _pred_map(sample)
        truth, gt_map = self._truth(sample, pred_map)
        gt_ids, pred_ids, areas_px = pq.overlap_table(gt_map, pred_map)
        pred_labels = self._pred_labels(pred_ids, sample)
        counts = pq.match_segments(
            areas_px[segment_positions(gt_ids, truth.ids, truth.png_path)],
            areas_px[gt_ids == VOID_ID].sum(axis=0),
            np.array(truth.labels, dtype=np.int64),
            np.array(truth.is_crowd, dtype=bool),
            pred_labels,
            len(self._classes),
        )
        labels = np.flatnonzero(counts.any(axis=0))
        annotation = None
        if self.writer is not None:
            category_ids = self._category_ids()
            annotation = self.writer.write_image(
                sample['img_id'],
                pred_map,
                pred_ids.tolist(),
                [None if label < 0 else category_ids[label] for label in pred_labels.tolist()],
                areas_px.sum(axis=0).tolist(),
            )
        img_path = str(sample.get('img_path', ''))
        return ImageResult(sample['img_id'], img_path, labels, counts[:, labels], annotation)

    def _truth(
        self, sample: Mapping[str, Any], pred_map: pq.IntArray
    ) -> tuple[GroundTruth, pq.IntArray]:
        """The segments and the id map to compare a prediction with."""
        if self.format_only:  # nothing but void: every prediction is forgiven
            return GroundTruth('', [], [], []), np.full_like(pred_map, VOID_ID)
        table = self._annotation_table
        if table is not None:
            truth = table.truth_of_image(sample['img_id'])
        else:
            truth = truth_of_sample(sample, self._is_thing)
        try:
            data = fileio.get(truth.png_path, backend_args=self.backend_args)
        except FileNotFoundError:
            where = os.path.abspath(truth.png_path)
            raise FileNotFoundError(
                f'no ground truth PNG at {where}: check seg_prefix of the evaluator '
                '(data_prefix.seg of the data set if it has none)'
            ) from None
        gt_map = decode_id_png(data, truth.png_path)
        if gt_map.shape != pred_map.shape:
            raise ValueError(
                f'{truth.png_path}: shape of the prediction {pred_map.shape}, of the ground truth '
                f'{gt_map.shape}; they are compared at the original size of the image'
            )
        return truth, gt_map

    def _pred_labels(self, pred_ids: pq.IntArray, sample: Mapping[str, Any]) -> pq.IntArray:
        """Class of each predicted segment ``[P]``, ``VOID_LABEL`` where it is void."""
        num_classes = len(self._classes)
        labels = pred_ids % INSTANCE_OFFSET
        is_void = labels == num_classes
        if 'ignore_index' in sample['pred_panoptic_seg']:
            is_void |= labels == sample['pred_panoptic_seg']['ignore_index']
        wrong = pred_ids[((labels > num_classes) & ~is_void) | (pred_ids < 0)]
        if wrong.size:
            raise ValueError(
                f'image {sample["img_id"]}: predicted ids {wrong[:8].tolist()} are no '
                f'label + {INSTANCE_OFFSET} x instance number with labels 0 to {num_classes - 1} '
                f'and void {num_classes}'
            )
        return np.where(is_void, pq.VOID_LABEL, labels)

    def _category_ids(self) -> list[int]:
        """Category id of each label in the results files, ``[C]``."""
        table = self._annotation_table
        return list(range(len(self._classes))) if table is None else table.category_ids

    def _categories(self) -> list[dict[str, Any]]:
        """The category table of the results files."""
        table = zip(self._category_ids(), self._classes, self._is_thing, strict=True)
        return [{'id': i, 'name': name, 'isthing': int(thing)} for i, name, thing in table]

    def _sum_counts(self, images: Sequence[ImageResult]) -> pq.FloatArray:
        """Count table ``[4, C]`` of the data set."""
        if self.backend == 'hotcoco':
            table = self._annotation_table
            assert table and self.writer  # the constructor insists
            annotations = [table.annotation(i.image_id) for i in images]
            return hotcoco_counts(
                {'annotations': annotations, 'categories': self._categories()},
                self.seg_prefix,
                self.writer,
                self._category_ids(),
            )
        counts = np.zeros((4, len(self._classes)))
        for image in images:
            counts[:, image.labels] += image.counts
        return counts

    def _table(self, values: Mapping[str, float], counts: pq.FloatArray) -> str:
        """The values for the log, by class if asked for."""
        occurs, things = counts[1:].any(axis=0), np.array(self._is_thing)
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
            rows += [(self._classes[i], *quality[i], '') for i in np.flatnonzero(occurs)]
        lines = [f'{t:24.24s}{p:8.2f}{s:8.2f}{r:8.2f}  {note}' for t, p, s, r, note in rows]
        return '\n'.join([f'{"":24s}{"PQ":>8s}{"SQ":>8s}{"RQ":>8s}', *lines])


def _pred_map(sample: Mapping[str, Any]) -> pq.IntArray:
    """The predicted ids ``[H, W]`` of a data sample, on the CPU."""
    if 'pred_panoptic_seg' not in sample:
        raise ValueError('no pred_panoptic_seg in the data sample: is the model panoptic?')
    ids = sample['pred_panoptic_seg']['sem_seg'].cpu().numpy()  # [1, H, W]
    if ids.ndim != 3 or len(ids) != 1 or ids.dtype.kind not in 'iu':
        raise ValueError(
            f'pred_panoptic_seg: expected integers [1, H, W], got {ids.dtype} {ids.shape}'
        )
    return ids[0]
