"""Images shared out over k folds: each is held out once, groups stay together, classes spread.

Frames of one video, photos of one place or patient are nearly the same picture: one half of them in
the training and the other in the validation measures memory. Groups are taken largest first; each
goes to the fold in which its objects are missed most (as scikit-learn's StratifiedGroupKFold
does, with squares in place of deviations).
"""

import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from mmext.errors import InputError

FOLDER = 'folder'


def group_of(name: str, by: str | None) -> str:
    """The group of a file.

    Args:
        name: of the file, below the folder of the photos.
        by: None: each file is a group; 'folder': its folder; else a pattern, whose first bracket,
            or all that it matches, is the group. A file that it does not match is a group.

    Raises:
        InputError: it is no pattern.

    >>> group_of('street_07_0012.jpg', '(.*)_')
    'street_07'
    >>> group_of('monday/1.jpg', 'folder')
    'monday'
    """
    if by is None:
        return name
    if by == FOLDER:
        return str(PurePosixPath(name).parent)
    try:
        match = re.search(by, name)
    except re.error as error:
        raise InputError(f'group: {by!r} is no pattern: {error}') from None
    if match is None:
        return name
    return str(match[1] if match.re.groups and match[1] is not None else match[0])


def groups_of(names: Sequence[str], by: str | None) -> list[str]:
    """The group of each of some files, see :func:`group_of`.

    Raises:
        InputError: it is a pattern that none of them matches: nothing would be kept together.

    >>> groups_of(['a_1.jpg', 'a_2.jpg', 'b.jpg'], '(.*)_')
    ['a', 'a', 'b.jpg']
    """
    groups = [group_of(name, by) for name in names]
    is_pattern = by is not None and by != FOLDER
    if is_pattern and names and not any(re.search(str(by), name) for name in names):
        raise InputError(f'group: {by!r} matches no file name, as {names[0]!r}')
    return groups


def folds_of(
    groups: Sequence[str], contents: Sequence[Mapping[Any, int]], count: int, seed: int = 0
) -> list[int]:
    """The fold of each image, from 0 to ``count - 1``.

    Args:
        groups: of each image.
        contents: of each image, how many objects it has of each class.
        count: of folds.
        seed: decides among groups of equal size.

    Raises:
        InputError: there are fewer groups than folds, or one fold.
    """
    if count < 2:
        raise InputError(f'folds: expected at least 2, got {count}')
    members: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    if len(members) < count:
        raise InputError(
            f'folds: {count} of {len(members)} groups cannot be made: fewer folds, or other groups'
        )
    amounts = {group: _amount(indices, contents) for group, indices in members.items()}
    totals: Counter[Any] = sum(amounts.values(), Counter())
    order = list(members)
    random.Random(seed).shuffle(order)
    order.sort(key=lambda group: -len(members[group]))
    held = [Counter[Any]() for _ in range(count)]
    fold_of_group: dict[str, int] = {}
    for group in order:
        costs = [
            sum(
                ((held[fold][key] + number) ** 2 - held[fold][key] ** 2) / totals[key] ** 2
                for key, number in amounts[group].items()
                if number
            )
            for fold in range(count)
        ]
        fold = costs.index(min(costs))
        held[fold] += amounts[group]
        fold_of_group[group] = fold
    return [fold_of_group[group] for group in groups]


def _amount(indices: Sequence[int], contents: Sequence[Mapping[Any, int]]) -> Counter[Any]:
    """Images and objects of each class; the key of the images is None."""
    amount: Counter[Any] = Counter({None: len(indices)})
    for index in indices:
        amount.update(contents[index])
    return amount
