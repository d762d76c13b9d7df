"""The key points of one's own COCO file, as the ``metainfo`` of a data set and a head take them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmext.configuration import walk
from mmext.errors import InputError
from mmext.formats.coco_records import coco_records
from mmext.formats.exports.key_points import mirrored_pairs
from mmext.formats.json_files import parse_json
from mmext.pipelines.keypoint_coco_dataset import CocoKeypointDataset

OTHER_SIGMA = 0.05
"""Of points that COCO does not name: between its eyes (0.025) and its hips (0.107)."""

Pairs = tuple[tuple[int, int], ...]


@dataclass
class OwnPoints:
    """The key points that all classes of a file have that have some.

    Attributes:
        classes: those, by category id.
        names: of the points.
        flip_pairs: places that swap in a mirror image.
        skeleton: places that a line joins.
    """

    classes: tuple[str, ...]
    names: tuple[str, ...]
    flip_pairs: Pairs
    skeleton: Pairs

    def metainfo(self) -> dict[str, Any]:
        """What a data set of them has beside its classes."""
        meta = CocoKeypointDataset.METAINFO
        known = dict(zip(meta['keypoints'], meta['sigmas'], strict=True))
        return dict(
            keypoints=self.names,
            flip_pairs=self.flip_pairs,
            skeleton=self.skeleton,
            sigmas=tuple(known.get(name, OTHER_SIGMA) for name in self.names),
        )


def takes_points(model: Mapping[str, Any]) -> bool:
    """Whether a model has a head of key points."""
    return any(_count_key(part) for _, part in walk(model))


def is_of_crops(model: Mapping[str, Any]) -> bool:
    """Whether a model finds points in boxes that it is given."""
    return str(model.get('type')) == 'mmext.CropLandmarkEstimator'


def _count_key(part: Mapping[str, Any]) -> str:
    """What says how many key points a part of a model learns, ``''`` if it learns none."""
    ours = str(part.get('type')).startswith('mmext.')  # RepPoints' points are no key points
    return next((k for k in ('num_joints', *['num_points'] * ours) if k in part), '')


def points_of(file: Path) -> OwnPoints:
    """The key points of a COCO file.

    Raises:
        InputError: it has none, or other ones for each class.
    """
    records = coco_records(parse_json(file.read_bytes(), str(file)), str(file))
    having = [c for c in records.categories.values() if c.get('keypoints')]
    tables = {tuple(map(str, category['keypoints'])) for category in having}
    if len(tables) != 1:
        found = f'there are {len(tables)} different ones' if tables else 'there is none'
        raise InputError(
            f'{file}: a model of key points needs one list of "keypoints" in its categories, '
            f'{found}'
        )
    (names,) = tables
    places = {name: place for place, name in enumerate(names)}
    category = having[0]
    mirrored = category.get('flip_pairs') or mirrored_pairs(names)
    try:
        pairs = tuple((places[a], places[b]) for a, b in mirrored)
        lines = tuple((int(a) - 1, int(b) - 1) for a, b in category.get('skeleton') or ())
    except (KeyError, TypeError, ValueError):
        raise InputError(
            f'{file}: category {category["name"]!r}: skeleton or flip_pairs are no pairs of points'
        ) from None
    return OwnPoints(tuple(c['name'] for c in having), names, pairs, lines)


def with_points(counts: dict[str, Any], model: Mapping[str, Any], points: OwnPoints) -> None:
    """Add the number of points and their pairs to what of a model changes.

    Args:
        counts: nested dicts with ``num_classes``; changed.
        model: of the config.
        points: of the data.
    """
    if key := _count_key(model):
        counts[key] = len(points.names)
    if key == 'num_joints' or 'flip_pairs' in model:
        counts['flip_pairs'] = points.flip_pairs
    for name, part in model.items():
        if isinstance(part, Mapping) and takes_points(part):
            with_points(counts.setdefault(name, {}), part, points)
