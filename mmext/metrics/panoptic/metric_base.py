"""What the panoptic metrics share: where ground truth comes from, and how ranks are merged."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from mmengine import dist, fileio
from mmengine.evaluator import BaseMetric

from mmext.errors import InputError, MissingFileError
from mmext.formats.json_files import parse_json
from mmext.formats.panoptic_files import decode_id_png
from mmext.formats.panoptic_records import panoptic_truth
from mmext.metrics.panoptic.ground_truth import AnnotationTable, GroundTruth


class PanopticMetricBase(BaseMetric):
    """Base of the metrics of panoptic maps.

    ``compute_metrics`` gets the results of all ranks, ``results[rank][image]``.

    Args:
        ann_file: panoptic JSON; its categories must be the classes of the data set.
        seg_prefix: folder of its PNGs.
        backend_args: file backend of mmengine for reading.
        collect_device: ``'cpu'`` or ``'gpu'``, how results travel between ranks.
        prefix: of the names of the returned values.
        collect_dir: shared folder for the collection, see mmengine's ``BaseMetric``.

    Raises:
        MissingFileError: no ``ann_file`` there.
    """

    def __init__(
        self,
        ann_file: str | None,
        seg_prefix: str | None,
        backend_args: dict | None,
        collect_device: str,
        prefix: str | None,
        collect_dir: str | None,
    ) -> None:
        super().__init__(collect_device, prefix, collect_dir)
        if ann_file and not fileio.exists(ann_file, backend_args=backend_args):
            raise MissingFileError(
                f'no panoptic annotation file at {os.path.abspath(ann_file)}: '
                'check ann_file of the evaluator'
            )
        self.ann_file, self.seg_prefix = ann_file, seg_prefix or ''
        self.backend_args = backend_args
        self._annotations: AnnotationTable | None = None
        self._dataset_size: int | None = None

    def evaluate(self, size: int) -> dict[str, float]:
        """Merges the ranks and averages.

        Args:
            size: number of images of the data set.

        Returns:
            The values by name, on every rank; ``{}`` if only files are written.
        """
        self._dataset_size = size
        # one part per rank: which images repeat is told by their names, not their positions
        self.results: list[Any] = [self.results]
        return super().evaluate(dist.get_world_size())

    @property
    def classes(self) -> Sequence[str]:
        """Class names in the order of the labels, ``[C]``."""
        return self.dataset_meta['classes']

    @property
    def is_thing(self) -> list[bool]:
        """By label, ``[C]``."""
        things = set(self.dataset_meta['thing_classes'])
        return [name in things for name in self.classes]

    @property
    def annotation_table(self) -> AnnotationTable | None:
        """The annotation file, read when the first image comes; None without ``ann_file``."""
        if self._annotations is None and self.ann_file:
            data = fileio.get(self.ann_file, backend_args=self.backend_args)
            content = panoptic_truth(parse_json(data, self.ann_file), self.ann_file)
            things = self.dataset_meta['thing_classes']
            self._annotations = AnnotationTable(
                content, self.seg_prefix, self.classes, things, self.ann_file
            )
        return self._annotations

    @property
    def sample_keys(self) -> tuple[str, ...]:
        """What the data samples must carry."""
        needs_none = self.ann_file or getattr(self, 'format_only', False)
        return () if needs_none else ('seg_map_path', 'segments_info')

    def check_truth(self) -> None:
        """Look at ``ann_file`` before a run: are its categories the classes?

        Raises:
            InputError: they are not.
        """
        if not getattr(self, 'format_only', False):
            _ = self.annotation_table

    @property
    def category_ids(self) -> list[int]:
        """Category id of each label in the results files, ``[C]``; the label if none is known."""
        table = self.annotation_table
        if table is not None:
            return table.category_ids
        return list(self.dataset_meta.get('category_ids', range(len(self.classes))))

    @property
    def categories(self) -> list[dict[str, Any]]:
        """The category table of the results files."""
        table = zip(self.category_ids, self.classes, self.is_thing, strict=True)
        return [{'id': i, 'name': name, 'isthing': int(thing)} for i, name, thing in table]

    def read_ground_truth_map(
        self, truth: GroundTruth, shape: tuple[int, ...]
    ) -> npt.NDArray[np.int32]:
        """The id map ``[H, W]`` of a ground truth.

        Args:
            truth: names the PNG.
            shape: of the prediction, (H, W).

        Raises:
            MissingFileError: no such PNG.
            InputError: not a PNG, or of another size than the prediction.
        """
        try:
            data = fileio.get(truth.png_path, backend_args=self.backend_args)
        except FileNotFoundError:
            where = os.path.abspath(truth.png_path)
            raise MissingFileError(
                f'no ground truth PNG at {where}: check seg_prefix of the evaluator '
                '(data_prefix.seg of the data set if it has none)'
            ) from None
        gt_map = decode_id_png(data, truth.png_path)
        if gt_map.shape != shape:
            raise InputError(
                f'{truth.png_path}: shape of the prediction {shape}, of the ground truth '
                f'{gt_map.shape}; they are compared at the original size of the image'
            )
        return gt_map


PanopticEvaluator = PanopticMetricBase  # its name until version 0.2
