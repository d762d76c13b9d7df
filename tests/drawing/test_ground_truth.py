"""Ground truth lands where it is, and sheets hold all their pictures."""

import numpy as np
import pytest

from mmext.drawing.contact_sheet import contact_sheet
from mmext.drawing.ground_truth import GroundTruth, draw_ground_truth

META = dict(classes=('ball', 'sky'), palette=[(255, 0, 0), (0, 0, 255)])
GREY = np.full((20, 40, 3), 128, np.uint8)


def changed(picture: np.ndarray) -> np.ndarray:
    return (picture != 128).any(axis=-1)


def test_nothing_annotated_changes_nothing() -> None:
    drawn = draw_ground_truth(GREY, GroundTruth(), META, 80)
    assert drawn.shape == (40, 80, 3) and not changed(drawn).any()


def test_boxes_are_scaled_with_the_picture() -> None:
    truth = GroundTruth(np.array([[10.0, 5, 20, 15]]), np.array([0]))
    drawn = draw_ground_truth(GREY, truth, META, 160)
    reds = (drawn == (255, 0, 0)).all(axis=-1)
    ys, xs = np.nonzero(reds)
    line_px = 1  # on either side of the edge
    assert abs(xs.min() - 40) <= line_px and abs(xs.max() - 80) <= line_px
    assert abs(ys.max() - 60) <= line_px
    assert reds[20:61, [40, 80]].all() and reds[60, 40:81].all()  # above lies the name
    assert not reds[20 + 4 : 60 - 4, 40 + 4 : 80 - 4].any()
    assert (truth.boxes_xyxy == [[10, 5, 20, 15]]).all()


def test_masks_and_ignored_boxes() -> None:
    mask = np.zeros((1, 20, 40), bool)
    mask[0, 5:15, 10:20] = True
    box = np.array([[10.0, 5, 20, 15]])
    drawn = draw_ground_truth(GREY, GroundTruth(box, np.array([0]), mask), META, 160)
    assert (drawn[50, 45] != 128).any() and (drawn[50, 100] == 128).all()
    drawn = draw_ground_truth(GREY, GroundTruth(ignored_xyxy=box), META, 160)
    assert changed(drawn)[20, 40:81].sum() > 10
    outside = GroundTruth(ignored_xyxy=np.array([[-50.0, -50, 500, 500]]))
    assert draw_ground_truth(GREY, outside, META, 160).shape == (80, 160, 3)


def test_a_panoptic_map_is_coloured() -> None:
    ids = np.full((20, 40), 1)
    ids[:, 20:] = 2  # void
    drawn = draw_ground_truth(GREY, GroundTruth(panoptic_map=ids), META, 160)
    assert drawn[70, 10, 2] > drawn[70, 10, 0] and (drawn[70, 150] == 128).all()


def test_labels_without_a_name_are_numbers() -> None:
    truth = GroundTruth(np.array([[5.0, 5, 35, 15]]), np.array([7]))
    assert changed(draw_ground_truth(GREY, truth, META, 160)).any()


@pytest.mark.parametrize('count', [1, 3, 4])
def test_a_sheet_holds_all_pictures(count: int) -> None:
    pictures = [np.full((30 + i, 120 - 9 * i, 3), 10 + i, np.uint8) for i in range(count)]
    sheet = contact_sheet(pictures, [['a name that is much too long to fit', 'b']] * count, 3)
    for i, picture in enumerate(pictures):
        assert (sheet == 10 + i).all(axis=-1).sum() >= picture.shape[0] * picture.shape[1]
