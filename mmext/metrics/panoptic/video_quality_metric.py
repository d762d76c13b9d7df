"""The evaluator of video panoptic quality for mmengine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Any

import numpy as np
from mmengine.logging import MMLogger

from mmext.errors import InputError
from mmext.formats.panoptic_files import segment_positions
from mmext.metrics.panoptic import quality as pq
from mmext.metrics.panoptic import video_quality as vpq
from mmext.metrics.panoptic.ground_truth import GroundTruth, ground_truth_of_sample
from mmext.metrics.panoptic.metric_base import PanopticMetricBase
from mmext.metrics.panoptic.predictions import predicted_labels, predicted_map, predicted_tubes
from mmext.metrics.panoptic.video_report import report
from mmext.metrics.panoptic.write_video_results import VideoPanopticResultsWriter
from mmext.registry import METRICS


@dataclass(frozen=True)
class FrameResult:
    """What is kept of one frame."""

    video_id: int | str
    frame_id: int
    image_id: int | str
    table: vpq.FrameTable | None
    """None for a frame without ground truth."""
    annotation: dict[str, Any] | None
    """Entry of the results JSON, if one is written."""


@METRICS.register_module()
class VideoPanopticQualityMetric(PanopticMetricBase):
    """VPQ over all classes, over things and over stuff, and by class; STQ beside it.

    The ground truth comes from ``ann_file`` and ``seg_prefix`` or, without them,
    from ``seg_map_path`` and ``segments_info`` of the data samples. A frame without
    ground truth is passed over: models run on every frame, labels may be sparse. Each frame is
    reduced to the table of its segments at once. Ranks are merged by frame: order
    and sharding do not matter, a frame that is repeated counts once.

    Args:
        ann_file: panoptic JSON; its categories must be the classes of the data set.
        seg_prefix: folder of its PNGs.
        windows: window lengths in labelled frames.
        label_interval: frames from one label to the next; a window of w labelled frames
            is reported as ``k = (w - 1) * label_interval``, as in the paper.
        classwise: also return ``VPQ/{class}``, ``VSQ/{class}`` and ``VRQ/{class}``.
        format_only: write the results files and evaluate nothing; needs no ground truth. Every
            ``label_interval``-th frame of a video is written, as for the test set of
            Cityscapes-VPS; ``frame_id`` must be its place in the video, from 0.
        outfile_prefix: folder to write the labelled frames to in the submission format of
            Cityscapes-VPS; all ranks must share the place.
        backend_args: file backend of mmengine for reading.
        collect_device: ``'cpu'`` or ``'gpu'``, how results travel between ranks.
        prefix: of the names of the returned values.
        collect_dir: shared folder for the collection, see mmengine's ``BaseMetric``.

    Raises:
        InputError: no windows, a length below 1, or ``format_only`` without ``outfile_prefix``.
        MissingFileError: no ``ann_file`` there.
    """

    default_prefix = 'video_panoptic'

    def __init__(
        self,
        ann_file: str | None = None,
        seg_prefix: str | None = None,
        *,
        windows: Sequence[int] = vpq.WINDOWS,
        label_interval: int = 5,
        classwise: bool = False,
        format_only: bool = False,
        outfile_prefix: str | None = None,
        backend_args: dict | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(ann_file, seg_prefix, backend_args, collect_device, prefix, collect_dir)
        self.windows = vpq.checked_windows(windows)
        if label_interval < 1:
            raise InputError(f'label_interval: expected at least 1, got {label_interval}')
        if format_only and not outfile_prefix:
            raise InputError('format_only=True: set outfile_prefix, the folder to write to')
        self.label_interval, self.classwise = label_interval, classwise
        self.format_only = format_only
        self.writer = VideoPanopticResultsWriter(outfile_prefix) if outfile_prefix else None

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Evaluates the frames of a batch and writes them if ``outfile_prefix`` is set.

        Args:
            data_batch: not used.
            data_samples: dicts with ``img_id``, ``video_id``, ``frame_id`` (ascending in the
                video), ``pred_panoptic_seg`` (``sem_seg`` ``[1, H, W]`` at the size of the
                annotation: label + 1000 x instance number, void = number of classes; the
                number is the track, see
                :func:`mmext.metrics.panoptic.predictions.predicted_tubes`) and, without
                ``ann_file``, ``seg_map_path`` and ``segments_info``.

        Raises:
            InputError: a prediction of another size than its ground truth, a predicted
                label that is no class, a PNG and a JSON that disagree, no video id.
            MissingFileError: a frame without its PNG.
        """
        for sample in data_samples:
            self.results.append(self._frame_result(sample))

    def compute_metrics(self, results: Sequence[Sequence[FrameResult]]) -> dict[str, float]:
        """Averages over the videos of all ranks, ``results[rank][frame]``."""
        by_name: dict[tuple[bool, int, str, int], FrameResult] = {}
        for frame in chain.from_iterable(results):
            known = by_name.setdefault(_order(frame), frame)
            if known.image_id != frame.image_id:
                raise InputError(
                    f'images {known.image_id} and {frame.image_id} are both frame '
                    f'{frame.frame_id} of video {frame.video_id!r}; evaluate data sets apart that '
                    'use the same video ids'
                )
        # sorted: the sums are the same to the last bit for any number of ranks, and files that are
        # paired by position have the order of the set
        frames = [by_name[name] for name in sorted(by_name)]
        logger = MMLogger.get_current_instance()
        if len(frames) != self._dataset_size:
            logger.warning(f'VPQ of {len(frames)} frames; the data set has {self._dataset_size}')
        if self.writer is not None:
            annotations = [f.annotation for f in frames if f.annotation is not None]
            if not annotations:
                raise InputError(
                    f'none of {len(frames)} frames was written: no video has {self.label_interval} '
                    'frames (label_interval) or, without format_only, a label'
                )
            self.writer.write_json(annotations, self.categories)
            logger.info(f'video panoptic results written to {self.writer.json_path}')
        if self.format_only:
            return {}
        return self._quality(frames)

    def _quality(self, frames: Sequence[FrameResult]) -> dict[str, float]:
        """The values of frames that are sorted by video and time."""
        groups = groupby(frames, key=lambda f: str(f.video_id))
        videos = [[f.table for f in video if f.table is not None] for _, video in groups]
        labelled = [video for video in videos if video]
        if not labelled:
            raise InputError(
                f'none of {len(frames)} frames has a ground truth: check data_prefix.seg of the '
                'data set or ann_file of the evaluator'
            )
        values, table = report(
            labelled,
            self.windows,
            self.label_interval,
            self.classes,
            self.is_thing,
            self.classwise,
        )
        MMLogger.get_current_instance().info(f'video panoptic quality\n{table}')
        return values

    def _frame_result(self, sample: Mapping[str, Any]) -> FrameResult:
        if sample.get('video_id') is None or sample.get('frame_id') is None:
            raise InputError(
                f'image {sample.get("img_id")}: no video_id and frame_id in the data sample: let '
                'the pipeline pass them on, PackVideoPanopticInputs does'
            )
        truth = self._truth(sample)
        table = annotation = None
        if truth is not None or self._submits(sample):
            pred_map = predicted_map(sample)
            if truth is not None:
                table = self._frame_table(sample, truth, pred_map)
            if self.writer is not None:
                annotation = self._write(sample, pred_map)
        place = sample['video_id'], sample['frame_id'], sample['img_id']
        return FrameResult(*place, table, annotation)

    def _submits(self, sample: Mapping[str, Any]) -> bool:
        """Whether a frame without ground truth is written."""
        place: int = sample['frame_id'] + 1
        return self.format_only and place % self.label_interval == 0

    def _truth(self, sample: Mapping[str, Any]) -> GroundTruth | None:
        """The segments to compare a frame with; None if it has no label."""
        if self.format_only:
            return None
        table = self.annotation_table
        if table is not None:
            image_id = sample['img_id']
            return table.truth_of_image(image_id) if image_id in table else None
        if 'seg_map_path' in sample and sample['seg_map_path'] is None:
            return None
        return ground_truth_of_sample(sample, self.is_thing)

    def _frame_table(
        self, sample: Mapping[str, Any], truth: GroundTruth, pred_map: pq.IntArray
    ) -> vpq.FrameTable:
        gt_map = self.read_ground_truth_map(truth, pred_map.shape)
        overlaps = pq.overlap_table(gt_map, pred_map)
        pred_labels = predicted_labels(overlaps.pred_ids, sample, len(self.classes))
        gt_ids = np.array(truth.ids, dtype=np.int64)
        gt_labels = np.array(truth.labels, dtype=np.int64)
        gt_tubes = vpq.stuff_tubes(gt_ids, gt_labels, np.array(self.is_thing))
        return vpq.FrameTable.from_overlaps(
            overlaps,
            segment_positions(overlaps.gt_ids, truth.ids, truth.png_path),
            (gt_tubes, gt_labels, np.array(truth.is_crowd, dtype=bool)),
            (predicted_tubes(overlaps.pred_ids, pred_labels), pred_labels),
        )

    def _write(self, sample: Mapping[str, Any], pred_map: pq.IntArray) -> dict[str, Any]:
        assert self.writer is not None
        pred_ids = np.unique(pred_map)
        labels = predicted_labels(pred_ids, sample, len(self.classes))
        tubes = predicted_tubes(pred_ids, labels)
        category_ids = self.category_ids
        categories = [category_ids[i] if i >= 0 else None for i in labels.tolist()]
        return self.writer.write_frame(sample['img_id'], pred_map, pred_ids, tubes, categories)


def _order(frame: FrameResult) -> tuple[bool, int, str, int]:
    """Sorts frames by video and time; video 9 comes before video 10."""
    video = frame.video_id
    is_number = isinstance(video, int)
    return not is_number, int(video) if is_number else 0, str(video), frame.frame_id
