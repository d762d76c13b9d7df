"""Ids of images and categories, and the numbers and labels that stand for them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mmext.errors import InputError

IntArray = npt.NDArray[np.int64]
IdArray = npt.NDArray[Any]
"""int64, or objects where ids are names or larger than 2^63"""


class Numbers:
    """The numbers 1, 2, ... that stand for ids."""

    def __init__(self, what: str, ids: Iterable[int | str]) -> None:
        self.what = what
        self.table = {identity: number for number, identity in enumerate(ids, start=1)}
        whole = id_array(self.table)
        self._sorted = np.sort(whole) if whole.dtype == np.int64 else None
        self._order = np.argsort(whole) + 1 if whole.dtype == np.int64 else None

    def of(self, ids: Sequence[int | str] | IdArray) -> IntArray:
        """The numbers of ids ``[n]``; refused if one is unknown."""
        array = id_array(ids)
        if self._sorted is not None and self._order is not None and array.dtype == np.int64:
            places = np.searchsorted(self._sorted, array).clip(max=len(self._sorted) - 1)
            strangers = array[self._sorted[places] != array].tolist()
            numbers = self._order[places]
        else:
            strangers = [i for i in array.tolist() if i not in self.table]
            numbers = np.array([self.table.get(i, 0) for i in array.tolist()], np.int64)
        if strangers:
            raise InputError(
                f'detections: {len(set(strangers))} {self.what} are not annotated, '
                f'as {strangers[0]!r}'
            )
        return numbers


def id_array(ids: Iterable[int | str]) -> IdArray:
    """Ids as int64, or as objects where one is a name or does not fit."""
    if isinstance(ids, np.ndarray):
        return ids
    ids = list(ids)
    if all(isinstance(i, int | np.integer) and abs(i) < 2**63 for i in ids):
        return np.array(ids, np.int64)
    array = np.empty(len(ids), object)
    array[:] = ids
    return array


def ids_of_labels(
    categories: Iterable[Mapping[str, Any]],
    classes: Sequence[str],
    source: str,
    by_name: bool = False,
) -> list[int | str]:
    """Category id of each label.

    Args:
        categories: with ``id`` and ``name``, of the annotation file.
        classes: names of the labels; the file may have more.
        source: the file, for messages.
        by_name: the data set finds its labels by the names, in whatever order the file has them.

    Raises:
        InputError: a class that the file does not have, or has in another order.
    """
    table = {category['name']: category['id'] for category in categories}
    missing = [name for name in classes if name not in table]
    if missing:
        raise InputError(
            f'{source}: no categories {missing[:8]}, which are classes of the data set; '
            f'it has {sorted(table)[:8]}'
        )
    if len(set(classes)) < len(classes):
        raise InputError(
            f'{source}: the classes of the data set repeat a name: {list(classes)[:8]}'
        )
    in_file = [name for name in table if name in set(classes)]
    if in_file != list(classes) and not by_name:
        first = next(i for i, name in enumerate(classes) if name != in_file[i])
        raise InputError(
            f'{source}: its categories come in another order than the classes of the '
            f"data set (class {first} is {classes[first]!r}, the file's {in_file[first]!r}). "
            "mmdet's CocoDataset numbers labels in the order of the file: state the classes so"
        )
    return [table[name] for name in classes]


def categories_of(labels: IntArray, category_ids: Sequence[int | str]) -> IdArray:
    """Category ids of predicted labels ``[n]``.

    Raises:
        InputError: a label that no category belongs to.
    """
    wrong = labels[(labels < 0) | (labels >= len(category_ids))]
    if wrong.size:
        raise InputError(
            f'predicted labels {np.unique(wrong)[:8].tolist()}: expected 0 to '
            f'{len(category_ids) - 1}'
        )
    return id_array(category_ids)[labels]
