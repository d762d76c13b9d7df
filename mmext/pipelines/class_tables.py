"""Classes go by name: the labels of a data set, whatever the order of its annotation file."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from mmext.errors import InputError
from mmext.pipelines.data_summary import some_names

AUTO = 'auto'


def given_metainfo(metainfo: Mapping[str, Any] | None) -> tuple[dict[str, Any], bool]:
    """What mmengine may read of a ``metainfo``, and whether ``classes='auto'`` was in it."""
    given = dict(metainfo or {})
    automatic = given.get('classes') == AUTO
    if automatic:
        del given['classes']
    return given, automatic


def labels_by_name(
    categories: Mapping[Any, Mapping[str, Any]], classes: Sequence[str], source: str
) -> dict[Any, int]:
    """Label of every category that is a class.

    The file may have more categories, and the classes more names, but not both: one of the two is
    then misspelled, or meant for another data set.

    Args:
        categories: of the annotation file, by id.
        classes: names in the order of the labels.
        source: the annotation file, for the error.

    Raises:
        InputError: a class is listed twice, or missing in a file that has other ones.
    """
    repeated = sorted({name for name in classes if list(classes).count(name) > 1})
    if repeated:
        raise InputError(f'{source}: classes of metainfo list {some_names(repeated)} twice')
    in_file = [category['name'] for category in categories.values()]
    missing = [name for name in classes if name not in set(in_file)]
    others = [name for name in in_file if name not in set(classes)]
    if missing and others:
        raise InputError(
            f'{source} has no {_plural("category", missing)} {some_names(missing)}, but '
            f'{some_names(others)}{_meant(missing, others)}. Set metainfo=dict(classes='
            f'{tuple(in_file)}) in the config of the data set, a part of it, or '
            "metainfo=dict(classes='auto')"
        )
    label_of = {name: label for label, name in enumerate(classes)}
    return {i: label_of[c['name']] for i, c in categories.items() if c['name'] in label_of}


def classes_of_file(categories: Mapping[Any, Mapping[str, Any]]) -> tuple[str, ...]:
    """``classes='auto'``: all categories of a file, by ascending id."""
    ordered = sorted(categories.values(), key=lambda c: (isinstance(c['id'], str), c['id']))
    return tuple(category['name'] for category in ordered)


def reordered(metainfo: Mapping[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    """The class lists and the palette of a ``metainfo`` for another table of classes.

    Args:
        metainfo: with ``classes`` and perhaps ``thing_classes``, ``stuff_classes``, ``palette``.
        classes: at least those of ``metainfo``.
    """
    changed: dict[str, Any] = {'classes': tuple(classes)}
    for kind in ('thing_classes', 'stuff_classes'):
        if kind in metainfo:
            members = set(metainfo[kind])
            changed[kind] = tuple(name for name in classes if name in members)
    palette = metainfo.get('palette')
    if isinstance(palette, list | tuple) and len(palette) == len(metainfo['classes']):
        color_of = dict(zip(metainfo['classes'], palette, strict=True))
        known = all(name in color_of for name in classes)
        changed['palette'] = [color_of[name] for name in classes] if known else 'random'
    return changed


def difference(classes: Iterable[str], learned: Iterable[str]) -> tuple[list[str], list[str], bool]:
    """How a table of classes differs from the one that was learned.

    Returns:
        Names that only ``classes`` has, names that only ``learned`` has, and whether those
        that both have come in the same order and the tables are equal.
    """
    classes, learned = list(classes), list(learned)
    strangers = [name for name in classes if name not in set(learned)]
    missing = [name for name in learned if name not in set(classes)]
    return strangers, missing, classes == learned


def _plural(word: str, items: Sequence[str]) -> str:
    return word if len(items) == 1 else f'{word[:-1]}ies'


def _meant(missing: Sequence[str], others: Sequence[str]) -> str:
    """A guess at a misspelling."""
    folded = {name.strip().casefold(): name for name in others}
    for name in missing:
        close = get_close_matches(name.strip().casefold(), folded, n=1, cutoff=0.8)
        if close:
            return f' ({name!r} may be {folded[close[0]]!r})'
    return ''
