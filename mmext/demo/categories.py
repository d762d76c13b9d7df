"""The categories of the generated panoptic set, in COCO's table form.

Category ids have gaps, as COCO's have, so that code which takes an id for a
label fails on this set too. Labels are contiguous with things first (mmdet's
order): label ``i`` is ``CATEGORIES[i]``.
"""

from typing import NamedTuple, TypedDict


class Category(NamedTuple):
    """One line of the category table; ``color`` is RGB, 0-255."""

    id: int
    name: str
    supercategory: str
    isthing: bool
    color: tuple[int, int, int]


class Metainfo(TypedDict):
    """What a data set's ``metainfo`` holds in a config."""

    classes: tuple[str, ...]
    thing_classes: tuple[str, ...]
    stuff_classes: tuple[str, ...]
    palette: list[tuple[int, int, int]]


CATEGORIES = (
    Category(3, 'ball', 'toy', True, (220, 20, 60)),
    Category(7, 'crate', 'container', True, (250, 140, 30)),
    Category(8, 'tree', 'plant', True, (0, 120, 60)),
    Category(15, 'mushroom', 'plant', True, (165, 42, 165)),
    Category(21, 'fish', 'animal', True, (0, 60, 230)),
    Category(94, 'sky', 'sky-stuff', False, (120, 190, 255)),
    Category(101, 'grass', 'ground-stuff', False, (150, 250, 130)),
    Category(110, 'water', 'water-stuff', False, (50, 130, 170)),
    Category(125, 'sand', 'ground-stuff', False, (240, 220, 130)),
    Category(149, 'road', 'ground-stuff', False, (128, 100, 128)),
)

NUM_THINGS = sum(category.isthing for category in CATEGORIES)
LABELS = {category.name: label for label, category in enumerate(CATEGORIES)}

METAINFO: Metainfo = {
    'classes': tuple(category.name for category in CATEGORIES),
    'thing_classes': tuple(category.name for category in CATEGORIES if category.isthing),
    'stuff_classes': tuple(category.name for category in CATEGORIES if not category.isthing),
    'palette': [category.color for category in CATEGORIES],
}
