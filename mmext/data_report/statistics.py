"""Counts of a data set: by class, by image, by form of the boxes. Pure numpy."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mmext.data_report.object_table import Floats, Ints, ObjectTable

SMALL_PX, LARGE_PX = 32.0, 96.0
"""COCO's limits between small, medium and large; here roots of the area of the box."""
TINY_PX = 4.0
"""The shorter side of a tiny box: less than a cell of any usual feature map."""
THIN_RATIO = 10.0
_BORDER_PX = 1.0  # boxes of COCO end up to a pixel behind the border


@dataclass
class ClassRow:
    """What there is of a class.

    Attributes:
        name: of the class.
        kind: ``thing`` or ``stuff``; '' without panoptic annotations.
        objects: that count; of stuff its segments.
        images: with such an object.
        share: of all objects, of stuff of all segments of stuff, 0..1.
        median_px: of the roots of the areas of the boxes; None without a box.
        small, medium, large: objects by size.
        ignored: crowds and the like.
    """

    name: str
    kind: str
    objects: int
    images: int
    share: float
    median_px: float | None = None
    small: int = 0
    medium: int = 0
    large: int = 0
    ignored: int = 0


@dataclass
class Spread:
    """The smallest, the median and the largest of some numbers."""

    low: float
    median: float
    high: float


@dataclass
class ImageFacts:
    """Sizes of the images and how many objects they have.

    Attributes:
        images: how many.
        empty: images without an object that counts.
        width_px, height_px, aspect: None where the annotations state no size.
        num_sizes: how many different ones.
        objects: per image.
        mean_objects: per image.
        histogram: images by their number of objects: 0, 1, 2, 3-4, 5-8, 9-16, ...
    """

    images: int
    empty: int
    width_px: Spread | None
    height_px: Spread | None
    aspect: Spread | None
    num_sizes: int
    objects: Spread | None
    mean_objects: float
    histogram: list[tuple[str, int]]


@dataclass
class BoxFacts:
    """The form of the boxes that count, and which objects are unusual.

    Attributes:
        boxes: how many.
        size_px: root of the area.
        histogram: boxes by size: up to 8 px, 8-16, 16-32, ...
        tiny, thin, at_border, outside, repeated: positions in the object table: a side below 4 px;
            more than ten times as long as wide; an edge on the border of the image; more than a
            pixel behind it; the same box of the same class once more in the image.
    """

    boxes: int
    size_px: Spread | None
    histogram: list[tuple[str, int]]
    tiny: Ints
    thin: Ints
    at_border: Ints
    outside: Ints
    repeated: Ints


def class_rows(
    table: ObjectTable, classes: Sequence[str], num_things: int | None = None
) -> list[ClassRow]:
    """One row for each class, in the order of the labels.

    Args:
        table: of a data set.
        classes: names in the order of the labels.
        num_things: of a panoptic set: the first so many classes are things, the rest stuff.
    """
    things = len(classes) if num_things is None else num_things
    counted = ~table.ignored
    labels, sizes = table.labels[counted], table.sizes_px[counted]
    images = _images_by_class(table.image_index[counted], labels, len(classes), table.num_images)
    objects, ignored = (_count(part, len(classes)) for part in (labels, table.labels[~counted]))
    bins = np.digitize(sizes, (SMALL_PX, LARGE_PX))
    by_size = [_count(labels[bins == place], len(classes)) for place in range(3)]
    medians = _medians(sizes, labels, len(classes))
    kind = '' if num_things is None else 'thing'
    rows = [
        ClassRow(
            classes[label],
            kind,
            int(objects[label]),
            int(images[label]),
            _ratio(objects[label], objects.sum()),
            medians[label],
            small=int(by_size[0][label]),
            medium=int(by_size[1][label]),
            large=int(by_size[2][label]),
            ignored=int(ignored[label]),
        )
        for label in range(things)
    ]
    return rows + _stuff_rows(table, classes, things)


def _stuff_rows(table: ObjectTable, classes: Sequence[str], things: int) -> list[ClassRow]:
    segments = _count(table.stuff_labels, len(classes))
    images = _images_by_class(
        table.stuff_image_index, table.stuff_labels, len(classes), table.num_images
    )
    total = segments[things:].sum()
    return [
        ClassRow(
            classes[label],
            'stuff',
            int(segments[label]),
            int(images[label]),
            _ratio(segments[label], total),
        )
        for label in range(things, len(classes))
    ]


