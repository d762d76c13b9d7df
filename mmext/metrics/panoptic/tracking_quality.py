"""Segmentation and tracking quality (STQ) of videos, in numpy.

Source: Weber et al., "STEP: Segmenting and Tracking Every Pixel", NeurIPS 2021 Datasets and
Benchmarks, section 4. STQ is the geometric mean of

- the association quality AQ: for every true track g the mean over its pixels of the IoU of g
  with the predicted track that has the pixel, whatever the classes; averaged over the tracks;
- the segmentation quality: the mean IoU of the classes over all pixels, ids left aside.

Void pixels of the ground truth count for no class. Crowd regions have a class and no track; what is
predicted on them belongs to no predicted track. A track that is seen on void pixels is larger
by them.

Predicted void is a pixel missed by its true class, and no class itself. The evaluation of deeplab2
counts it as one more class of IoU 0 as soon as one labelled pixel is predicted void, so that the
mean is over C + 1 classes: its values are ``STQ_deeplab2`` and ``STQ_SQ_deeplab2``, for comparison
with numbers that were measured there. Without predicted void both are equal.

Everything comes from the tables of :mod:`mmext.metrics.panoptic.video_quality`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mmext.metrics.panoptic import quality as pq
from mmext.metrics.panoptic.video_quality import VOID_ROW, FrameTable, sum_tables


class TrackingCounts(NamedTuple):
    """What is summed over the videos."""

    association: float
    """Sum of the association qualities of the true tracks, each 0 to 1."""
    num_tracks: int
    confusion_px: pq.IntArray
    """Pixels by true and predicted class, ``[C, C + 1]``, the last column is void."""


def tracking_counts(
    frames: Sequence[FrameTable], is_thing: npt.NDArray[np.bool_]
) -> TrackingCounts:
    """The counts of one video.

    Args:
        frames: its labelled frames, in any order, at least one.
        is_thing: by class, ``[C]``.
    """
    tubes = sum_tables(frames)
    num_classes = len(is_thing)
    is_track = is_thing[tubes.gt_labels] & ~tubes.gt_is_crowd
    # the label of void is -1: it takes the last entry
    predicted = np.append(is_thing, False)[tubes.pred_labels]
    shared = tubes.areas_px[is_track][:, predicted]  # [tracks, predicted tracks]
    gt_areas = tubes.areas_px[is_track].sum(axis=1)
    pred_areas = (tubes.areas_px[~tubes.gt_is_crowd].sum(axis=0) + tubes.void_areas_px)[predicted]
    unions = gt_areas[:, None] + pred_areas - shared
    qualities = (shared * (shared / np.maximum(unions, 1))).sum(axis=1) / np.maximum(gt_areas, 1)

    confusion = np.zeros((num_classes, num_classes + 1), dtype=np.int64)
    for frame in frames:
        valid = frame.rows != VOID_ROW
        true = frame.gt_labels[frame.rows[valid]]
        pred = frame.pred_labels[frame.columns[valid]]
        pairs = true * (num_classes + 1) + np.where(pred == pq.VOID_LABEL, num_classes, pred)
        sums = np.bincount(pairs, frame.areas_px[valid], minlength=confusion.size)
        confusion += sums.astype(np.int64).reshape(confusion.shape)
    return TrackingCounts(float(qualities.sum()), int(is_track.sum()), confusion)


def tracking_quality(videos: Sequence[TrackingCounts]) -> dict[str, float]:
    """STQ and its two factors.

    Args:
        videos: the counts of each, at least one.

    Returns:
        ``STQ``, ``STQ_AQ`` and ``STQ_SQ``, 0 to 100, and ``STQ_deeplab2`` and ``STQ_SQ_deeplab2``,
        which count predicted void as a class. Without any track AQ and STQ are nan, without any
        class SQ and STQ.
    """
    num_tracks = sum(video.num_tracks for video in videos)
    association = sum(video.association for video in videos)
    confusion = np.sum([video.confusion_px for video in videos], axis=0)  # [C, C + 1]
    hits = np.diagonal(confusion)
    unions = confusion.sum(axis=1) + confusion[:, :-1].sum(axis=0) - hits
    occurs = unions > 0
    ious = hits[occurs] / unions[occurs]
    with_void = np.append(ious, 0.0) if confusion[:, -1].any() else ious
    aq = association / num_tracks if num_tracks else float('nan')
    sq, deeplab2_sq = (float(i.mean()) if len(i) else float('nan') for i in (ious, with_void))
    return {
        'STQ': 100 * float(np.sqrt(aq * sq)),
        'STQ_AQ': 100 * aq,
        'STQ_SQ': 100 * sq,
        'STQ_deeplab2': 100 * float(np.sqrt(aq * deeplab2_sq)),
        'STQ_SQ_deeplab2': 100 * deeplab2_sq,
    }
