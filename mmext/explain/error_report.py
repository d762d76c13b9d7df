"""The errors in an index: counted, grouped, each beside its nearest training truths; label noise.

Shape legend: N objects, D numbers, k neighbors.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mmext.errors import MissingPackageError
from mmext.explain.errors import KINDS
from mmext.explain.object_index import ObjectIndex, Record

_NOISY_SHARE = 0.8
_QUERIES = 256  # at once
_LARGE_GROUP, _OF_A_CLUSTER = 12, 6
BACKGROUND = 'nothing'


class Neighbors(NamedTuple):
    """An object and the training truths that are most like it.

    Attributes:
        record: of the object.
        rows: ``[k]`` of the other index, nearest first.
        cosines: ``[k]``.
        row: of the object in its own index.
    """

    record: Record
    rows: list[int]
    cosines: list[float]
    row: int


class Group(NamedTuple):
    """Errors of one kind with the same classes that look alike.

    Attributes:
        kind: of :data:`.errors.KINDS`.
        truth: what they are.
        predicted: what was said.
        rows: of the index, the surest first.
    """

    kind: str
    truth: str
    predicted: str
    rows: list[int]

    @property
    def title(self) -> str:
        """For people: ``23 x class: tree taken for crate``."""
        if self.kind == 'missed':
            said = f'{self.truth} not found'
        elif self.kind == 'background':
            said = f'{BACKGROUND} taken for {self.predicted}'
        elif self.truth == self.predicted:
            said = f'of {self.truth}'
        else:
            said = f'{self.truth} taken for {self.predicted}'
        return f'{len(self.rows)} x {self.kind}: {said}'


def wrong_rows(index: ObjectIndex) -> list[int]:
    """The rows of all errors: wrong detections and missed truths, the surest first."""
    rows = [
        i
        for i, record in enumerate(index.records)
        if record['error'] in KINDS
        and (record['of'] == 'predicted') != (record['error'] == 'missed')
    ]
    return sorted(rows, key=lambda i: -(index.records[i]['score'] or 0.0))


def counts(index: ObjectIndex) -> Counter[str]:
    """How many errors there are of each kind."""
    return Counter(str(index.records[i]['error']) for i in wrong_rows(index))


def groups(index: ObjectIndex, seed: int) -> list[Group]:
    """The errors in groups of one kind and the same classes; large ones in clusters by k-means."""
    found: dict[tuple[str, str, str], list[int]] = {}
    for row in wrong_rows(index):
        record = index.records[row]
        key = (
            record['error'], record['truth'] or BACKGROUND, record['predicted'] or BACKGROUND,
        )  # fmt: skip
        found.setdefault(key, []).append(row)
    made = [
        Group(*key, part) for key, rows in found.items() for part in _clusters(index, rows, seed)
    ]
    return sorted(made, key=lambda group: (-len(group.rows), group.title))


def _clusters(index: ObjectIndex, rows: list[int], seed: int) -> list[list[int]]:
    if len(rows) < _LARGE_GROUP:
        return [rows]
    try:
        from sklearn.cluster import KMeans
    except ImportError as error:
        raise MissingPackageError(
            "errors needs the package scikit-learn: pip install 'mmext[explain]'"
        ) from error
    count = min(6, len(rows) // _OF_A_CLUSTER)
    vectors = np.asarray(index.vectors[rows], np.float32)
    labels = KMeans(count, n_init=4, random_state=seed).fit_predict(vectors)
    parts = [
        [row for row, label in zip(rows, labels, strict=True) if label == c] for c in range(count)
    ]
    return [part for part in parts if part]


def beside(index: ObjectIndex, rows: Sequence[int], train: ObjectIndex, k: int) -> list[Neighbors]:
    """Objects of an index, each with the nearest truths of another one (or of itself)."""
    truths = np.array([record['of'] == 'truth' for record in train.records], bool)
    found: list[Neighbors] = []
    for start in range(0, len(rows), _QUERIES):
        part = list(rows[start : start + _QUERIES])
        queries = np.asarray(index.vectors[part], np.float32)
        own = [_same(index, row, train) for row in part]
        nearest, cosines = train.nearest(queries, k, own, truths)
        for row, places, values in zip(part, nearest.tolist(), cosines.tolist(), strict=True):
            real = [i for i, place in enumerate(places) if place >= 0]
            found.append(
                Neighbors(
                    index.records[row], [places[i] for i in real], [values[i] for i in real], row
                )
            )
    return found


def _same(index: ObjectIndex, row: int, train: ObjectIndex) -> list[int]:
    """The rows of the other index that are this object itself."""
    if index.folder == train.folder:
        return [row]
    record = index.records[row]
    return train.places_of(record['image'], np.array([record['box']]))[0]


def label_noise(train: ObjectIndex, k: int) -> list[Neighbors]:
    """Truths whose nearest truths are of another class: labels to look at, the oddest first."""
    rows = [i for i, record in enumerate(train.records) if record['of'] == 'truth']
    odd = []
    for each in beside(train, rows, train, k):
        others = [train.records[row]['truth'] != each.record['truth'] for row in each.rows]
        share = float(np.mean(others)) if others else 0.0
        if share > _NOISY_SHARE:
            odd.append((share * float(np.mean(each.cosines)), each))
    return [each for _, each in sorted(odd, key=lambda pair: -pair[0])]
