"""An index of objects on disk: vectors, records, and what made them.

A folder: ``vectors.f16`` (``[N, D]`` float16, appended), ``objects.jsonl`` (a line each),
``meta.json`` (N, D, where the vectors come from, classes), ``words.npz`` (``names`` and
``embeddings`` ``[W, D]``) of a detector whose classes are words. N is what ``meta.json`` says, and
it is written last: what a killed run has left behind N is overwritten by the next one.

Shape legend: N objects, D numbers, n boxes.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mmext.errors import InputError, MissingFileError
from mmext.explain.embedding import embed, embedding_source, embeds_words
from mmext.explain.errors import RIGHT, judge_detections
from mmext.explain.explainer import Explainer
from mmext.explain.nearest import VectorFile, best_rows, nearest_rows
from mmext.explain.scene import Scene
from mmext.explain.truth import TruePicture, Truth

VERSION = 1
WORDS = 'words.npz'
CONTENTS = ('truth', 'predicted', 'both')
Record = dict[str, Any]


class ObjectIndex:
    """An index that is there.

    Args:
        folder: of the index.

    Attributes:
        classes: of the detector.

    Raises:
        InputError: there is none, or it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        meta = folder / 'meta.json'
        if not meta.is_file():
            raise MissingFileError(
                f'{folder.absolute()} is no index; mmext explain index --out makes one'
            )
        self.folder = folder
        try:
            self.meta: Mapping[str, Any] = json.loads(meta.read_text('utf-8'))
            self.count, self.width = int(self.meta['count']), int(self.meta['width'])
            self.classes = list(self.meta['classes'])
            with (folder / 'objects.jsonl').open(encoding='utf-8') as file:
                self.records: list[Record] = [
                    json.loads(line) for line, _ in zip(file, range(self.count), strict=False)
                ]
            size = (folder / 'vectors.f16').stat().st_size
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise InputError(
                f'{folder}: the index is damaged ({error}); remove it and make it again'
            ) from None
        if len(self.records) < self.count or size < 2 * self.count * self.width:
            raise InputError(f'{folder}: the index is cut off; make it again')

    @property
    def things(self) -> list[str]:
        """The classes of the detector that are objects, not sky or road."""
        return list(self.meta.get('things', self.classes))

    @property
    def vectors(self) -> VectorFile:
        """``[N, D]`` of length 1, read where they are asked for."""
        return VectorFile(self.folder / 'vectors.f16', self.count, self.width)

    def nearest(
        self,
        queries: npt.NDArray[np.floating[Any]],
        k: int,
        left_out: Sequence[Sequence[int]] = (),
        wanted: npt.NDArray[np.bool_] | None = None,
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.floating[Any]]]:
        """Rows and cosines of the nearest objects of ``[Q, D]``, see :func:`.nearest_rows`.

        Raises:
            InputError: the queries are of another detector.
        """
        if queries.shape[1] != self.width:
            raise InputError(
                f'{self.folder}: its vectors have {self.width} numbers, those of this detector '
                f'{queries.shape[1]}; it was made by another one'
            )
        return nearest_rows(self.vectors, queries, k, left_out, wanted)

    def fitting(
        self,
        score: Callable[[npt.NDArray[Any]], npt.NDArray[Any]],
        k: int,
        wanted: npt.NDArray[np.bool_] | None = None,
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.floating[Any]]]:
        """Rows ``[k]`` and scores ``[k]`` of the objects that ``score`` ``[b, D] -> [b]`` likes."""
        rows, scores = best_rows(self.vectors, lambda block: score(block)[None], 1, k, (), wanted)
        return rows[0], scores[0]

    def places_of(self, image: str, boxes_xyxy: npt.NDArray[np.floating[Any]]) -> list[list[int]]:
        """The rows that are boxes ``[n, 4]`` of a picture themselves, for each box."""
        rows = [i for i, record in enumerate(self.records) if record['image'] == image]
        return [
            [i for i in rows if np.abs(np.array(self.records[i]['box']) - box).max() < 0.5]
            for box in boxes_xyxy
        ]