def image_facts(table: ObjectTable) -> ImageFacts:
    """Sizes of the images and how many objects they have."""
    counts = np.bincount(table.image_index[~table.ignored], minlength=table.num_images)
    known = table.image_wh[np.isfinite(table.image_wh).all(axis=1)]
    return ImageFacts(
        images=table.num_images,
        empty=int((counts == 0).sum()),
        width_px=spread(known[:, 0]),
        height_px=spread(known[:, 1]),
        aspect=spread(known[:, 0] / known[:, 1]),
        num_sizes=len(np.unique(known, axis=0)),
        objects=spread(counts),
        mean_objects=float(counts.mean()) if len(counts) else 0.0,
        histogram=_doubling(counts),
    )


def box_facts(table: ObjectTable) -> BoxFacts:
    """The form of the boxes that count."""
    counted = np.flatnonzero(~table.ignored)
    boxes, sides = table.boxes_xyxy[counted], table.sides_px[counted]
    ends = table.image_wh[table.image_index[counted]]  # [n, 2]
    margins = np.concatenate([boxes[:, :2], ends - boxes[:, 2:]], axis=1)  # NaN: size unknown
    nearest = margins.min(axis=1) if len(margins) else np.zeros(0)
    shorter, longer = sides.min(axis=1), sides.max(axis=1)
    sizes = table.sizes_px[counted]
    edges = (8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)
    bins = np.bincount(np.digitize(sizes, edges), minlength=len(edges) + 1)
    names = ['<8', *(f'{a:g}-{b:g}' for a, b in pairwise(edges)), '>=512']
    return BoxFacts(
        boxes=len(counted),
        size_px=spread(sizes),
        histogram=list(zip(names, bins.tolist(), strict=True)),
        tiny=counted[shorter < TINY_PX],
        thin=counted[longer > THIN_RATIO * np.maximum(shorter, 1e-9)],
        at_border=counted[np.abs(nearest) <= _BORDER_PX],
        outside=counted[nearest < -_BORDER_PX],
        repeated=counted[_repeated(table, counted)],
    )


def spread(values: npt.NDArray) -> Spread | None:
    """The smallest, the median and the largest; None of nothing."""
    if not len(values):
        return None
    return Spread(float(values.min()), float(np.median(values)), float(values.max()))


def _repeated(table: ObjectTable, counted: Ints) -> npt.NDArray[np.bool_]:
    """Which objects have the image, class and box of an earlier one, ``[n]``."""
    columns = [table.image_index, table.labels, *table.boxes_xyxy.T]
    key: npt.NDArray[np.uint64] = np.zeros(len(counted), np.uint64)
    for column in columns:  # equal rows have equal keys; others differ but for one case in 2^40
        bits = np.ascontiguousarray(column[counted], np.float64).view(np.uint64)
        key = (key ^ bits) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    first = np.zeros(len(counted), bool)
    first[np.unique(key, return_index=True)[1]] = True
    return ~first


def _images_by_class(images: Ints, labels: Ints, num_classes: int, num_images: int) -> Ints:
    pairs = np.unique(labels * max(num_images, 1) + images)
    return _count(pairs // max(num_images, 1), num_classes)


def _count(labels: Ints, num_classes: int) -> Ints:
    known = labels[(labels >= 0) & (labels < num_classes)]
    return np.bincount(known, minlength=num_classes).astype(np.int64)


def _medians(sizes: Floats, labels: Ints, num_classes: int) -> list[float | None]:
    order = np.argsort(labels, kind='stable')
    ends = np.searchsorted(labels[order], np.arange(num_classes + 1))
    parts = [sizes[order[a:b]] for a, b in pairwise(ends)]
    return [float(np.median(part)) if len(part) else None for part in parts]


def _doubling(counts: npt.NDArray) -> list[tuple[str, int]]:
    """How many of ``counts`` are 0, 1, 2, 3-4, 5-8, ...; up to the last that there is."""
    if not len(counts):
        return []
    ends = [0, 1, 2]
    while ends[-1] < counts.max():
        ends.append(2 * ends[-1])
    names = ['0', '1', '2', *(f'{a + 1}-{b}' for a, b in pairwise(ends[2:]))]
    bins = np.bincount(np.searchsorted(ends, counts), minlength=len(ends))
    return list(zip(names, bins.tolist(), strict=True))


def _ratio(part: int, whole: int) -> float:
    return float(part / whole) if whole else 0.0
