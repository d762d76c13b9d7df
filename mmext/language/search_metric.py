"""The evaluator of search by words, for mmengine."""

import io
import json
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from mmdet.evaluation.metrics import RefExpMetric
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from mmext.errors import InputError
from mmext.functional.boxes import pairwise_iou
from mmext.language.search import phrase_scores
from mmext.language.search_values import (
    Tags,
    check_groups,
    exchange_values,
    search_values,
    single_phrases,
    tag_values,
)
from mmext.language.table import TextTable, plain_name
from mmext.metrics.sample_fields import to_numpy
from mmext.registry import METRICS

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class _Image:
    """Truth ``[n]`` and detections ``[m]`` of an image."""

    image: Any
    boxes: Floats
    tags: list[Tags]
    found_boxes: Floats
    scores: Floats
    embeddings: Floats


@METRICS.register_module()
class RegionSearchMetric(BaseMetric):
    """Finds the detections of a data set by words, against ``region_tags`` of the samples.

    Of each true region the detection that overlaps it most counts. In percent: ``found`` (regions
    with a detection), ``P@1`` and ``mAP`` of searches for each set of tags among them, the nearest
    word of each group, ``arithmetic`` and ``likeness`` (a color exchanged, or nothing), and
    ``phrase_box``: class and color of an object that no other object of its image has; the best
    detection, weighed by its score, by mmdet's ``RefExpMetric``.

    The words are those of the detector; :class:`.VocabularyHook` brings them.

    Args:
        groups: words that exclude each other: ``kept`` and ``exchanged`` among them.
        kept: the group that stays in the arithmetic.
        exchanged: the group of which a word is exchanged.
        min_iou: of a detection with a region.
        min_score: of detections for phrases.
        collect_device, prefix, collect_dir: of mmengine.

    Raises:
        InputError: a group is missing, a sample has no embeddings or tags, or there are no words.
    """

    default_prefix = 'search'

    def __init__(
        self,
        groups: Mapping[str, Sequence[str]],
        kept: str = 'name',
        exchanged: str = 'color',
        min_iou: float = 0.5,
        min_score: float = 0.3,
        *,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        check_groups(groups, (kept, exchanged))
        self.groups = {name: [plain_name(word) for word in own] for name, own in groups.items()}
        self.kept, self.exchanged = self.groups[kept], self.groups[exchanged]
        self.min_iou, self.min_score = min_iou, min_score
        self.words: TextTable | None = None

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keep truth and detections of each image."""
        for sample in data_samples:
            predicted = sample['pred_instances']
            if 'embeddings' not in predicted or 'region_tags' not in sample:
                raise InputError(
                    'mmext.RegionSearchMetric needs pred_instances.embeddings (of '
                    'mmext.EmbeddingRoIHead) and region_tags: mmext.RegionCaptions in the test '
                    'pipeline, and the key among the meta_keys of PackDetInputs'
                )
            boxes = np.array([box for box, _ in sample['region_tags']], float).reshape(-1, 4)
            tags = [tuple(map(plain_name, own)) for _, own in sample['region_tags']]
            fields = (to_numpy(predicted[key]) for key in ('bboxes', 'scores', 'embeddings'))
            self.results.append(_Image(sample['img_id'], boxes, tags, *fields))

    def compute_metrics(self, results: Sequence[_Image]) -> dict[str, float]:
        """All values over the images of all ranks."""
        if self.words is None:
            raise InputError(
                'mmext.RegionSearchMetric has no words: default_hooks = '
                "dict(vocabulary=dict(type='mmext.VocabularyHook'))"
            )
        images = list({image.image: image for image in results}.values())
        regions = [pair for image in images for pair in self._regions(image)]
        found = [(vector, tags) for vector, tags in regions if vector is not None]
        values = {'found': 100 * len(found) / len(regions) if regions else float('nan')}
        if found:
            vectors = np.stack([vector for vector, _ in found]).astype(np.float32)
            tags = [own for _, own in found]
            values |= search_values(vectors, tags, self.words)
            values |= tag_values(vectors, tags, self.words, self.groups)
            values |= exchange_values(vectors, tags, self.words, self.kept, self.exchanged)
        return {**values, 'phrase_box': self._phrases(images)}

    def _regions(self, image: _Image) -> list[tuple[Floats | None, Tags]]:
        """The embedding of the detection that is each true region, with the tags; None: missed."""
        regions: list[tuple[Floats | None, Tags]] = []
        overlaps = pairwise_iou(
            torch.from_numpy(image.boxes), torch.from_numpy(image.found_boxes.astype(float))
        ).numpy()
        known = {plain_name(name) for name in self.words.names} if self.words else set()
        for row, tags in enumerate(image.tags):
            best = int(overlaps[row].argmax()) if overlaps.shape[1] else -1
            hit = best >= 0 and overlaps[row, best] >= self.min_iou
            own = tuple(word for word in tags if word in known)
            regions.append((image.embeddings[best] if hit else None, own))
        return regions

    def _phrases(self, images: Sequence[_Image]) -> float:
        """How often, in percent, the best detection of a phrase is what it means."""
        pictures: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        samples: list[dict[str, Any]] = []
        for image in images:
            kept = image.scores >= self.min_score
            boxes, vectors = image.found_boxes[kept], image.embeddings[kept]
            for row, phrase in single_phrases(image.tags, (self.exchanged, self.kept)):
                number = len(pictures)
                left, top, right, bottom = image.boxes[row].tolist()
                pictures.append(dict(id=number, dataset_name='refcoco'))
                box = [left, top, right - left, bottom - top]
                annotations.append(dict(id=number, image_id=number, category_id=1, bbox=box))
                fit = phrase_scores(vectors, self.words, phrase)  # type: ignore[arg-type]
                weighed = torch.from_numpy(fit + np.log(image.scores[kept]))
                order = weighed.argsort(descending=True, stable=True)
                said = dict(bboxes=torch.from_numpy(boxes)[order], scores=weighed[order])
                if not len(boxes):  # the host expects one
                    said = dict(bboxes=torch.zeros(1, 4), scores=torch.zeros(1))
                samples.append(dict(img_id=number, pred_instances=said))
        if not samples:
            return float('nan')
        truth = dict(images=pictures, annotations=annotations, categories=[dict(id=1)])
        with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
            path = Path(folder, 'phrases.json')
            path.write_text(json.dumps(truth), 'utf-8')
            metric = RefExpMetric(str(path), topk=(1,), iou_thrs=self.min_iou)
            metric.process({}, samples)
            with _less_news():
                found = metric.compute_metrics(metric.results)
            return 100 * float(found['refcoco_precision@1'])


@contextmanager
def _less_news() -> Iterator[None]:
    """The host's metric logs values of data sets that nobody has asked for."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
