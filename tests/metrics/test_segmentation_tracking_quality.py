"""STQ against a loop over pixels, by hand, and its limits."""

import math

import numpy as np
import pytest
from random_videos import IS_THING, frame_of, random_video, slow_tracking_quality, table_of

from mmext.metrics.panoptic.tracking_quality import tracking_counts, tracking_quality


def quality_of(videos):
    counts = [tracking_counts([table_of(f) for f in video], IS_THING) for video in videos]
    return tracking_quality(counts)


def test_against_the_loop() -> None:
    for seed in range(0, 60, 4):
        videos = [random_video(seed + i) for i in range(4)]
        for video in videos:  # crowd flags that change within a track are no case of the paper
            crowds = {i for frame in video for i, (_, crowd) in frame['gt'].items() if crowd}
            for frame in video:
                frame['gt'] = {i: (label, i in crowds) for i, (label, _) in frame['gt'].items()}
        aq, sq, deeplab2_sq = slow_tracking_quality(videos)
        values = quality_of(videos)
        assert values['STQ_AQ'] == pytest.approx(100 * aq, rel=1e-12), seed
        assert values['STQ_SQ'] == pytest.approx(100 * sq, rel=1e-12), seed
        assert values['STQ'] == pytest.approx(100 * math.sqrt(aq * sq), rel=1e-12)
        assert values['STQ_SQ_deeplab2'] == pytest.approx(100 * deeplab2_sq, rel=1e-12), seed


def test_by_hand_an_id_switch() -> None:
    """Half of the track has one id, half another: each pixel's track overlaps by one half."""
    video = [frame_of([7, 7], {7: 0}, [p, p], {p: 0}) for p in (5, 6)]
    values = quality_of([video])
    assert (values['STQ_AQ'], values['STQ_SQ']) == (50, 100)
    assert values['STQ'] == values['STQ_deeplab2'] == math.sqrt(0.5) * 100


def test_by_hand_predicted_void_is_a_class_in_deeplab2_alone() -> None:
    """A track and stuff of 4 pixels each, of the stuff one pixel is void: SQ 7/4 of 2 or of 3."""
    truth, guess = {7: 0, 9: 2}, {5: 0, 3: 2}
    values = quality_of([[frame_of([7] * 4 + [9] * 4, truth, [5] * 4 + [3] * 3 + [0], guess)]])
    assert values == {
        'STQ': pytest.approx(100 * math.sqrt(7 / 8), rel=1e-12),
        'STQ_AQ': 100,
        'STQ_SQ': 87.5,
        'STQ_deeplab2': pytest.approx(100 * math.sqrt(7 / 12), rel=1e-12),
        'STQ_SQ_deeplab2': pytest.approx(100 * 7 / 12, rel=1e-12),
    }
    missed = frame_of([7], {7: 0}, [0], {})
    found = frame_of([7], {7: 0}, [5], {5: 0})
    values = quality_of([[found], [missed]])  # void in one video counts for all, once
    assert (values['STQ_SQ'], values['STQ_SQ_deeplab2']) == (50, 25)
    on_void = quality_of([[frame_of([7, 0], {7: 0}, [5, 0], {5: 0})]])
    assert on_void['STQ_SQ'] == on_void['STQ_SQ_deeplab2'] == 100


def test_association_ignores_classes_and_segmentation_ids() -> None:
    video = [frame_of([7, 7, 8, 8], {7: 0, 8: 1}, [5, 5, 6, 6], {5: 1, 6: 1})]
    values = quality_of([video])
    assert values['STQ_AQ'] == 100
    assert values['STQ_SQ'] == 25  # 0 of class 0, half of class 1


def test_what_is_predicted_on_a_crowd_is_no_mistake_of_the_track() -> None:
    truth = {7: 0, 8: (0, True), 9: 2}
    on_crowd = frame_of([7, 7, 8, 8], truth, [5, 5, 5, 5], {5: 0})
    assert quality_of([[on_crowd]])['STQ'] == 100
    on_stuff = frame_of([7, 7, 9, 9], truth, [5, 5, 5, 5], {5: 0})
    assert quality_of([[on_stuff]])['STQ_AQ'] == 50


def test_void_counts_for_tracks_and_not_for_classes() -> None:
    values = quality_of([[frame_of([7, 7, 0, 0], {7: 0}, [5, 5, 5, 5], {5: 0})]])
    assert (values['STQ_AQ'], values['STQ_SQ']) == (50, 100)


def test_absent_sides_are_nan() -> None:
    stuff_only = quality_of([[frame_of([9, 9], {9: 2}, [3, 3], {3: 2})]])
    assert stuff_only['STQ_SQ'] == 100 and np.isnan([stuff_only['STQ'], stuff_only['STQ_AQ']]).all()
    nothing = quality_of([[frame_of([0], {}, [0], {})]])
    assert np.isnan(list(nothing.values())).all()
    missed = quality_of([[frame_of([7], {7: 0}, [0], {})]])
    assert set(missed.values()) == {0.0}
