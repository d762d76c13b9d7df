"""What a detector found in one picture, as arrays, a table, a drawing, and records of other tools.

Shapes: n objects; H, W picture; all places in px of the picture.
"""

import io
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt
from mmdet.structures import DetDataSample
from PIL import Image

from mmext.functional.panoptic_labels import INSTANCE_OFFSET
from mmext.functional.surface_pasting import SurfaceImage
from mmext.inference.coco_results import instance_records
from mmext.inference.prediction import draw_prediction, panoptic_map, surface_image
from mmext.inference.result_records import (
    fiftyone_detections,
    label_studio_prediction,
    optional_import,
)

if TYPE_CHECKING:
    import fiftyone
    import supervision

_LISTED = 30


class Result:
    """The objects and segments of one picture.

    ``len(result)`` is the number of objects, ``print(result)`` their table, best first; Jupyter
    shows the drawing. What the model does not predict is None.

    Args:
        image: the picture, BGR ``[H, W, 3]`` uint8.
        sample: as mmdet's detectors return it, in px of the picture.
        meta: of the model: ``classes`` and, as far as known, ``thing_classes``, ``palette``,
            ``skeleton``, ``attributes``, ``mesh_triangles``.
        name: of the file or frame.
    """

    def __init__(
        self,
        image: npt.NDArray[np.uint8],
        sample: DetDataSample,
        meta: Mapping[str, Any],
        name: str = '',
    ) -> None:
        self.image, self.sample, self.meta, self.name = image, sample, meta, name

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the labels."""
        return tuple(self.meta['classes'])

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height of the picture, px."""
        return self.image.shape[1], self.image.shape[0]

    @property
    def boxes_xyxy(self) -> npt.NDArray[np.float32]:
        """``[n, 4]``: left, top, right, bottom."""
        boxes = self._field('bboxes')
        return np.zeros((0, 4), np.float32) if boxes is None else np.asarray(boxes, np.float32)

    @property
    def scores(self) -> npt.NDArray[np.float32]:
        """``[n]`` in 0..1."""
        scores = self._field('scores')
        return np.zeros(0, np.float32) if scores is None else np.asarray(scores, np.float32)

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """``[n]``: indices into :attr:`classes`."""
        labels = self._field('labels')
        return np.zeros(0, np.int64) if labels is None else np.asarray(labels, np.int64)

    @property
    def names(self) -> list[str]:
        """The class of each object by name, n of them."""
        return [self.classes[label] for label in self.labels]

    @property
    def masks(self) -> npt.NDArray[np.bool_] | None:
        """``[n, H, W]``."""
        return self._field('masks')

    @property
    def keypoints(self) -> npt.NDArray[np.float32] | None:
        """``[n, K, 2]`` x, y: joints, or landmarks of faces."""
        points = self._field('keypoints')
        return None if points is None else points[..., :2]

    @property
    def keypoint_scores(self) -> npt.NDArray[np.float32] | None:
        """``[n, K]`` in 0..1."""
        return self._field('keypoint_scores')

    @property
    def surfaces(self) -> list[npt.NDArray[np.uint8]] | None:
        """Part, U and V of each object's pixels, n arrays ``[3, h, w]``; U and V times 255."""
        surfaces = self._field('surface')
        return None if surfaces is None else list(surfaces)

    @property
    def surface_boxes(self) -> npt.NDArray[np.int64] | None:
        """Where they are: x, y, w, h in whole px, ``[n, 4]``."""
        return self._field('surface_boxes')

    @cached_property
    def surface_map(self) -> SurfaceImage | None:
        """The surfaces of all objects in one map of the picture."""
        if self.surfaces is None:
            return None
        height, width = self.image.shape[:2]
        return surface_image(self._instances, (height, width))

    @property
    def mesh(self) -> npt.NDArray[np.float32] | None:
        """``[n, V, 3]``: the vertices of a face, x and y in px, z in the same unit."""
        return self._field('mesh')

    @property
    def attributes(self) -> list[dict[str, str | None]] | None:
        """The value of each attribute by name, n dicts; None where it is not known."""
        values = self._field('attributes')
        table = self.meta.get('attributes')
        if values is None or table is None:
            return None
        return [
            {a['name']: None if v < 0 else str(a['values'][v]) for v, a in zip(row, table)}  # noqa: B905
            for row in values.tolist()
        ]

    @property
    def captions(self) -> list[str] | None:
        """A sentence about each object, n of them, of a detector that speaks."""
        said = self._field('captions')
        return None if said is None else list(said)

    @property
    def caption(self) -> str | None:
        """A sentence about the whole picture."""
        return getattr(self.sample, 'pred_caption', None)

    @property
    def track_ids(self) -> npt.NDArray[np.int64] | None:
        """``[n]``: numbers that an object keeps in a video."""
        return self._field('instances_ids')

    @cached_property
    def panoptic_map(self) -> npt.NDArray[np.int64] | None:
        """``[H, W]``: label + 1000 times the instance's number; void is one behind the labels."""
        return panoptic_map(self.sample) if 'pred_panoptic_seg' in self.sample else None

    @cached_property
    def segments(self) -> list[dict[str, Any]]:
        """The segments of the panoptic map, largest first.

        Dicts with ``id`` (of the map), ``label``, ``name``, ``is_thing`` and ``area_px``.
        """
        if self.panoptic_map is None:
            return []
        things = set(self.meta.get('thing_classes', self.classes))
        ids, areas_px = np.unique(self.panoptic_map, return_counts=True)
        segments = []
        for index in np.argsort(-areas_px, kind='stable'):
            label = int(ids[index] % INSTANCE_OFFSET)
            if label < len(self.classes):
                name = self.classes[label]
                segments.append(
                    dict(
                        id=int(ids[index]),
                        label=label,
                        name=name,
                        is_thing=name in things,
                        area_px=int(areas_px[index]),
                    )
                )
        return segments

    def above(self, min_score: float) -> 'Result':
        """The same without the objects below a score; a panoptic map stays as it is."""
        sample = self.sample.new()
        if 'pred_instances' in sample:
            instances = sample.pred_instances
            sample.pred_instances = instances[instances.scores >= min_score]
        return Result(self.image, sample, self.meta, self.name)

    def plot(self, min_score: float = 0.3, texture: Any = None) -> Image.Image:
        """The prediction drawn on the picture: the panoptic map, or the objects.

        Args:
            min_score: objects below are not drawn.
            texture: an RGB atlas in which persons are dressed, see
                :func:`mmext.drawing.surfaces.transfer_texture`.
        """
        rgb = np.asarray(cv2.cvtColor(self.image, cv2.COLOR_BGR2RGB), np.uint8)
        return Image.fromarray(
            draw_prediction(rgb, self.sample, dict(self.meta), min_score, texture)
        )

    def save(self, path: str | Path, min_score: float = 0.3) -> None:
        """Write the drawing to a file; its suffix says the format."""
        self.plot(min_score).save(path)

    def to_coco(
        self, image_id: int | str = 1, category_ids: Sequence[int] | None = None
    ) -> list[dict[str, Any]]:
        """The objects in COCO's results format, see :func:`.coco_results.instance_records`.

        Args:
            image_id: of the picture.
            category_ids: in the order of the labels; None: 1, 2, 3, ...
        """
        if 'pred_instances' not in self.sample:
            return []
        ids = category_ids or range(1, len(self.classes) + 1)
        return instance_records(self.sample, image_id, list(ids))

    def to_supervision(self) -> 'supervision.Detections':
        """The objects as ``supervision.Detections``.

        Raises:
            MissingPackageError: supervision is not installed.
        """
        supervision = optional_import('supervision', 'to_supervision')

        return supervision.Detections(
            xyxy=self.boxes_xyxy,
            mask=self.masks,
            confidence=self.scores,
            class_id=self.labels,
            tracker_id=self.track_ids,
            data={'class_name': np.array(self.names, dtype=str)},
        )

    def to_fiftyone(self) -> 'fiftyone.Detections':
        """The objects as ``fiftyone.Detections``.

        Raises:
            MissingPackageError: fiftyone is not installed.
        """
        return fiftyone_detections(self)

    def to_label_studio(self, **names: str) -> dict[str, Any]:
        """The objects as a prediction of Label Studio, see :func:`.label_studio_prediction`."""
        return label_studio_prediction(self, **names)

    def __len__(self) -> int:
        return len(self.scores)

    def __repr__(self) -> str:
        width, height = self.size_wh
        parts = [f'{width} x {height} px', f'{len(self)} object{"" if len(self) == 1 else "s"}']
        if self.panoptic_map is not None:
            parts.append(f'{len(self.segments)} segments')
        return f'Result({", ".join([*([self.name] if self.name else []), *parts])})'

    def __str__(self) -> str:
        rows = [
            (name, f'{score:.3f}', *(f'{edge:.0f}' for edge in box))
            for name, score, box in zip(self.names, self.scores, self.boxes_xyxy, strict=True)
        ]
        order = np.argsort(-self.scores, kind='stable')
        table = [('class', 'score', 'left', 'top', 'right', 'bottom')]
        table += [rows[index] for index in order[:_LISTED]]
        lines = [repr(self), *(_aligned(table) if rows else [])]
        if len(rows) > _LISTED:
            lines.append(f'and {len(rows) - _LISTED} more')
        if self.segments:
            segments = [('segment', 'kind', 'share')]
            height, width = self.image.shape[:2]
            segments += [
                (s['name'], 'thing' if s['is_thing'] else 'stuff',
                 f'{s["area_px"] / (height * width):.1%}')
                for s in self.segments[:_LISTED]
            ]  # fmt: skip
            lines += _aligned(segments)
        return '\n'.join(lines)

    def _repr_png_(self) -> bytes:
        """What Jupyter shows."""
        file = io.BytesIO()
        self.plot().save(file, 'png')
        return file.getvalue()

    def _field(self, name: str) -> Any:
        """An array of the objects, None if they have no such one."""
        instances = self._instances
        return instances[name] if instances is not None and name in instances else None

    @cached_property
    def _instances(self) -> Any:
        sample = self.sample
        return sample.pred_instances.cpu().numpy() if 'pred_instances' in sample else None


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        '  '.join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
