"""PQ against a loop over pixels and pairs, by hand, and its invariants."""

from collections import Counter

import numpy as np
import pytest

from mmext.metrics.panoptic.quality import (
    FN,
    FP,
    IOU,
    TP,
    VOID_LABEL,
    classwise_quality,
    classwise_values,
    match_segments,
    overlap_table,
    panoptic_quality,
)

NUM_CLASSES = 4
IS_THING = [True, True, False, False]


def counts_of(gt_map, gt_labels, crowds, pred_map, pred_labels):
    """The package's counts; ``gt_labels`` and ``pred_labels`` by id, 0 is void in the truth."""
    gt_ids, pred_ids, areas = overlap_table(gt_map, pred_map)
    listed = list(gt_labels)
    return match_segments(
        areas[np.searchsorted(gt_ids, np.array(listed, dtype=int))],
        areas[gt_ids == 0].sum(axis=0),
        np.array([gt_labels[i] for i in listed], dtype=int),
        np.array([i in crowds for i in listed], dtype=bool),
        np.array([pred_labels.get(int(i), VOID_LABEL) for i in pred_ids], dtype=int),
        NUM_CLASSES,
    )


def slow_counts(gt_map, gt_labels, crowds, pred_map, pred_labels):
    """The rules, pixel by pixel and pair by pair."""
    pixels = Counter(zip(gt_map.ravel().tolist(), pred_map.ravel().tolist(), strict=True))
    table, gt_done, pred_done = np.zeros((4, NUM_CLASSES)), set(), set()
    for gt, label in gt_labels.items():
        for pred, pred_label in pred_labels.items():
            if gt in crowds or label != pred_label:
                continue
            union = 0
            for (g, p), n in pixels.items():
                if g == gt or (p == pred and g != 0):
                    union += n
            iou = pixels[gt, pred] / union if union else 0.0
            if iou > 0.5:
                table[IOU, label] += iou
                table[TP, label] += 1
                gt_done.add(gt)
                pred_done.add(pred)
    for gt, label in gt_labels.items():
        if gt not in gt_done and gt not in crowds:
            table[FN, label] += 1
    for pred, label in pred_labels.items():
        area = sum(n for (_, p), n in pixels.items() if p == pred)
        crowd = [gt for gt in gt_labels if gt in crowds and gt_labels[gt] == label][-1:]
        forgiven = pixels[0, pred] + sum(pixels[gt, pred] for gt in crowd)
        if area and pred not in pred_done and forgiven / area <= 0.5:
            table[FP, label] += 1
    return table


