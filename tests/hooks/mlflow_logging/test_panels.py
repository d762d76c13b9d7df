"""Drawing: what is marked where, and what stays untouched."""

import numpy as np

from mmext.hooks.mlflow_logging.panels import Scene, color_of, draw_panel, draw_scene

GRAY = np.full((40, 60, 3), 100, np.uint8)
CLASSES = ['car', 'sky']


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
    header = panel.shape[0] - 40
    assert panel.shape[1] == 60 + 4 + 60
    assert (panel[header:, :60] == GRAY).all()
    assert (panel[header:, 64:] != GRAY).any(axis=2).mean() > 0.95
    assert draw_panel(GRAY, None, everything, CLASSES).shape[1] == 60


def test_large_pictures_are_made_smaller() -> None:
    assert draw_panel(GRAY, None, Scene((2000, 3000)), CLASSES).shape[1] == 640


def test_neighbouring_classes_have_distinct_colours() -> None:
    colours = {color_of(label) for label in range(20)}
    assert len(colours) == 20
