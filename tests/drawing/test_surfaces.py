"""Surfaces of persons on pictures: one map of all of them, parts, iso-lines, another skin."""

import numpy as np
import pytest

from mmext.drawing.panels import Classes, Scene, draw_scene
from mmext.drawing.surfaces import (
    draw_iso_lines,
    draw_parts,
    part_colors,
    stretched,
    transfer_texture,
)
from mmext.functional.surface_pasting import SurfaceImage, paste_surfaces


def ramp(height: int, width: int, part: int = 3) -> np.ndarray:
    """U rises to the right, V upward."""
    surface = np.full((3, height, width), part, np.uint8)
    surface[1] = np.linspace(0, 255, width).astype(np.uint8)
    surface[2] = np.linspace(255, 0, height).astype(np.uint8)[:, None]
    return surface


def one(height: int = 40, width: int = 60) -> SurfaceImage:
    return paste_surfaces([ramp(20, 30)], np.array([[10, 5, 30, 20]]), (height, width))


def test_the_better_scored_person_lies_on_top() -> None:
    surfaces = [ramp(10, 10, 1), ramp(10, 10, 2)]
    surfaces[1][0, :5] = 0  # nobody: what lies below is seen
    boxes = np.array([[0, 0, 10, 10], [2, 2, 10, 10]])
    found = paste_surfaces(surfaces, boxes, (12, 11), np.array([0.4, 0.9]))
    assert found.part[3, 5] == 1
    assert found.part[8, 5] == 2
    assert found.person[3, 5] == 1
    assert found.person[8, 5] == 2
    assert found.person[0, 10] == 0
    assert found.u[8, 5] == surfaces[1][1, 6, 3] / np.float32(255)
    first = paste_surfaces(surfaces, boxes, (12, 11))
    assert first.part[8, 5] == 1
    outside = paste_surfaces([ramp(4, 4)], np.array([[-2, -3, 4, 4]]), (8, 8))
    assert np.argwhere(outside.part).tolist() == [[0, 0], [0, 1]]
    assert not paste_surfaces([ramp(4, 4)], np.array([[20, 20, 4, 4]]), (8, 8)).part.any()
    assert not paste_surfaces([], np.zeros((0, 4)), (8, 8)).part.any()


def test_parts_have_their_colors() -> None:
    image = np.full((40, 60, 3), 100, np.uint8)
    drawn = draw_parts(image, one(), opacity=1.0)
    assert drawn[10, 20].tolist() == list(part_colors()[2])
    assert (drawn[0] == 100).all()
    assert (image == 100).all()
    assert len(set(part_colors())) == 24


def test_lines_are_where_coordinates_cross_a_level() -> None:
    image = np.full((40, 60, 3), 100, np.uint8)
    plain = draw_iso_lines(image, one(), levels=1)
    lined = draw_iso_lines(image, one(), levels=4)
    changed = (plain != lined).any(2)
    rows, columns = np.flatnonzero(changed.all(1)), np.flatnonzero(changed[5:25].all(0))
    assert not rows.size
    # three inner levels of U, each a line through the whole person
    assert 3 <= len(columns) <= 9
    assert not changed[:5].any()
    assert not changed[:, :9].any()
    seam = one()
    seam.u[:] = np.where(np.arange(60) < 25, 0.99, 0.01) * (seam.part > 0)
    seam.v[:] = 0
    assert np.array_equal(draw_iso_lines(image, seam), draw_iso_lines(image, seam, levels=1))


def test_another_skin() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    atlas = np.zeros((60, 40, 3), np.uint8)
    tile = atlas[20:30, 0:10]  # part 3: column 0, row 2
    tile[..., 0] = np.arange(10)
    tile[..., 1] = np.arange(10)[:, None]
    tile[..., 2] = 7
    drawn = transfer_texture(image, one(), atlas)
    seen = one().part > 0
    assert (drawn[seen][:, 2] == 7).all()
    assert not drawn[~seen].any()
    assert drawn[6, 11].tolist() == [0, 0, 7]  # low U; high V is the upper row of the tile
    assert drawn[24, 39].tolist() == [9, 9, 7]
    with pytest.raises(ValueError, match='6 rows of 4 square tiles'):
        transfer_texture(image, one(), atlas[:, :39])


def test_a_scene_with_surfaces() -> None:
    image = np.full((80, 120, 3), 100, np.uint8)
    scene = Scene(
        (40, 60),
        labels=np.zeros(1, int),
        boxes_xyxy=np.array([[10.0, 5, 40, 25]]),
        scores=np.array([0.9]),
        masks=np.ones((1, 40, 60), bool),
        surface=one(),
    )
    drawn = draw_scene(image, scene, Classes(['person']))
    assert (drawn[79] == 100).all()  # the mask is not drawn beside the surface
    assert (drawn[30, 60] != 100).any()
    twice = stretched(one(), (80, 120))
    assert twice.part.sum() == 4 * one().part.sum()
    assert stretched(one(), (40, 60)).part.shape == (40, 60)
