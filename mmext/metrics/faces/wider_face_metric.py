"""The evaluator of WIDER FACE for mmengine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from mmext.errors import InputError
from mmext.formats.wider_face_files import ATTRIBUTES
from mmext.formats.wider_face_ground_truth import SETTINGS, ImageTruth, read_ground_truth
from mmext.metrics.faces.wider_face_ap import (
    ImageMatches,
    MatchTable,
    average_precision,
    match_image,
    mean_average_precision,
    precision_recall,
    tabulate,
)
from mmext.metrics.sample_fields import to_numpy
from mmext.registry import METRICS

_KNOWN_GROUPS = tuple(attribute['name'] for attribute in ATTRIBUTES)


@dataclass(frozen=True)
class ImageResult:
    """What is kept of one image."""

    name: str
    matches: ImageMatches
    truth: ImageTruth


@METRICS.register_module()
class WiderFaceMetric(BaseMetric):
    """AP of WIDER FACE: easy, medium, hard, over IoU .5:.95, by height and by attribute.

    With ``ground_truth`` the official settings: ``AP_easy``, ``AP_medium``, ``AP_hard``. Without,
    the faces of the data samples (``gt_instances`` count, ``ignored_instances`` do not) and one
    setting, ``AP_all``. ``mAP_*`` is the mean over IoU .5:.95. Groups are of the last setting
    (hard, all): ``AP_height_16_50`` counts the faces with 16 <= height < 50 px and ignores the
    others, ``AP_blur_heavy`` those with that attribute. All values are in percent, not rounded; a
    group without faces is left out.

    Args:
        ground_truth: folder of the four ``.mat`` files. Images are found by the last two parts of
            ``img_path``; those of the files that were not predicted are left out, with a warning.
        groups: ``'height'`` and attributes of WIDER; those that the ground truth does not
            know are left out.
        height_bands_px: borders of the groups by height; the WIDER paper's are 10, 50, 300.
        count_empty: false alarms on images without faces count. The protocol leaves them out.
        round_boxes: corners are cut to whole pixels, as in some published result files.
        outfile_prefix: write the result files of WIDER, ``{outfile_prefix}/event/name.txt``.
        format_only: write the files and evaluate nothing.
        collect_device, prefix, collect_dir: of mmengine.
    """

    default_prefix = 'wider_face'

    def __init__(
        self,
        ground_truth: str | None = None,
        *,
        groups: Sequence[str] = ('height', 'blur', 'occlusion'),
        height_bands_px: Sequence[float] = (16, 50, 300),
        count_empty: bool = False,
        round_boxes: bool = False,
        outfile_prefix: str | None = None,
        format_only: bool = False,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        unknown = set(groups) - {'height', *_KNOWN_GROUPS}
        if unknown:
            raise InputError(
                f'groups: expected some of {("height", *_KNOWN_GROUPS)}, got {sorted(unknown)}'
            )
        if list(height_bands_px) != sorted(set(height_bands_px)):
            raise InputError(f'height_bands_px: expected rising numbers, got {height_bands_px}')
        if format_only and not outfile_prefix:
            raise InputError('format_only=True: set outfile_prefix, the folder to write to')
        self.groups, self.height_bands_px = tuple(groups), tuple(height_bands_px)
        self.count_empty, self.round_boxes = count_empty, round_boxes
        self.outfile_prefix, self.format_only = outfile_prefix, format_only
        self.pr_curves: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.truths = None
        if ground_truth is not None and not format_only:
            self.truths = {truth.name: truth for truth in read_ground_truth(ground_truth)}

    @property
    def settings(self) -> tuple[str, ...]:
        """Names of the sets of counted faces."""
        return ('all',) if self.truths is None else SETTINGS

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Reduces the images of a batch to their matches.

        Args:
            data_batch: not used.
            data_samples: dicts with ``img_path`` (or ``img_id``), ``pred_instances`` (``bboxes``
                ``[D, 4]`` x1, y1, x2, y2 in pixels of the file, ``scores``) and, without
                ``ground_truth``, ``gt_instances`` and ``ignored_instances``.

        Raises:
            InputError: an image that the ground truth does not have; boxes that are not finite.
        """
        for sample in data_samples:
            name = _image_name(sample)
            boxes, scores = self._detections(sample)
            if self.outfile_prefix:
                write_result(Path(self.outfile_prefix), name, boxes, scores)
            if self.format_only:
                continue
            truth = self._truth(sample, name)
            try:
                matches = match_image(boxes, scores, truth.boxes_xywh)
            except ValueError as error:
                raise InputError(f'{name}: {error}') from None
            self.results.append(ImageResult(name, matches, truth))

    def compute_metrics(self, results: Sequence[ImageResult]) -> dict[str, float]:
        """All values over the images of all ranks."""
        logger = MMLogger.get_current_instance()
        if self.format_only:
            logger.info(f'results written to {self.outfile_prefix}')
            return {}
        images = list({result.name: result for result in results}.values())
        if self.truths is not None and len(images) < len(self.truths):
            logger.warning(
                f'AP of {len(images)} of the {len(self.truths)} images of the ground truth'
            )
        table = tabulate([image.matches for image in images], self.count_empty)
        truths = [image.truth for image in images]
        values = {}
        self.pr_curves = {}
        for setting in self.settings:
            counted = _joined([truth.counted[setting] for truth in truths], bool)
            if counted.any():
                precision, recall = precision_recall(table, counted)
                self.pr_curves[setting] = recall, np.nan_to_num(precision, nan=1.0)
            values[f'AP_{setting}'] = 100 * average_precision(table, counted)
            values[f'mAP_{setting}'] = 100 * mean_average_precision(table, counted)
        for name, members in self._group_members(truths).items():
            members &= counted  # of the last setting
            if members.any():
                values[f'AP_{name}'] = 100 * average_precision(table, members)
        logger.info(f'{_summary(table, truths)}\n{_listing(values)}')
        return values

    def _detections(self, sample: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        """Boxes x, y, w, h ``[D, 4]`` in float64 and scores ``[D]``."""
        found = sample['pred_instances']
        boxes: np.ndarray = to_numpy(found['bboxes']).astype(np.float64).reshape(-1, 4)
        if self.round_boxes:
            boxes = np.trunc(boxes)  # the corners, as int() does
        boxes[:, 2:] -= boxes[:, :2]
        return boxes, to_numpy(found['scores']).astype(np.float64)

    def _truth(self, sample: Mapping[str, Any], name: str) -> ImageTruth:
        if self.truths is None:
            meta = (self.dataset_meta or {}).get('attributes', ())
            return sample_truth(sample, name, [attribute['name'] for attribute in meta])
        if name not in self.truths:
            raise InputError(f'{name}: no such image in the ground truth')
        return self.truths[name]

    def _group_members(self, truths: Sequence[ImageTruth]) -> dict[str, np.ndarray]:
        """Which faces of all images belong to which group."""
        members = {}
        if 'height' in self.groups:
            heights = _joined([truth.boxes_xywh[:, 3] for truth in truths], float)
            edges = (0, *self.height_bands_px, np.inf)
            for low, high in pairwise(edges):
                inside = (heights >= low) & (heights < high)
                members[f'height_{low:g}_{high:g}'] = inside
        values = _joined([truth.attributes.reshape(-1, len(ATTRIBUTES)) for truth in truths], int)
        values = values.reshape(-1, len(ATTRIBUTES))
        for column, attribute in enumerate(ATTRIBUTES):
            if attribute['name'] in self.groups:
                for number, value in enumerate(attribute['values']):
                    members[f'{attribute["name"]}_{value}'] = values[:, column] == number
        return members


def sample_truth(
    sample: Mapping[str, Any], name: str, attribute_names: Sequence[str]
) -> ImageTruth:
    """The faces of a data sample; those of ``ignored_instances`` do not count."""
    if 'gt_instances' not in sample:
        raise InputError(
            f'{name}: no gt_instances in the data sample: load annotations in the test pipeline '
            'or set ground_truth'
        )
    counting = sample['gt_instances']
    ignored = sample.get('ignored_instances', {})
    boxes = [_box_array(counting), _box_array(ignored)]
    counted = np.arange(sum(map(len, boxes))) < len(boxes[0])
    attributes = np.full((len(counted), len(ATTRIBUTES)), -1)
    if 'attributes' in counting:
        given = to_numpy(counting['attributes'])
        for column, attribute in enumerate(ATTRIBUTES):
            if attribute['name'] in attribute_names:
                source = given[:, list(attribute_names).index(attribute['name'])]
                attributes[: len(source), column] = source
    joined = np.concatenate(boxes)
    joined[:, 2:] -= joined[:, :2]
    return ImageTruth(name, joined, {'all': counted}, attributes)


def write_result(folder: Path, name: str, boxes_xywh: np.ndarray, scores: np.ndarray) -> None:
    """Write one result file of WIDER's evaluation: name, number, then x y w h score.

    Args:
        folder: of the result files.
        name: of the image, ``event/file``.
        boxes_xywh: ``[n, 4]`` px.
        scores: ``[n]``.
    """
    event, _, file_name = name.rpartition('/')
    path = folder / event / f'{file_name}.txt'
    path.parent.mkdir(parents=True, exist_ok=True)
    order = np.argsort(-scores, kind='stable')
    lines = [
        ' '.join(f'{value:.3f}' for value in boxes_xywh[i]) + f' {scores[i]:.8f}' for i in order
    ]
    path.write_text('\n'.join([file_name, str(len(lines)), *lines]) + '\n', encoding='utf-8')


def _image_name(sample: Mapping[str, Any]) -> str:
    """``event/file`` without its ending (only the ending: names may end in p, j, g or a dot)."""
    path = Path(str(sample.get('img_path') or sample['img_id']))
    return '/'.join([*path.parts[-2:-1], path.stem])


def _box_array(instances: Mapping[str, Any]) -> np.ndarray:
    if 'bboxes' not in instances:
        return np.zeros((0, 4))
    return to_numpy(instances['bboxes']).astype(np.float64).reshape(-1, 4)


def _joined(arrays: Sequence[np.ndarray], kind: type) -> np.ndarray:
    shape = arrays[0].shape[1:] if arrays else ()
    return np.concatenate([np.zeros((0, *shape), kind), *arrays])


def _summary(table: MatchTable, truths: Sequence[ImageTruth]) -> str:
    return f'faces: {len(truths)} images, {table.num_faces} faces, {len(table.bins)} detections'


def _listing(values: Mapping[str, float]) -> str:
    return '\n'.join(f'  {name:24s}{value:8.2f}' for name, value in values.items())
