"""A table of text vectors: names with a vector each, from files, checked.

Files: ``.npz`` with ``names`` and ``embeddings``, perhaps ``source`` and ``scale_bias``; ``.json``
``{name: [numbers]}``; ``.npy`` ``[C, D]`` without names, in the order of the classes. Names are
compared in lower case with ``_`` and ``-`` as blanks.

Shape legend: W words, C classes, D numbers.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mmext.errors import InputError, MissingFileError
from mmext.formats.json_files import read_json
from mmext.formats.numpy_files import read_npz, read_numpy

Floats = npt.NDArray[np.float32]


def plain_name(name: str) -> str:
    """A name as it is compared.

    >>> plain_name('Traffic_Light')
    'traffic light'
    """
    return ' '.join(name.lower().replace('_', ' ').replace('-', ' ').split())


@dataclass(frozen=True)
class TextTable:
    """Words and their vectors.

    Attributes:
        names: W, all different.
        vectors: ``[W, D]``, of length 1.
        source: where they come from, for people.
        scale_bias: a word is true of an object with the log odds ``scale * cosine + bias``, where
            that was learned (:func:`.word_loss`); None: only cosines are known.
    """

    names: tuple[str, ...]
    vectors: Floats
    source: str = ''
    scale_bias: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        _check(self.names, self.vectors, self.source or 'table')
        lengths = _lengths(self.vectors)[:, None]
        # what has length 1 stays as it is, to the last bit: the digest of a copy is the same
        unit = np.where(np.abs(lengths - 1) < 1e-5, self.vectors, self.vectors / lengths)
        object.__setattr__(self, 'vectors', np.asarray(unit, np.float32))

    @property
    def digest(self) -> str:
        """SHA-256 of names and vectors: which vocabulary a prediction was made with."""
        content = '\n'.join(self.names).encode() + np.ascontiguousarray(self.vectors).tobytes()
        return hashlib.sha256(content).hexdigest()

    def rows(self, names: Iterable[str]) -> npt.NDArray[np.int64]:
        """The rows of some words.

        Raises:
            InputError: not all are there; the message lists those that are missing.
        """
        row_of = {plain_name(name): row for row, name in enumerate(self.names)}
        wanted = list(names)
        missing = [name for name in wanted if plain_name(name) not in row_of]
        if missing:
            raise InputError(
                f'{self.source or "table"}: no vector for {", ".join(missing)}; it has '
                f'{", ".join(self.names[:20])}{" ..." if len(self.names) > 20 else ""}'
            )
        return np.array([row_of[plain_name(name)] for name in wanted], np.int64)

    def of(self, names: Sequence[str]) -> 'TextTable':
        """The table of some words, in their order."""
        return replace(self, names=tuple(names), vectors=self.vectors[self.rows(names)])

    def phrase(self, text: str) -> Floats:
        """The vector ``[D]`` of a phrase: the sum of those of the words in it, at length 1."""
        total = self.vectors[self.phrase_rows(text)].sum(0)
        return np.asarray(total / max(float(np.linalg.norm(total)), 1e-12), np.float32)

    def phrase_rows(self, text: str) -> list[int]:
        """The rows of the words in a phrase.

        The longest names are taken first; words that are not in the table are an error.
        """
        words, found = plain_name(text).split(), []
        row_of = {tuple(plain_name(name).split()): row for row, name in enumerate(self.names)}
        place = 0
        while place < len(words):
            for end in range(len(words), place, -1):
                if (row := row_of.get(tuple(words[place:end]))) is not None:
                    found.append(row)
                    place = end
                    break
            else:
                if words[place] not in _EMPTY_WORDS:
                    self.rows([words[place]])  # says what there is
                place += 1
        if not found:
            raise InputError(f'{text!r} has no word of {self.source or "the table"}')
        return found

    def merged(self, groups: dict[str, Sequence[str]]) -> 'TextTable':
        """A table of new words, each the mean of some of these."""
        means = [self.vectors[self.rows(names)].mean(0) for names in groups.values()]
        vectors, source = np.stack(means), f'{self.source}, merged'
        return replace(self, names=tuple(groups), vectors=vectors, source=source)

    def save(self, path: str | Path) -> None:
        """Write an ``.npz``."""
        with Path(path).open('wb') as file:
            judged: Any = (
                {} if self.scale_bias is None else {'scale_bias': np.array(self.scale_bias)}
            )
            names = np.array(self.names)
            np.savez(file, names=names, embeddings=self.vectors, source=self.source, **judged)


_EMPTY_WORDS = frozenset(('a', 'an', 'the', 'on', 'in', 'of', 'and', 'with', 'at'))


def read_table(path: str | Path, classes: Sequence[str] | None = None) -> TextTable:
    """A table from a file.

    Args:
        path: ``.npz``, ``.json`` or ``.npy``.
        classes: names for a file without names (``.npy``), in its order; of other files the words
            that are wanted, in the order wanted. None: all of the file.

    Raises:
        InputError: there is no such file, or a name is missing or twice, or a vector is zero, not
            finite or of another length. One line.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f'no table of text vectors at {path.absolute()}')
    reader = _READERS.get(path.suffix)
    if reader is None:
        raise InputError(f'{path}: expected .npz, .json or .npy')
    names, vectors, *more = reader(path, classes)
    source, judged = more[0] or str(path), more[1] if len(more) > 1 else None
    table = TextTable(tuple(names), _as_vectors(vectors, path), source, judged)
    return table if classes is None else table.of(classes)


