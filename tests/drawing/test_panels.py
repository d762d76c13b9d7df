"""Drawing: what is marked where, and what stays untouched."""

import numpy as np
import pytest

from mmext.drawing.panels import (
    Classes,
    Scene,
    color_of,
    draw_panel,
    draw_question,
    draw_scene,
    draw_sheet,
)

GRAY = np.full((40, 60, 3), 100, np.uint8)
CLASSES = Classes(['car', 'sky'])


def _changed(scene: Scene) -> np.ndarray:
    before = GRAY.copy()
    drawn = draw_scene(GRAY, scene, CLASSES)
    assert (before == GRAY).all(), 'the picture given is not drawn on'
    return (drawn != GRAY).any(axis=2)


def test_panoptic_map_is_coloured_but_void_is_not() -> None:
    labels = np.full((40, 60), 255)
    labels[:20, :30], labels[20:, 30:] = 1, 0
    changed = _changed(Scene((40, 60), segment_labels=labels))
    # letters may have the very colour of the ground
    assert changed[:18, :28].mean() > 0.95 and changed[22:, 32:].mean() > 0.95
    assert not changed[25:, :20].any() and not changed[:12, 50:].any()


def test_instances_of_a_class_have_different_shades() -> None:
    labels = np.zeros((40, 60), int)
    ids = np.zeros((40, 60), int)
    ids[:, 30:] = 1000
    drawn = draw_scene(GRAY, Scene((40, 60), segment_labels=labels, segment_ids=ids), CLASSES)
    assert (drawn[2, 2] != drawn[2, 57]).any()


def test_boxes_follow_the_scale_of_their_frame() -> None:
    box = np.array([[20.0, 20.0, 60.0, 60.0]])
    changed = _changed(Scene((80, 120), labels=np.array([0]), boxes_xyxy=box))
    assert changed[30, 10] and changed[30, 30] and not changed[25, 12:29].any()


def test_masks_and_points() -> None:
    mask = np.zeros((1, 40, 60), bool)
    mask[0, 10:20, 10:20] = True
    changed = _changed(Scene((40, 60), labels=np.array([0]), masks=mask))
    assert changed[10:20, 10:20].all() and changed.sum() == 100
    points = np.array([[[30.0, 20.0], [np.nan, np.nan], [-1e9, 4.0]]])
    changed = _changed(Scene((40, 60), points_xy=points))
    assert changed[20, 30] and changed.sum() < 40


def test_nothing_to_draw_changes_nothing() -> None:
    empty = Scene((40, 60), boxes_xyxy=np.zeros((0, 4)), scores=np.zeros(0),
                  masks=np.zeros((0, 40, 60), bool), points_xy=np.zeros((0, 5, 2)))  # fmt: skip
    assert not _changed(empty).any()


def test_truth_is_left_and_prediction_right() -> None:
    everything = Scene((40, 60), segment_labels=np.zeros((40, 60), int))
    panel = draw_panel(GRAY, Scene((40, 60)), everything, CLASSES)
    header = panel.shape[0] - 200
    assert panel.shape[1] == 300 + 4 + 300
    assert (panel[header:, :300] == 100).all()
    assert (panel[header:, 304:] != 100).any(axis=2).mean() > 0.95
    assert draw_panel(GRAY, None, everything, CLASSES).shape[1] == 300


@pytest.mark.parametrize(
    ('frame_hw', 'drawn_hw'),
    [((2000, 3000), (427, 640)), ((300, 256), (300, 256)), ((40, 60), (200, 300))],
)
def test_pictures_have_a_size_to_look_at(
    frame_hw: tuple[int, int], drawn_hw: tuple[int, int]
) -> None:
    drawn = draw_panel(GRAY, None, Scene(frame_hw), CLASSES)
    assert drawn.shape == (drawn_hw[0] + 22, drawn_hw[1], 3)


def test_stuff_has_the_same_colour_in_truth_and_prediction() -> None:
    """Whatever else is in the picture; instances of a thing differ."""
    few = Scene((40, 60), segment_labels=np.ones((40, 60), int))
    many = Scene((40, 60), segment_labels=np.ones((40, 60), int), segment_ids=np.ones((40, 60)))
    assert many.segment_labels is not None and many.segment_ids is not None
    for number in (1, 2):
        many.segment_labels[:10, 10 * number : 10 * number + 10] = 0
        many.segment_ids[:10, 10 * number : 10 * number + 10] = 1000 * number
    first, second = (draw_scene(GRAY, scene, CLASSES) for scene in (few, many))
    assert (first[38] == second[38]).all()
    assert (second[2, 12] != second[2, 22]).any()


def test_neighbouring_classes_have_distinct_colours() -> None:
    colours = {color_of(label) for label in range(20)}
    assert len(colours) == 20


def test_colours_are_those_of_the_data_set() -> None:
    labels = np.repeat([[0, 1]], 40, axis=0).repeat(30, axis=1)
    classes = Classes(CLASSES.names, [(200, 0, 0)])
    drawn = draw_scene(GRAY, Scene((40, 60), segment_labels=labels), classes)
    red, made = drawn[2, 2].astype(int) - 40, drawn[2, 57].astype(int) - 40  # over 0.4 of gray
    assert red.tolist() == [120, 0, 0]
    assert made == pytest.approx(np.array(color_of(1)) * 0.6, abs=1)
    assert color_of(0, instance=1, palette=classes.palette) == (164, 0, 0)


def test_before_a_prediction_there_are_photo_and_truth() -> None:
    image = np.full((20, 30, 3), 90, np.uint8)
    scene = Scene((20, 30), np.array([0]), np.array([[5.0, 5, 25, 15]]))
    drawn = draw_question(image, scene, (20, 30), CLASSES)
    assert drawn.shape == draw_panel(image, scene, scene, CLASSES).shape
    assert (drawn[22:, :270] == 90).all() and (drawn[22:, 274:] != 90).any()
    assert draw_question(image, None, (20, 30), CLASSES).shape == (202, 270, 3)


def test_sheet_holds_every_picture() -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (h, w, 3), dtype=np.uint8) for h, w in ((5, 9), (3, 4))]
    sheet = draw_sheet(pictures)
    assert sheet.shape == (5 + 4 + 3 + 4, 9, 3)
    assert (sheet[:5] == pictures[0]).all() and (sheet[9:12, :4] == pictures[1]).all()
    assert (sheet[5:9] == 255).all() and (sheet[9:, 4:] == 255).all()
