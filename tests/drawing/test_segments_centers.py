import numpy as np

from mmext.drawing.points import draw_points


def test_centres_are_dots_where_they_belong() -> None:
    picture = np.full((60, 80, 3), 90, np.uint8)
    boxes = np.array([[10.0, 10, 30, 30], [40, 20, 70, 50]])
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    drawn = draw_points(picture, boxes, dict(centers=centers), {})
    changed = (drawn != picture).any(2)
    assert drawn[20, 20].tolist() == [255, 255, 255]
    assert drawn[35, 55].tolist() == [255, 255, 255]
    ys, xs = np.nonzero(changed)
    near = np.hypot(xs[:, None] + 0.5 - centers[:, 0], ys[:, None] + 0.5 - centers[:, 1]).min(1)
    assert near.max() < 4
    assert (picture == 90).all()


def test_no_objects() -> None:
    picture = np.zeros((20, 20, 3), np.uint8)
    drawn = draw_points(picture, np.zeros((0, 4)), dict(centers=np.zeros((0, 2))), {})
    assert np.array_equal(drawn, picture)
