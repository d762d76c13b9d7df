"""What COCO's files say of the figures of an image: boxes, masks, key points, surface points.

The keys are those of COCO and of DensePose-COCO. Coordinates of key points and boxes are those
of the image, continuous, (0, 0) is its corner; ``dp_x`` and ``dp_y`` are relative to the box, 256
for its whole width and height; ``dp_masks`` are masks of 256 x 256 over the box.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmext.demo.coco_files import Json, compressed_rle, tight_box, uncompressed_rle
from mmext.demo.figure_body import POINTS, SOLIDS
from mmext.demo.figure_scene import NOBODY, Figure, FigureScene, SeenFigures
from mmext.formats.landmark_sets import LANDMARK_SETS
from mmext.functional.keypoints import UNKNOWN

Rng = np.random.Generator
Ints = NDArray[np.int64]

MIN_AREA_PX = 25
"""Of what is less seen, nothing but a region to be ignored is annotated."""

MIN_POINTS_PX = 24
"""Smallest height of a box with key points; those of smaller ones are not annotated."""

MIN_SURFACE_PX = 40
"""Smallest height of a box with masks and points of the surface."""

POINTS_PER_PART = 8
BOX_UNITS = 256

CATEGORY: Json = LANDMARK_SETS['coco'].category_line()


def describe_figures(scene: FigureScene, seen: SeenFigures, rng: Rng) -> list[tuple[int, Json]]:
    """The annotations of an image, without ids, and the number of the figure of each.

    Args:
        scene: what was drawn.
        seen: what is known of its pixels.
        rng: chooses the points of the surface.
    """
    figures = scene.figures
    found: list[tuple[int, Json]] = []
    for number, figure in enumerate(figures):
        mask = seen.owner == number
        if figure.group is None and mask.any():
            found.append((number, _describe(figure, number, mask, seen, rng)))
    for group in sorted({f.group for f in figures if f.group is not None}):
        members = [number for number, figure in enumerate(figures) if figure.group == group]
        mask = np.isin(seen.owner, members)
        if mask.any():
            found.append((members[0], _ignored(mask)))
    return found


def without_surface(annotation: Json) -> Json:
    """The annotation without what DensePose adds."""
    return {key: value for key, value in annotation.items() if not key.startswith('dp_')}


def _describe(
    figure: Figure, number: int, mask: NDArray[np.bool_], seen: SeenFigures, rng: Rng
) -> Json:
    area = int(np.count_nonzero(mask))
    if area < MIN_AREA_PX:
        return _ignored(mask)
    box = tight_box(mask)
    points, visible = seen.keypoints(figure, number)
    if box[3] < MIN_POINTS_PX:
        visible = np.full_like(visible, UNKNOWN)
    known = visible > UNKNOWN
    triples = np.concatenate([np.where(known[:, None], points, 0), visible[:, None]], axis=1)
    record: dict[str, Any] = dict(
        category_id=CATEGORY['id'],
        bbox=box,
        area=area,
        iscrowd=0,
        segmentation=compressed_rle(mask),
        keypoints=[round(value, 2) for value in triples.ravel().tolist()],
        num_keypoints=int(known.sum()),
        head_bbox=[round(value, 2) for value in figure.head_box],
    )
    if figure.detail != 'nothing' and box[3] >= MIN_SURFACE_PX:
        record |= _surface(number, box, seen, rng, figure.detail == 'points')
    return record


def _ignored(mask: NDArray[np.bool_]) -> Json:
    return dict(
        category_id=CATEGORY['id'],
        bbox=tight_box(mask),
        area=int(np.count_nonzero(mask)),
        iscrowd=1,
        segmentation=uncompressed_rle(mask),
        keypoints=[0] * (3 * len(POINTS)),
        num_keypoints=0,
    )


def _surface(number: int, box: list[int], seen: SeenFigures, rng: Rng, with_points: bool) -> Json:
    """Masks of the solids and points of the surface."""
    surface = seen.surface
    own = np.flatnonzero(surface.figure == number)
    record: Json = {'dp_masks': list(_part_masks(number, box, seen))}
    if not with_points:
        return record
    chosen = []
    for solid in range(len(SOLIDS)):
        of_solid = own[surface.solid[own] == solid]
        chosen.append(rng.permutation(of_solid)[:POINTS_PER_PART])
    index = np.concatenate(chosen)
    row, column = np.divmod(surface.pixel[index], seen.owner.shape[1])
    x, y, width, height = box
    return record | {
        'dp_x': _rounded((column + 0.5 - x) * BOX_UNITS / width, 4),
        'dp_y': _rounded((row + 0.5 - y) * BOX_UNITS / height, 4),
        'dp_I': surface.part[index].astype(float).tolist(),
        'dp_U': _rounded(surface.u[index], 6),
        'dp_V': _rounded(surface.v[index], 6),
    }


def _part_masks(number: int, box: list[int], seen: SeenFigures) -> Iterator[Any]:
    """The 14 masks of the box: run-length codes, ``[]`` for what is not seen."""
    solid = np.where(seen.owner == number, seen.solid, NOBODY)
    x, y, width, height = box
    steps = (np.arange(BOX_UNITS) + 0.5) / BOX_UNITS
    columns = x + np.floor(steps * width).astype(np.int64)
    rows = y + np.floor(steps * height).astype(np.int64)
    canvas = solid[rows[:, None], columns]
    for value in range(len(SOLIDS)):
        mask = canvas == value
        yield compressed_rle(mask) if mask.any() else []


def _rounded(values: NDArray[np.float64], digits: int) -> list[float]:
    return [round(value, digits) for value in values.tolist()]
