"""VPQ against a loop over pixels and tubes, by hand, and its invariants."""

import copy

import numpy as np
import pytest
from random_videos import (
    IS_THING,
    NUM_CLASSES,
    frame_of,
    random_video,
    slow_video_counts,
    table_of,
)

from mmext.metrics.panoptic.quality import FN, FP, IOU, TP, match_segments
from mmext.metrics.panoptic.video_quality import (
    checked_windows,
    classwise_video_quality,
    sum_tables,
    video_counts,
    video_panoptic_quality,
)
from mmext.metrics.panoptic.video_report import report

WINDOWS = (1, 2, 3, 4)


def counts_of(video, windows=WINDOWS):
    return video_counts([table_of(frame) for frame in video], windows, NUM_CLASSES)


def test_against_the_loop() -> None:
    total = np.zeros((4, 4, NUM_CLASSES))
    for seed in range(120):
        video = random_video(seed)
        before = copy.deepcopy(video)
        counts = counts_of(video)
        expected = slow_video_counts(video, WINDOWS)
        np.testing.assert_allclose(counts, expected, rtol=1e-12, err_msg=f'seed {seed}')
        for frame, frame_before in zip(video, before, strict=True):
            np.testing.assert_array_equal(frame['gt_map'], frame_before['gt_map'])
            np.testing.assert_array_equal(frame['pred_map'], frame_before['pred_map'])
        total += counts
    assert (total > 0).all()  # the videos show everything at every window length


def test_other_windows_and_their_order() -> None:
    video = random_video(3)
    assert len(video) > 3
    counts = counts_of(video, (5, 1, 2))
    np.testing.assert_allclose(counts, slow_video_counts(video, (5, 1, 2)), rtol=1e-12)


def test_by_hand_an_id_switch() -> None:
    """Perfect shapes; the id changes half-way through four frames."""
    frames = [
        frame_of([7, 7, 8, 8], {7: 0, 8: 2}, [p, p, 3, 3], {p: 0, 3: 2}) for p in (11, 11, 12, 12)
    ]
    counts = counts_of(frames)
    assert counts[:, :, 2].tolist() == [[4, 4, 0, 0], [3, 3, 0, 0], [2, 2, 0, 0], [1, 1, 0, 0]]
    # pairs: ids (11 11), (11 12), (12 12): in the middle one neither half exceeds .5
    assert counts[1, :, 0].tolist() == [2, 2, 2, 1]
    # triples (11 11 12), (11 12 12): two thirds of the tube
    assert counts[2, :, 0].tolist() == pytest.approx([4 / 3, 2, 2, 0])
    assert counts[3, :, 0].tolist() == [0, 0, 2, 1]
    means, by_window = video_panoptic_quality(counts, IS_THING)
    things = [100, 200 / 3.5, 100 * (4 / 3) / 3, 0]
    assert [values['VPQ_th'] for values in by_window] == pytest.approx(things)
    assert means['VPQ_st'] == 100
    assert means['VPQ_th'] == pytest.approx(np.mean(things))
    assert means['VPQ'] == pytest.approx(np.mean([(t + 100) / 2 for t in things]))


def test_an_object_that_vanishes_and_returns_is_one_tube() -> None:
    gt = [[7, 7, 0], [0, 0, 0], [7, 7, 0]]
    kept = [frame_of(row, {7: 0}, [5 if i else 0 for i in row], {5: 0}) for row in gt]
    assert counts_of(kept, (3,))[0, :, 0].tolist() == [1, 1, 0, 0]
    new_id = [
        frame_of(row, {7: 0}, [p if i else 0 for i in row], {p: 0})
        for row, p in zip(gt, (5, 5, 6), strict=True)
    ]
    assert counts_of(new_id, (3,))[0, :, 0].tolist() == [0, 0, 2, 1]


def test_void_leaves_the_union_over_the_window() -> None:
    frames = [
        frame_of([7, 7, 0, 0], {7: 0}, [5, 5, 5, 5], {5: 0}),
        frame_of([7, 0, 0, 0], {7: 0}, [5, 5, 5, 5], {5: 0}),
    ]
    assert counts_of(frames, (2,))[0, :, 0].tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize(('second', 'false'), [([8, 9, 9], 0), ([9, 9, 9], 1)])
def test_crowd_and_void_forgive_by_the_whole_tube(second: list[int], false: int) -> None:
    """Three pixels a frame: void and crowd must have more than half of the six."""
    truth = {8: (0, True), 9: 2}
    frames = [frame_of([0, 8, 8], truth, [5] * 3, {5: 0}), frame_of(second, truth, [5] * 3, {5: 0})]
    assert counts_of(frames, (2,))[0, FP, 0] == false
    assert counts_of(frames, (2,))[0, FN, 0] == 0


def test_the_class_of_a_tube_is_its_first() -> None:
    frames = [
        frame_of([7, 7], {7: 0}, [5, 5], {5: 0}),
        frame_of([7, 7], {7: 1}, [5, 5], {5: 1}),
    ]
    counts = counts_of(frames, (2,))
    assert counts[0, :, 0].tolist() == [1, 1, 0, 0] and not counts[0, :, 1].any()


