"""Boxes and masks: what lies on top, what is left untouched."""

import numpy as np

from mmext.drawing.colors import shade
from mmext.drawing.instances import draw_instances

CLASSES = ('cat', 'dog', 'grass')
PALETTE = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]


def grey(height: int, width: int) -> np.ndarray:
    """A plain picture."""
    return np.full((height, width, 3), 100, np.uint8)


def hue(picture: np.ndarray, y: int, x: int) -> int:
    """The strongest channel of a pixel."""
    return int(picture[y, x].argmax())


def test_instances() -> None:
    image = grey(160, 200)
    masks = np.zeros((2, 160, 200), bool)
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
    assert (drawn[110:] == 100).all() and (image == 100).all()
    none = draw_instances(
        image, np.zeros((0, 4)), np.zeros(0, int), np.zeros(0), None, CLASSES, PALETTE
    )
    assert (none == image).all()


def test_a_small_object_lies_on_the_large_one_behind_it() -> None:
    """A tie is seen on its person, whose score is better."""
    masks = np.zeros((2, 200, 200), bool)
    masks[0, 20:180, 20:180] = masks[1, 90:130, 90:130] = True
    drawn = draw_instances(
        grey(200, 200), None, np.array([0, 2]), np.array([0.9, 0.5]), masks, CLASSES, PALETTE
    )
    assert [hue(drawn, 110, 110), hue(drawn, 170, 40)] == [2, 0]


def test_the_best_of_a_class_has_its_very_color_and_what_is_not_finite_is_left_out() -> None:
    boxes = np.array([[20.0, 40, 180, 180], [60, 80, 160, 160], [np.nan, 0, 5, 5]])
    drawn = draw_instances(
        grey(200, 200),
        boxes,
        np.array([2, 2, 2]),
        np.array([0.4, 0.8, 0.9]),
        None,
        CLASSES,
        PALETTE,
    )
    assert tuple(drawn[120, 60]) == shade(PALETTE[2], 1)
    assert tuple(drawn[120, 20]) == shade(PALETTE[2], 2)


def test_a_dark_box_on_a_dark_photo_has_a_light_rim() -> None:
    dark = np.full((100, 100, 3), 20, np.uint8)
    box = np.array([[20.0, 40, 80, 90]])
    drawn = draw_instances(dark, box, np.array([0]), None, None, ('x',), [(30, 0, 0)])
    assert (drawn[60, :30] > 200).any()


def test_numbers_decide_about_the_shade() -> None:
    """And not the scores, which change from frame to frame."""
    masks = np.zeros((2, 200, 200), bool)
    masks[0, 10:90, 10:90] = masks[1, 110:190, 110:190] = True
    inside = [
        [
            draw_instances(
                grey(200, 200), None, np.array([0, 0]), np.array(scores), masks, CLASSES, PALETTE,
                ids=np.array(ids),
            )[y, y].tolist()
            for y in (80, 180)
        ]
        for scores, ids in (([0.9, 0.6], [4, 2]), ([0.5, 0.8], [4, 2]), ([0.9, 0.6], [2, 4]))
    ]  # fmt: skip
    assert inside[0] == inside[1] == inside[2][::-1]
    assert inside[0][0] != inside[0][1]