def _read_npz(path: Path, classes: Sequence[str] | None) -> tuple[Any, ...]:
    content = read_npz(path)
    if 'names' not in content or 'embeddings' not in content:
        raise InputError(f'{path}: expected arrays `names` and `embeddings`, has {list(content)}')
    source = str(content['source']) if 'source' in content else ''
    names = content['names']
    if names.ndim != 1 or names.dtype.kind not in 'US':
        raise InputError(
            f'{path}: names are {list(names.shape)} of {names.dtype}, expected a list of texts'
        )
    if names.dtype.kind == 'S':
        names = np.char.decode(names, 'utf-8', 'replace')
    judged = _scale_bias(content['scale_bias'], path) if 'scale_bias' in content else None
    return names.tolist(), content['embeddings'], source, judged


def _scale_bias(values: Any, path: Path) -> tuple[float, float]:
    pair = np.ravel(values)
    if pair.dtype.kind not in 'iuf' or len(pair) != 2 or not np.isfinite(pair).all():
        raise InputError(f'{path}: scale_bias {pair.tolist()}; expected a scale and a bias')
    if pair[0] <= 0:
        raise InputError(f'{path}: scale_bias {pair.tolist()}; expected a scale above 0')
    return float(pair[0]), float(pair[1])


def _read_npy(path: Path, classes: Sequence[str] | None) -> tuple[Any, ...]:
    vectors = np.atleast_1d(read_numpy(path))  # type: ignore[arg-type]
    if classes is None:
        raise InputError(f'{path} has no names: name its rows, in their order, by `classes`')
    if len(vectors) != len(classes):
        raise InputError(
            f'{path} has {len(vectors)} rows for {len(classes)} classes; a file without names must '
            'have those of the classes, in their order (else: .npz with names)'
        )
    return classes, vectors, ''


def _read_json(path: Path, classes: Sequence[str] | None) -> tuple[Any, ...]:
    content = read_json(path)
    if not isinstance(content, dict) or not content:
        raise InputError(f'{path}: expected {{"name": [numbers], ...}}')
    lengths = {name: len(row) if isinstance(row, list) else 0 for name, row in content.items()}
    first = next(iter(lengths.values()))
    odd = [name for name, length in lengths.items() if length != first or not length]
    if odd:
        raise InputError(
            f'{path}: the vector of {odd[0]!r} has {lengths[odd[0]]} numbers, the first one {first}'
        )
    return list(content), list(content.values()), ''


_READERS = {'.npz': _read_npz, '.npy': _read_npy, '.json': _read_json}


def _as_vectors(vectors: Any, path: Path) -> Floats:
    try:
        return np.asarray(vectors, np.float32)
    except (TypeError, ValueError):
        raise InputError(f'{path}: the vectors are no numbers of equal count') from None


def _lengths(vectors: Floats) -> npt.NDArray[np.float64]:
    """``[W]``; in float32 the squares of large or small numbers would be infinity or zero."""
    return np.asarray(np.linalg.norm(vectors.astype(np.float64), axis=1))


def _check(names: Sequence[str], vectors: Floats, source: str) -> None:
    if vectors.ndim != 2 or not vectors.size or len(vectors) != len(names):
        raise InputError(
            f'{source}: {len(names)} names and vectors {list(vectors.shape)}; expected [names, D]'
        )
    plain = [plain_name(name) for name in names]
    if '' in plain:
        raise InputError(f'{source}: the name of vector {plain.index("")} is empty')
    twice = sorted({name for name in plain if plain.count(name) > 1})
    if twice:
        raise InputError(f'{source}: {twice[0]!r} is there twice')
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(1))[0])
        raise InputError(f'{source}: the vector of {names[row]!r} is not finite')
    lengths = _lengths(vectors)
    if not lengths.all():
        raise InputError(f'{source}: the vector of {names[int(lengths.argmin())]!r} is zero')
