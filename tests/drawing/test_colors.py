"""Colors: of classes, of instances, of rims."""

import numpy as np
import pytest

from mmext.drawing.colors import class_colors, luma, ranks, rim_for, shade

PALETTE = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]


def test_colors_of_classes() -> None:
    assert class_colors([[1, 2, 3], (4, 5, 6)], 1) == [(1, 2, 3)]
    for nothing in (None, 'random', []):
        generated = class_colors(nothing, 133)
        assert len(set(generated)) == 133
        assert generated[:10] == class_colors(nothing, 10)
    filled = class_colors(PALETTE, 5)
    assert filled[:3] == PALETTE and filled[3:] == class_colors(None, 5)[3:]


def test_one_color_for_all_and_palettes_that_cannot_be_read() -> None:
    assert class_colors((1, 2, 3), 3) == [(1, 2, 3)] * 3
    assert class_colors([(1, 2), (3, 4)], 2) == class_colors(None, 2)


def test_shades_of_many_instances_differ_and_stay_near_their_class() -> None:
    shades = [shade((220, 20, 60), number) for number in range(40)]
    assert shades[0] == (220, 20, 60) and len(set(shades)) == 40
    assert all(int(np.argmax(color)) == 0 for color in shades)
    steps = np.abs(np.diff(np.array(shades), axis=0)).max(axis=1)
    assert steps.min() > 8  # neighbors in number are told apart


def test_ranks_are_counted_in_each_class_from_the_best() -> None:
    assert ranks(np.array([1, 1, 0, 1]), np.array([0.2, 0.9, 0.5, 0.2])) == [1, 0, 0, 2]
    assert ranks(np.array([1, 1, 0]), None) == [0, 1, 0]


@pytest.mark.parametrize(
    ('color', 'ground', 'rim'),
    [
        ((10, 10, 10), 20, (255, 255, 255)),
        ((250, 250, 200), 240, (24, 24, 24)),
        ((10, 10, 10), 200, None),
    ],
)
def test_a_line_like_its_ground_is_rimmed(color, ground, rim) -> None:
    pixels = np.full((5, 7, 3), ground, np.uint8)
    assert rim_for(color, pixels) == rim
    assert luma(pixels) == pytest.approx(ground)