class IndexWriter:
    """Writes an index, or goes on with one that a killed run has left.

    Args:
        folder: is made.
        facts: what made the vectors; an index of other facts is begun anew.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        known = {**facts, 'version': VERSION}
        old = _whole_meta(folder)
        if any(old.get(key) != value for key, value in known.items()):
            old = {**known, 'count': 0, 'width': 0, 'pictures': 0}
        self.meta: dict[str, Any] = old
        self._save()  # before anything is taken away: it says that nothing is in it
        self._cut()

    @property
    def pictures(self) -> int:
        """How many pictures of the data set are in it already."""
        return int(self.meta['pictures'])

    def add(self, vectors: npt.NDArray[np.float32], records: Sequence[Record]) -> None:
        """Add the objects of the next picture: vectors ``[n, D]``, n records."""
        if len(records):
            with (self.folder / 'vectors.f16').open('ab') as file:
                file.write(np.ascontiguousarray(vectors, np.float16).tobytes())
            with (self.folder / 'objects.jsonl').open('a', encoding='utf-8') as lines:
                lines.writelines(json.dumps(record) + '\n' for record in records)
            self.meta['width'] = int(vectors.shape[1])
        self.meta['count'] += len(records)
        self.meta['pictures'] += 1
        self._save()

    def _save(self) -> None:
        new = self.folder / 'meta.json.new'
        new.write_text(json.dumps(self.meta), 'utf-8')
        os.replace(new, self.folder / 'meta.json')

    def _cut(self) -> None:
        """Take away what is behind the last picture that is in it whole."""
        count, width = self.meta['count'], self.meta['width']
        vectors, objects = self.folder / 'vectors.f16', self.folder / 'objects.jsonl'
        with vectors.open('ab') as file:
            file.truncate(2 * count * width)
        lines = objects.read_text('utf-8').splitlines(keepends=True) if objects.exists() else []
        objects.write_text(''.join(lines[:count]), 'utf-8')


def _whole_meta(folder: Path) -> dict[str, Any]:
    """What made an index; nothing if there is none, or a damaged one."""
    if not (folder / 'meta.json').is_file():
        return {}
    try:
        return dict(ObjectIndex(folder).meta)
    except InputError:
        return {}


def index_pictures(
    explainer: Explainer,
    pictures: Iterable[TruePicture],
    writer: IndexWriter,
    contents: str = 'both',
    min_score: float = 0.3,
    advance: Callable[[int], None] = lambda count: None,
) -> None:
    """Put the objects of a data set into an index.

    Args:
        explainer: of the detector.
        pictures: of the data set, always in the same order.
        writer: of the index; pictures that are in it are left out.
        contents: 'truth', 'predicted' or 'both'.
        min_score: of detections.
        advance: told about every picture.
    """
    done = writer.pictures
    for number, picture in enumerate(pictures):
        advance(1)
        if number < done:
            continue
        scene = explainer.detect(picture.image, 100, min_score, picture.name)
        records = records_of(scene, picture.truth, contents)
        boxes = np.array([record['box'] for record in records], np.float64).reshape(-1, 4)
        with explainer.network.undisturbed():
            vectors = embed(explainer.network, scene.prepared, boxes)
        writer.add(vectors, [{'image': picture.name, **record} for record in records])


def write_words(explainer: Explainer, folder: Path) -> None:
    """Put the words of a detector that has some beside its vectors, for search by words."""
    if embeds_words(explainer.network):
        explainer.network.model.roi_head.text_table().save(folder / WORDS)


def index_facts(explainer: Explainer, **facts: Any) -> dict[str, Any]:
    """What makes the vectors of an index: two of equal facts can be one."""
    network = explainer.network
    return {
        'source': embedding_source(network),
        'detector': type(network.model).__name__,
        'classes': list(network.classes),
        'things': [name for name in network.classes if name in network.predictor.thing_classes],
        **facts,
    }


def records_of(scene: Scene, truth: Truth, contents: str) -> list[Record]:
    """What is said of the objects of a picture: truths, detections, and what is wrong with them."""
    found = scene.detections
    judged = judge_detections(found, truth)
    names = scene.network.classes
    records = []
    if contents in ('truth', 'both'):
        for t, box in enumerate(truth.boxes_xyxy):
            if truth.ignored[t]:
                continue
            d = int(judged.detection_index[t])
            records.append(
                dict(
                    box=[round(float(edge), 2) for edge in box], of='truth',
                    truth=names[int(truth.labels[t])],
                    predicted=found[d].name if d >= 0 else None,
                    score=found[d].score if d >= 0 else None,
                    iou=float(judged.iou[d]) if d >= 0 else 0.0,
                    error=RIGHT if d >= 0 else ('missed' if t in judged.missed else 'wrong'),
                )
            )  # fmt: skip
    if contents in ('predicted', 'both'):
        for d, detection in enumerate(found):
            t = int(judged.truth_index[d])
            records.append(
                dict(
                    box=[round(edge, 2) for edge in detection.box_xyxy], of='predicted',
                    truth=names[int(truth.labels[t])] if t >= 0 else None,
                    predicted=detection.name, score=detection.score,
                    iou=float(judged.iou[d]), error=judged.kinds[d],
                )
            )  # fmt: skip
    return records
