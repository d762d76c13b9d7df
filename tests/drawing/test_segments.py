"""Pictures: what is coloured, what is not, and what stays untouched."""

import numpy as np
import pytest

from mmext.drawing.segments import draw_panoptic
from mmext.functional.panoptic_labels import INSTANCE_OFFSET

CLASSES = ('cat', 'dog', 'grass')
PALETTE = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
VOID = len(CLASSES)


def grey(height: int, width: int) -> np.ndarray:
    """A plain picture."""
    return np.full((height, width, 3), 100, np.uint8)


def hue(picture: np.ndarray, y: int, x: int) -> int:
    """The strongest channel of a pixel."""
    return int(picture[y, x].argmax())


def test_segments_have_the_colours_of_their_classes() -> None:
    panoptic = np.full((60, 90), 2)  # stuff all over
    panoptic[:30, :30] = 0 + INSTANCE_OFFSET
    panoptic[:30, 60:] = 1 + 2 * INSTANCE_OFFSET
    panoptic[40:, :] = VOID
    image = grey(60, 90)
    drawn = draw_panoptic(image, panoptic, CLASSES, PALETTE)
    assert drawn.shape == image.shape and drawn.dtype == np.uint8
    assert [hue(drawn, 2, 2), hue(drawn, 2, 88), hue(drawn, 36, 2)] == [0, 1, 2]
    assert (drawn[50, 5] == 100).all()  # void shows the photo in grey
    assert (drawn[5, 29] == 255).all() and (drawn[29, 5] == 255).all()  # borders
    assert (image == 100).all() and (panoptic[40:] == VOID).all()  # inputs unchanged


def test_instances_of_a_class_differ_in_shade_and_are_stable() -> None:
    panoptic = np.zeros((40, 80), int) + INSTANCE_OFFSET
    panoptic[:, 40:] = 2 * INSTANCE_OFFSET
    panoptic[20:, 40:] = 3 * INSTANCE_OFFSET
    drawn = draw_panoptic(grey(40, 80), panoptic, CLASSES, PALETTE)
    shades = [tuple(drawn[2, 2]), tuple(drawn[2, 78]), tuple(drawn[38, 78])]
    assert len(set(shades)) == 3 and all(hue(drawn, y, x) == 0 for y, x in ((2, 2), (2, 78)))
    mirrored = draw_panoptic(grey(40, 80), panoptic[:, ::-1], CLASSES, PALETTE)
    assert tuple(mirrored[2, 77]) == shades[0]


def test_an_object_keeps_its_colour_whatever_else_is_there() -> None:
    """The frames of a video: other segments, another place, large numbers."""
    drawn = []
    for t, others in enumerate(([], [3], [4, 5000])):
        panoptic = np.full((40, 120), 2)
        for i, number in enumerate(others):
            panoptic[:, 60 + 20 * i : 75 + 20 * i] = INSTANCE_OFFSET * number
        panoptic[10:30, 10 * t : 10 * t + 20] = INSTANCE_OFFSET * 70_001
        picture = draw_panoptic(grey(40, 120), panoptic, CLASSES, PALETTE)
        drawn.append(tuple(picture[12, 10 * t + 2]))
    assert len(set(drawn)) == 1


def test_numbers_of_instances_on_demand() -> None:
    panoptic = np.full((200, 300), 7 * INSTANCE_OFFSET)
    panoptic[:, 200:] = 2  # stuff has none
    plain, numbered = (
        draw_panoptic(grey(200, 300), panoptic, CLASSES, PALETTE, numbered=n) for n in (False, True)
    )
    changed = (plain != numbered).any(axis=(0, 2))
    assert changed[:200].any() and not changed[200:].any()


def test_large_segments_are_labelled_and_small_ones_are_not() -> None:
    panoptic = np.full((200, 300), VOID)
    panoptic[50:150, 50:250] = 0
    panoptic[5:8, 5:8] = 1
    drawn = draw_panoptic(grey(200, 300), panoptic, CLASSES, PALETTE)
    inside, small = drawn[60:140, 60:240], drawn[5:7, 5:7]
    assert len(np.unique(inside.reshape(-1, 3), axis=0)) > 2
    assert len(np.unique(small.reshape(-1, 3), axis=0)) == 1


@pytest.mark.parametrize('shape', [(1, 1), (3, 200), (200, 3), (0, 5)])
def test_any_size_can_be_drawn(shape: tuple[int, int]) -> None:
    panoptic = np.zeros(shape, int)
    assert draw_panoptic(grey(*shape), panoptic, CLASSES, PALETTE).shape == (*shape, 3)


def test_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r'expected \[2, 3\] as the image, got \[3, 2\]'):
        draw_panoptic(grey(2, 3), np.zeros((3, 2), int), CLASSES)
    with pytest.raises(ValueError, match='ids of 0 or more, got -1'):
        draw_panoptic(grey(2, 3), np.full((2, 3), -1), CLASSES)
