"""Drawing: what is marked where, and what stays untouched."""

import numpy as np
import pytest

from mmext.drawing.colors import shade
from mmext.drawing.layout import sheet
from mmext.drawing.panels import (
    Classes,
    Frame,
    Scene,
    draw_clip,
    draw_panel,
    draw_question,
    draw_scene,
)

GRAY = np.full((40, 60, 3), 100, np.uint8)
CLASSES = Classes(['car', 'sky'], [(200, 0, 0), (0, 0, 200)])


def _changed(scene: Scene) -> np.ndarray:
    before = GRAY.copy()
    drawn = draw_scene(GRAY, scene, CLASSES)
    assert (before == GRAY).all(), 'the picture given is not drawn on'
    return (drawn != GRAY).any(axis=2)


def test_panoptic_map_is_coloured_but_void_is_not() -> None:
    labels = np.full((40, 60), 255)
    labels[:20, :30], labels[20:, 30:] = 1, 0
    changed = _changed(Scene((40, 60), panoptic_map=labels))
    # letters may have the very color of the ground
    assert changed[:18, :28].mean() > 0.95 and changed[22:, 32:].mean() > 0.95
    assert not changed[25:, :20].any() and not changed[:12, 50:].any()


def test_boxes_follow_the_scale_of_their_frame() -> None:
    box = np.array([[20.0, 20.0, 60.0, 60.0]])
    changed = _changed(Scene((80, 120), labels=np.array([0]), boxes_xyxy=box))
    assert changed[30, 10] and changed[30, 30] and not changed[25, 13:28].any()


def test_masks_and_points() -> None:
    mask = np.zeros((1, 40, 60), bool)
    mask[0, 10:20, 10:20] = True
    changed = _changed(Scene((40, 60), labels=np.array([0]), masks=mask))
    assert changed[10:20, 10:20].all() and not changed[20:].any()
    points = np.array([[[30.0, 20.0], [np.nan, np.nan], [-1e9, 4.0]]])
    changed = _changed(Scene((40, 60), fields={'keypoints': points}))
    assert changed[20, 30] and changed.sum() < 40


def test_nothing_to_draw_changes_nothing() -> None:
    empty = Scene(
        (40, 60),
        boxes_xyxy=np.zeros((0, 4)),
        scores=np.zeros(0),
        masks=np.zeros((0, 40, 60), bool),
        fields={'keypoints': np.zeros((0, 5, 2))},
    )
    assert not _changed(empty).any()


def test_truth_is_left_and_prediction_right() -> None:
    everything = Scene((40, 60), panoptic_map=np.zeros((40, 60), int))
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
    header = max(16, drawn_hw[0] // 14)
    assert drawn.shape == (drawn_hw[0] + header, drawn_hw[1], 3)


def test_frames_of_a_clip_have_the_colors_of_ids() -> None:
    """Truth above prediction; numbers that are the same in all frames keep their color."""
    frames = []
    for i in range(3):
        truth, ids = np.full((32, 48), 1), np.full((32, 48), 1)
        truth[8:24, 4 * i : 4 * i + 16], ids[8:24, 4 * i : 4 * i + 16] = 7000, 3000
        frames.append(Frame(np.zeros((32, 48, 3), np.uint8), truth, ids))
    drawn = draw_clip(frames, CLASSES)
    assert drawn.shape == (2 * 160 + 4, 3 * 240 + 2 * 4, 3)
    for row, number in ((0, 7), (164, 3)):
        expected = 0.55 * np.array(shade(CLASSES.palette[0], number))
        for i in range(3):
            pixel = drawn[row + 80, 244 * i + 20 * i + 40]
            assert pixel == pytest.approx(expected, abs=1)
    assert shade((200, 0, 0), 7) != shade((200, 0, 0), 3)


def test_void_of_a_clip_is_uncolored_and_without_truth_there_is_one_row() -> None:
    drawn = draw_clip(
        [Frame(np.full((32, 48, 3), 100, np.uint8), None, np.full((32, 48), 2))], CLASSES
    )
    assert drawn.shape == (160, 240, 3)
    assert (drawn == 100).all()


def test_before_a_prediction_there_are_photo_and_truth() -> None:
    image = np.full((20, 30, 3), 90, np.uint8)
    scene = Scene((20, 30), np.array([0]), np.array([[5.0, 5, 25, 15]]))
    drawn = draw_question(image, scene, (20, 30), CLASSES)
    assert drawn.shape == draw_panel(image, scene, scene, CLASSES).shape
    assert (drawn[16:, :270] == 90).all() and (drawn[16:, 274:] != 90).any()
    assert draw_question(image, None, (20, 30), CLASSES).shape == (196, 270, 3)


def test_sheet_holds_every_picture() -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (h, w, 3), dtype=np.uint8) for h, w in ((5, 9), (3, 4))]
    drawn = sheet(pictures)
    assert drawn.shape == (5 + 4 + 3 + 4, 9, 3)
    assert (drawn[:5] == pictures[0]).all() and (drawn[9:12, :4] == pictures[1]).all()
    assert (drawn[5:9] == 255).all() and (drawn[9:, 4:] == 255).all()
