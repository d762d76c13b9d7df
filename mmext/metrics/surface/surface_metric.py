"""DensePose's evaluation for mmengine, on any surface."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from mmengine import fileio
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from numpy.typing import NDArray

from mmext.errors import InputError, MissingFileError
from mmext.formats.coco_records import CocoRecords, coco_records
from mmext.formats.coco_values import canonical_id
from mmext.formats.json_files import parse_json
from mmext.formats.surface_files import read_surface
from mmext.metrics.sample_fields import to_numpy
from mmext.metrics.surface.ground_truth import TruePerson, compare, true_person
from mmext.metrics.surface.matching import THRESHOLDS, ImageSimilarities, summarise
from mmext.metrics.surface.vertices import VertexLookup
from mmext.registry import METRICS

MEASURES = ('GPS', 'GPSm', 'segm')


@METRICS.register_module()
class SurfaceMetric(BaseMetric):
    """AP and AR by geodesic point similarity (GPS), with masks (GPSm), and by masks alone (segm).

    In percent, after the prefix ``surface/``: ``GPS_AP``, ``GPS_AP50``, ``GPS_AP75``, ``GPS_APm``,
    ``GPS_APl``, ``GPS_AR`` …, and likewise ``GPSm_`` and ``segm_``; nan where there is nothing to
    find. Persons without points are ignored. Of each image the best 20 detections are compared;
    only images that were predicted are evaluated.

    Takes of each image ``pred_instances`` in px of the original image: ``bboxes`` ``[n, 4]``,
    ``scores``, and ``surface``, of each box part, U and V ``[3, h, w]`` uint8; with
    ``surface_boxes`` that are not the boxes cut off to whole px, these are its frames. Where there
    are ``surface_scores`` ``[n]``, too, detections rank by the product of both.

    Args:
        ann_file: COCO annotations with the keys of DensePose.
        surface: folder of the surface that (I, U, V) mean, see :mod:`mmext.formats.surface_files`.
            SMPL's, which DensePose-COCO means, is not free and not part of this package.
        min_threshold: the lowest of the thresholds, in steps of 0.05 up to 0.95.
        collect_device, prefix, collect_dir: of mmengine.

    Raises:
        MissingFileError: no annotations or no surface.
        InputError: they are no such files; a prediction has no surface.
    """

    default_prefix = 'surface'

    def __init__(
        self,
        ann_file: str,
        surface: str | Path,
        *,
        min_threshold: float = 0.5,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        if not 0 < min_threshold <= 0.95:
            raise InputError(f'min_threshold: expected above 0 and up to .95, got {min_threshold}')
        steps = round((0.95 - min_threshold) / 0.05) + 1
        self.thresholds = (
            THRESHOLDS
            if min_threshold == 0.5
            else np.linspace(min_threshold, 0.95, steps, dtype=np.float64)
        )
        self.ann_file, self.surface = ann_file, surface

    @cached_property
    def lookup(self) -> VertexLookup:
        """The surface, read once."""
        return VertexLookup(read_surface(self.surface))

    @cached_property
    def records(self) -> CocoRecords:
        """The ground truth, read once."""
        if not fileio.exists(self.ann_file):
            raise MissingFileError(
                f'no annotations at {Path(self.ann_file).absolute()}: check ann_file of the '
                'evaluator; DensePose-COCO is for non-commercial use and must be fetched by the '
                'user'
            )
        return coco_records(parse_json(fileio.get(self.ann_file), self.ann_file), self.ann_file)

    @cached_property
    def annotations(self) -> dict[Any, list[dict[str, Any]]]:
        """Of each image of the file."""
        found: dict[Any, list[dict[str, Any]]] = {image: [] for image in self.records.images}
        for annotation in self.records.annotations:
            if annotation['id'] not in self.records.unusable:
                found[annotation['image_id']].append(annotation)
        return found

    def check_truth(self) -> None:
        """Look at the files before a run.

        Raises:
            MissingFileError: one is missing.
            InputError: the surface or the annotations are none, or nobody has points.
        """
        mesh = self.lookup.mesh
        if not any(annotation.get('dp_x') for annotation in self.records.annotations):
            raise InputError(
                f'{self.ann_file}: nobody has points of the surface (dp_x …), nothing to evaluate '
                f'on the {len(mesh.part)} vertices of {self.surface}'
            )

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Compares the predictions of a batch; what is kept of an image is small.

        Args:
            data_batch: not used.
            data_samples: dicts with ``img_id`` and ``pred_instances``.
        """
        for sample in data_samples:
            self.results.append(self._compared(sample))

    def compute_metrics(self, results: Sequence[ImageSimilarities]) -> dict[str, float]:
        """All values over the images of all ranks."""
        by_id = {image.image_id: image for image in results}  # a sampler may have repeated some
        images = [by_id[i] for i in sorted(by_id, key=lambda i: (isinstance(i, str), i))]
        values: dict[str, float] = {}
        for measure in MEASURES:
            found = summarise(images, measure, self.thresholds)
            values |= {f'{measure}_{name}': value for name, value in found.items()}
        listing = ', '.join(f'{name} {value:.2f}' for name, value in values.items())
        MMLogger.get_current_instance().info(f'surface, {len(images)} images: {listing}')
        return values

    def _compared(self, sample: Mapping[str, Any]) -> ImageSimilarities:
        image_id = canonical_id(sample['img_id'], 'img_id')
        found = sample['pred_instances']
        if 'surface' not in found:
            raise InputError(f'image {image_id}: no surface in pred_instances')
        image = self.records.images.get(image_id)
        if image is None:
            raise InputError(f'{self.ann_file}: no image with the id {image_id} was annotated')
        size = int(image['height']), int(image['width'])
        boxes = to_numpy(found['bboxes']).astype(np.float64).reshape(-1, 4)
        boxes[:, 2:] -= boxes[:, :2]
        scores = to_numpy(found['scores']).astype(np.float64)
        if 'surface_scores' in found:
            scores = scores * to_numpy(found['surface_scores'])
        return compare(
            image_id,
            self._persons(image_id, size),
            [to_numpy(surface) for surface in found['surface']],
            boxes,
            scores,
            size,
            self.lookup,
            _frames(found, boxes),
        )

    def _persons(self, image_id: int | str, size: tuple[int, int]) -> list[TruePerson]:
        return [
            true_person(a, size, self.lookup, f'{self.ann_file}, annotation {a["id"]}')
            for a in self.annotations[image_id]
        ]


def _frames(found: Mapping[str, Any], boxes_xywh: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the surfaces lie, x, y, w, h ``[n, 4]``: in the boxes, or in frames of their own."""
    if 'surface_boxes' not in found:
        return boxes_xywh
    own = to_numpy(found['surface_boxes']).astype(np.float64).reshape(-1, 4)
    low, high = np.hsplit(to_numpy(found['bboxes']).reshape(-1, 4), 2)
    whole = np.trunc(np.hstack([low, np.maximum(high - low, 1)]))
    return np.where((own == whole).all(axis=1, keepdims=True), boxes_xywh, own)
