"""Predictions in COCO's file formats: panoptic PNG and JSON, instances JSON."""

import json
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData
from pycocotools import mask as rle

from mmext.formats.json_files import read_json
from mmext.functional.panoptic_labels import INSTANCE_OFFSET
from mmext.inference.media import Frame
from mmext.inference.output_places import writing
from mmext.inference.prediction import panoptic_map
from mmext.inference.surface_results import write_surfaces
from mmext.metrics.panoptic.write_results import PanopticResultsWriter
from mmext.pipelines.data_checks import data_paths


class ResultsWriter:
    """Writes ``predictions.panoptic/*.png``, ``predictions.panoptic.json``,
    ``predictions.instances.json`` and ``predictions.surfaces/*``, each if the model predicts it.

    Args:
        folder: where to.
        categories: COCO's table, in the order of the labels: see :func:`category_table`.
    """

    def __init__(self, folder: Path, categories: Sequence[dict[str, Any]]) -> None:
        self.categories = list(categories)
        self._prefix = str(folder / 'predictions')
        self._panoptic: PanopticResultsWriter | None = None
        self._segments: list[dict[str, Any]] = []
        self._images: list[dict[str, Any]] = []
        self._instances: list[dict[str, Any]] | None = None
        self._surface_names: set[str] = set()

    def write(self, frame: Frame, sample: DetDataSample) -> None:
        """Take in the prediction of one frame; its PNG is written at once."""
        instances = None
        if 'pred_instances' in sample:
            category_ids = [category['id'] for category in self.categories]
            instances = instance_records(sample, frame.image_id, category_ids)
            if 'surface' in sample.pred_instances:
                target = Path(f'{self._prefix}.surfaces', self._surface_name(frame.name))
                write_surfaces(target, frame, sample.pred_instances)
        if 'pred_panoptic_seg' in sample:
            self._write_panoptic(frame, sample)
        if instances is not None:
            self._instances = self._instances or []
            self._instances += instances
        # last: an image is listed when all of it is there
        height, width = frame.image.shape[:2]
        self._images.append(
            dict(id=frame.image_id, file_name=frame.name, height=height, width=width)
        )

    @property
    def count(self) -> int:
        """Number of frames so far."""
        return len(self._images)

    def close(self) -> None:
        """Write the JSON files.

        Raises:
            InputError: they cannot be written.
        """
        if self._panoptic is not None:
            with writing(Path(self._panoptic.json_path)):
                self._panoptic.write_json(self._segments, self.categories)
        if self._instances is not None:
            annotations = [dict(item, id=i + 1) for i, item in enumerate(self._instances)]
            content = dict(images=self._images, annotations=annotations, categories=self.categories)
            path = Path(f'{self._prefix}.instances.json')
            with writing(path):
                path.write_text(json.dumps(content), 'utf-8')

    def _write_panoptic(self, frame: Frame, sample: DetDataSample) -> None:
        if self._panoptic is None:
            with writing(Path(self._prefix)):
                self._panoptic = PanopticResultsWriter(self._prefix)
        ids = panoptic_map(sample)
        values, areas_px = np.unique(ids, return_counts=True)
        labels = (values % INSTANCE_OFFSET).tolist()
        category_ids = [self._category_id(label) for label in labels]
        with writing(Path(self._panoptic.png_folder)):
            segments = self._panoptic.write_image(
                frame.image_id, ids, values.tolist(), category_ids, areas_px.tolist()
            )
        self._segments.append(segments)

    def _surface_name(self, name: str) -> str:
        """A picture's name without its suffix; with it, if another picture has that already."""
        found = str(PurePath(name).with_suffix(''))
        found = name if found in self._surface_names else found
        self._surface_names.add(found)
        return found

    def _category_id(self, label: int) -> int | None:
        """None for void, whose label follows those of the classes."""
        return self.categories[label]['id'] if label < len(self.categories) else None


def instance_records(
    sample: DetDataSample, image_id: int | str, category_ids: Sequence[int]
) -> list[dict[str, Any]]:
    """The instances of one picture in COCO's results format.

    Args:
        sample: with ``pred_instances``.
        image_id: of the picture.
        category_ids: in the order of the labels.

    Returns:
        One dict each: ``image_id``, ``category_id``, ``bbox`` as x, y, width, height in px,
        ``score``, and as far as predicted ``segmentation`` (run-length code), ``keypoints``,
        ``attributes``, ``caption``.
    """
    instances = sample.pred_instances.cpu().numpy()
    masks = instances.masks if 'masks' in instances else None
    records = []
    for index, (left, top, right, bottom) in enumerate(instances.bboxes.tolist()):
        record: dict[str, Any] = dict(
            image_id=image_id,
            category_id=category_ids[int(instances.labels[index])],
            bbox=[left, top, right - left, bottom - top],
            score=float(instances.scores[index]),
        )
        if 'keypoints' in instances:
            record['keypoints'] = _flat_keypoints(instances, index)
        if 'attributes' in instances:
            record['attributes'] = instances.attributes[index].tolist()
        if 'captions' in instances:
            record['caption'] = instances.captions[index]
        if masks is not None:
            code = rle.encode(np.asfortranarray(masks[index], dtype=np.uint8))
            record['segmentation'] = dict(code, counts=code['counts'].decode())
        records.append(record)
    return records


def _flat_keypoints(instances: InstanceData, index: int) -> list[float]:
    """x, y and score of each point in a row, as in COCO; without own scores the object's."""
    points = instances.keypoints[index][:, :2]
    scores = np.full(len(points), instances.scores[index])
    if 'keypoint_scores' in instances:
        scores = instances.keypoint_scores[index]
    flat: list[float] = np.column_stack([points, scores]).astype(float).ravel().tolist()
    return flat


def category_table(
    config: Config, classes: Sequence[str], thing_classes: frozenset[str]
) -> list[dict[str, Any]]:
    """COCO categories in the order of the labels.

    The ids are those of the data set's annotation file when it is at hand and has all the
    classes, otherwise 1, 2, 3, ...
    """
    ids = _file_ids(config, classes) or {name: i + 1 for i, name in enumerate(classes)}
    return [dict(id=ids[name], name=name, isthing=int(name in thing_classes)) for name in classes]


def _file_ids(config: Config, classes: Sequence[str]) -> dict[str, int] | None:
    if config.get('test_dataloader') is None:
        return None
    for key, path in data_paths(config, 'test'):
        if key.endswith('.ann_file') and path.endswith('.json') and Path(path).is_file():
            content = read_json(path)
            listed = content.get('categories') if isinstance(content, dict) else None
            table = {item['name']: item['id'] for item in listed or ()}
            if table.keys() >= set(classes):
                return table
    return None
