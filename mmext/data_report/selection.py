"""Which photos to show: those that say most about a data set."""

from collections.abc import Mapping, Sequence

import numpy as np

from mmext.data_report.object_table import ObjectTable

_RARE_CLASSES = 4
_MIN_CLASSES = 3  # of fewer none is rare


def informative(
    table: ObjectTable, classes: Sequence[str], suspicious: Mapping[int, str], count: int
) -> list[tuple[int, str]]:
    """Some images, each with the reason for it.

    Turns are taken: suspicious images, the most crowded, those with the smallest objects, the
    rarest classes; what is left of ``count`` is spread over the set.

    Args:
        table: of the data set.
        classes: names in the order of the labels.
        suspicious: image -> what is suspicious about it.
        count: of images; all where there are fewer.
    """
    turns = [
        list(suspicious.items()),
        _crowded(table),
        _small(table),
        _rare(table, classes),
    ]
    chosen: dict[int, str] = {}
    while any(turns) and len(chosen) < count:
        for turn in turns:
            while turn and turn[0][0] in chosen:
                turn.pop(0)
            if turn and len(chosen) < count:
                index, reason = turn.pop(0)
                chosen[index] = reason
    for index in evenly(table.num_images, count):
        if len(chosen) < count:
            chosen.setdefault(index, 'one of many')
    return list(chosen.items())


def evenly(size: int, count: int) -> list[int]:
    """``count`` different places of ``size``, spread evenly; all where there are fewer."""
    return np.unique(np.linspace(0, size - 1, min(size, count)).astype(int)).tolist()


def _crowded(table: ObjectTable, count: int = 3) -> list[tuple[int, str]]:
    counts = np.bincount(table.image_index, minlength=table.num_images)
    order = np.argsort(-counts, kind='stable')[:count]
    return [(int(i), f'crowded: {counts[i]} objects') for i in order if counts[i] > 1]


def _small(table: ObjectTable, count: int = 3) -> list[tuple[int, str]]:
    counted = np.flatnonzero(~table.ignored)
    sizes = table.sizes_px[counted]
    found: dict[int, str] = {}
    for place in np.argsort(sizes, kind='stable')[: 20 * count]:
        image = int(table.image_index[counted[place]])
        found.setdefault(image, f'smallest: an object of {sizes[place]:.3g} px')
    return list(found.items())[:count]


def _rare(table: ObjectTable, classes: Sequence[str]) -> list[tuple[int, str]]:
    """An image of each of the rarest classes, the rarest first."""
    if len(classes) < _MIN_CLASSES:
        return []
    labels = np.concatenate([table.labels, table.stuff_labels])
    images = np.concatenate([table.image_index, table.stuff_image_index])
    found, first, counts = np.unique(labels, return_index=True, return_counts=True)
    order = np.argsort(counts, kind='stable')[:_RARE_CLASSES]
    return [
        (int(images[first[i]]), f'rare: {classes[found[i]]} ({counts[i]} in all)')
        for i in order
        if 0 <= found[i] < len(classes)
    ]