def random_scene(seed):
    """Blocks with void, crowds and large ids; the prediction is a damaged copy."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(4, 20, 2)
    count = int(rng.integers(1, 7))
    colours = [int(c) for c in rng.choice(1 << 24, count, replace=False) + 1]
    gt_map, pred_map = np.zeros((2, height, width), dtype=np.int64)
    pred_ids = {}
    for number, colour in enumerate(colours):
        y, x = rng.integers(0, height), rng.integers(0, width)
        h, w = rng.integers(1, height + 1), rng.integers(1, width + 1)
        gt_map[y : y + h, x : x + w] = colour
        dy, dx = rng.integers(-1, 2, 2)
        pred_ids[colour] = 900 + 1000 * number
        pred_map[max(y + dy, 0) : y + dy + h, max(x + dx, 0) : x + dx + w] = pred_ids[colour]
    gt_labels = {c: int(rng.integers(NUM_CLASSES)) for c in colours if (gt_map == c).any()}
    pred_labels = {
        p: gt_labels[c] if c in gt_labels and rng.random() < 0.8 else int(rng.integers(NUM_CLASSES))
        for c, p in pred_ids.items()
        if (pred_map == p).any()
    }
    crowds = {c for c in gt_labels if rng.random() < 0.3}
    return gt_map, gt_labels, crowds, pred_map, pred_labels


def test_against_the_loop() -> None:
    total = np.zeros((4, NUM_CLASSES))
    for seed in range(300):
        scene = random_scene(seed)
        before = [scene[0].copy(), scene[3].copy()]
        counts = counts_of(*scene)
        np.testing.assert_allclose(counts, slow_counts(*scene), rtol=1e-12, err_msg=f'seed {seed}')
        np.testing.assert_array_equal([scene[0], scene[3]], before)
        total += counts
    assert (total > 20).all()  # the scenes show everything in every class


def test_by_hand() -> None:
    # class 0: 3 of 4 pixels found, IoU 3/4; class 2: half of it, IoU exactly .5 is no match
    gt_map = np.array([[1, 1, 1, 1, 2, 2]])
    pred_map = np.array([[7, 7, 7, 8, 8, 9]])
    counts = counts_of(gt_map, {1: 0, 2: 2}, set(), pred_map, {7: 0, 9: 2})
    assert counts[:, 0].tolist() == [0.75, 1, 0, 0]
    assert counts[:, 2].tolist() == [0, 0, 1, 1]
    quality = panoptic_quality(counts, IS_THING)
    assert (quality['PQ'], quality['PQ_th'], quality['PQ_st']) == (37.5, 75.0, 0.0)
    assert (quality['SQ'], quality['RQ'], quality['RQ_th']) == (37.5, 50.0, 100.0)


def test_void_leaves_the_union() -> None:
    gt_map = np.array([[1, 1, 0, 0, 0]])
    counts = counts_of(gt_map, {1: 0}, set(), np.full((1, 5), 7), {7: 0})
    assert counts[:, 0].tolist() == [1.0, 1, 0, 0]


@pytest.mark.parametrize(('void_px', 'false'), [(2, 1), (3, 0)])
def test_a_prediction_mostly_on_void_is_forgiven(void_px: int, false: int) -> None:
    gt_map = np.array([[0] * void_px + [1] * (4 - void_px) + [1] * 20])
    pred_map = np.array([[7] * 4 + [8] * 20])
    counts = counts_of(gt_map, {1: 1}, set(), pred_map, {7: 0, 8: 1})
    assert counts[FP, 0] == false  # exactly half is not most


@pytest.mark.parametrize(('crowd_label', 'false'), [(0, 0), (1, 1)])
def test_only_a_crowd_of_the_same_class_forgives(crowd_label: int, false: int) -> None:
    gt_map = np.array([[5, 5, 5, 6]])
    counts = counts_of(gt_map, {5: crowd_label, 6: 2}, {5}, np.full((1, 4), 7), {7: 0})
    assert counts[FP, 0] == false
    assert counts[FN].tolist() == [0, 0, 1, 0]  # a crowd is never missed
    assert counts[TP].sum() == 0


def test_void_and_crowd_add_up() -> None:
    gt_map = np.array([[0, 5, 6, 6, 0, 5]])  # a third each
    counts = counts_of(gt_map, {5: 0, 6: 2}, {5}, np.full((1, 6), 7), {7: 0})
    assert counts[FP, 0] == 0


def test_of_two_crowds_the_last_one_forgives() -> None:
    gt_map = np.array([[5, 5, 5, 6, 8]])
    prediction = np.full((1, 5), 7), {7: 0}
    assert counts_of(gt_map, {5: 0, 6: 0, 8: 2}, {5, 6}, *prediction)[FP, 0] == 1
    assert counts_of(gt_map, {6: 0, 5: 0, 8: 2}, {5, 6}, *prediction)[FP, 0] == 0


def test_truth_as_prediction_is_100() -> None:
    total = np.zeros((4, NUM_CLASSES))
    for seed in range(40):
        gt_map, gt_labels, crowds, _, _ = random_scene(seed)
        crowds = set({gt_labels[c]: c for c in crowds}.values())  # at most one of each class
        total += counts_of(gt_map, gt_labels, crowds, gt_map, gt_labels)
    assert set(panoptic_quality(total, IS_THING).values()) == {100.0}


def test_disjoint_is_0() -> None:
    gt_map = np.array([[1, 1, 2, 2]])
    counts = counts_of(gt_map, {1: 0, 2: 2}, set(), gt_map, {1: 2, 2: 0})
    assert set(panoptic_quality(counts, IS_THING).values()) == {0.0}


def test_void_area_changes_nothing() -> None:
    gt_map, gt_labels, crowds, pred_map, pred_labels = random_scene(3)
    void = np.zeros((len(gt_map), 50), dtype=int)
    nothing = np.full_like(void, 123456)  # predicted as void
    np.testing.assert_array_equal(
        counts_of(gt_map, gt_labels, crowds, pred_map, pred_labels),
        counts_of(
            np.hstack([gt_map, void]),
            gt_labels,
            crowds,
            np.hstack([pred_map, nothing]),
            pred_labels,
        ),
    )


def test_nothing_predicted() -> None:
    counts = counts_of(np.array([[1, 2, 3]]), {1: 0, 2: 2, 3: 0}, {3}, np.zeros((1, 3), int), {})
    assert counts.tolist() == [[0] * 4, [0] * 4, [0] * 4, [1, 0, 1, 0]]


def test_no_ground_truth() -> None:
    void = np.zeros((1, 3), int)
    assert not counts_of(void, {}, set(), np.array([[7, 7, 8]]), {7: 0, 8: 2}).any()


def test_no_pixels() -> None:
    empty = np.zeros((0, 5), int)
    assert not counts_of(empty, {}, set(), empty, {}).any()


def test_absent_classes_do_not_count_and_absent_groups_are_nan() -> None:
    counts = np.zeros((4, NUM_CLASSES))
    counts[:, 1] = 0.75, 1, 0, 2
    quality = panoptic_quality(counts, IS_THING)
    assert quality['PQ'] == quality['PQ_th'] == 37.5
    assert np.isnan([quality['PQ_st'], quality['SQ_st'], quality['RQ_st']]).all()
    assert np.isnan(classwise_quality(counts)[:, [0, 2, 3]]).all()
    assert np.isnan(list(panoptic_quality(np.zeros((4, 4)), IS_THING).values())).all()


def test_classwise_names_suit_loggers() -> None:
    counts = np.ones((4, 3))
    values = classwise_values(counts, ['traffic light', 'a/b (c)', 'a_b _c_'])
    assert list(values)[::3] == ['PQ/traffic light', 'PQ/a_b _c_', 'PQ/a_b _c__2']
    assert set(values.values()) == {50.0, 100.0}