def test_stuff_is_one_tube_per_class_whatever_its_ids() -> None:
    frames = [
        frame_of([7, 7, 8], {7: 2, 8: 3}, [3, 3, 4], {3: 2, 4: 3}),
        frame_of([9, 9, 8], {9: 2, 8: 3}, [3, 3, 4], {3: 2, 4: 3}),
    ]
    assert counts_of(frames, (2,))[0, TP].tolist() == [0, 0, 1, 1]


def test_one_frame_windows_are_image_pq() -> None:
    for seed in range(20):
        video = random_video(seed)
        frames = [table_of(frame) for frame in video]
        of_images = sum(match_segments(*sum_tables([f]), NUM_CLASSES) for f in frames)
        np.testing.assert_array_equal(video_counts(frames, (1,), NUM_CLASSES)[0], of_images)


def test_truth_as_prediction_is_100() -> None:
    total = np.zeros((4, 4, NUM_CLASSES))
    for seed in range(40):
        video = random_video(seed)
        for frame in video:
            frame['gt'] = {i: (label, False) for i, (label, _) in frame['gt'].items()}
            stuff = {i: 1 + label for i, (label, _) in frame['gt'].items() if not IS_THING[label]}
            frame['pred_map'] = np.vectorize(lambda i, s=stuff: s.get(i, i))(frame['gt_map'])
            frame['pred'] = {stuff.get(i, i): label for i, (label, _) in frame['gt'].items()}
        total += counts_of(video)
    means, _ = video_panoptic_quality(total, IS_THING)
    assert set(means.values()) == {100.0}


def test_order_of_pixels_and_names_of_ids_do_not_matter() -> None:
    video = random_video(11)
    expected = counts_of(video)
    for frame in video:
        frame['gt_map'], frame['pred_map'] = frame['gt_map'][::-1], frame['pred_map'][::-1]
        frame['pred_map'] = frame['pred_map'] * 3
        frame['pred'] = {3 * p: label for p, label in frame['pred'].items()}
    np.testing.assert_allclose(counts_of(video), expected, rtol=1e-12)


def test_a_video_shorter_than_the_window_has_none() -> None:
    video = random_video(5)[:1]
    counts = counts_of(video)
    assert counts[0].any() and not counts[1:].any()
    means, by_window = video_panoptic_quality(counts, IS_THING)
    assert by_window[0]['VPQ'] >= 0 and np.isnan(by_window[1]['VPQ']) and np.isnan(means['VPQ'])


def test_classwise_explains_the_average() -> None:
    counts = sum(counts_of(random_video(seed)) for seed in range(10))
    means, _ = video_panoptic_quality(counts, IS_THING)
    by_class = classwise_video_quality(counts)
    assert by_class[0].mean() == pytest.approx(means['VPQ'])
    assert by_class[2, :2].mean() == pytest.approx(means['VRQ_th'])
    counts[:, :, 1] = 0
    counts[0, IOU, 3], counts[1:, :, 3] = counts[0, TP, 3], 0  # occurs in one frame only
    by_class = classwise_video_quality(counts)
    assert np.isnan(by_class[:, 1]).all() and by_class[1, 3] == 100


def test_nothing_on_a_side() -> None:
    empty = frame_of([0, 0], {}, [0, 0], {})
    assert not counts_of([empty] * 4).any()
    missed = frame_of([7, 7], {7: 0}, [0, 0], {})
    assert counts_of([missed] * 2, (2,))[0, :, 0].tolist() == [0, 0, 0, 1]
    none = np.zeros((0, 3), dtype=np.int64)
    no_pixels = {'gt_map': none, 'gt': {}, 'pred_map': none, 'pred': {}}
    assert not counts_of([no_pixels] * 2, (2,)).any()


@pytest.mark.parametrize('windows', [(), (0, 1), (2, 2)])
def test_refused_windows(windows: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match='windows: expected distinct numbers'):
        checked_windows(windows)


def test_the_report_names_windows_and_classes() -> None:
    video = [table_of(frame) for frame in random_video(3)]
    values, table = report([video], WINDOWS, 5, ['cat', 'dog', 'sky', 'sea'], IS_THING, True)
    means, by_window = video_panoptic_quality(video_counts(video, WINDOWS, NUM_CLASSES), IS_THING)
    assert values['VPQ_th'] == means['VPQ_th'] and values['VPQ_k10'] == by_window[2]['VPQ']
    lines = table.splitlines()
    assert lines[0].split() == ['VPQ', 'VSQ', 'VRQ', 'k0', 'k5', 'k10', 'k15']
    assert [line.split()[0] for line in lines[1:4]] == ['all', 'things', 'stuff']
    assert float(lines[2].split()[1]) == pytest.approx(means['VPQ_th'], abs=0.005)
    assert float(lines[2].split()[4]) == pytest.approx(by_window[0]['VPQ_th'], abs=0.005)
    rows = {line.split()[0]: line.split()[1:] for line in lines[4:-1]}
    assert {name: float(row[0]) for name, row in rows.items()} == pytest.approx(
        {name: values[f'VPQ/{name}'] for name in rows}, abs=0.005
    )
    assert lines[-1].startswith('STQ ')
