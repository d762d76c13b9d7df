"""Pictures: what is coloured, what is not, and what stays untouched."""

import numpy as np
import pytest

from mmext.drawing.segments import (
    INSTANCE_OFFSET,
    class_colours,
    draw_instances,
    draw_panoptic,
    side_by_side,
)

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
    for pictures, titles in (([], None), ([grey(2, 2)], ['a', 'b'])):
        with pytest.raises(ValueError, match='titles'):
            side_by_side(pictures, titles)


def test_colours_of_classes() -> None:
    assert class_colours([[1, 2, 3], (4, 5, 6)], 1) == [(1, 2, 3)]
    for nothing in (None, 'random', []):
        generated = class_colours(nothing, 133)
        assert len(set(generated)) == 133
        assert generated[:10] == class_colours(nothing, 10)
    filled = class_colours(PALETTE, 5)
    assert filled[:3] == PALETTE and filled[3:] == class_colours(None, 5)[3:]


def test_instances() -> None:
    image = grey(60, 80)
    masks = np.zeros((2, 60, 80), bool)
    masks[0, 20:40, 20:40] = True
    masks[1, 20:40, 30:50] = True
    drawn = draw_instances(
        image,
        boxes_xyxy=np.array([[20.0, 20, 40, 40], [30, 20, 50, 40]]),
        labels=np.array([0, 1]),
        scores=np.array([0.9, 0.6]),
        masks=masks,
        classes=CLASSES,
        palette=PALETTE,
    )
    assert [hue(drawn, 37, 25), hue(drawn, 37, 45)] == [0, 1]
    assert hue(drawn, 37, 35) == 0  # the better scored lies on top
    assert (drawn[50:] == 100).all() and (image == 100).all()
    none = draw_instances(
        image, np.zeros((0, 4)), np.zeros(0, int), np.zeros(0), None, CLASSES, PALETTE
    )
    assert (none == image).all()


def test_side_by_side() -> None:
    left, right = grey(40, 60), np.zeros((20, 10, 3), np.uint8)
    joined = side_by_side([left, right])
    assert joined.shape == (40, 60 + 4 + 20, 3)
    assert (joined[:, :60] == left).all() and (joined[:, 60:64] == 255).all()
    titled = side_by_side([left, right], ['photo', 'a very long title'])
    assert titled.shape == (40 + 16, 84, 3)
    assert (titled[16:] == joined).all() and titled[:16].max() > 100
