"""Video panoptic quality (VPQ) of a video and of a data set, in numpy.

Source: Kim et al., "Video Panoptic Segmentation", CVPR 2020, section 3.2. A tube is
everything that has one id inside a window of consecutive labelled frames; stuff has one tube
per class. Tubes are matched as the segments of an image are (see
:mod:`mmext.metrics.panoptic.quality`), the counts of all windows of all videos are summed for
each window length k, and VPQ is the mean of the qualities over k.

The table of shared pixels of a window is the sum of the tables of its frames: every frame is
looked at once, whatever the number of window lengths, and only its table is kept.

A tube has the class of the first frame of the window in which it appears, and a crowd is one
by that frame too, as in the published evaluation.

Shapes: G ground truth and P predicted segments of a frame; N pairs of them that share pixels;
C classes; K window lengths.
"""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from mmext.errors import InputError
from mmext.metrics.panoptic import quality as pq

VOID_ROW = -1
WINDOWS = (1, 2, 3, 4)
"""Labelled frames of the windows of Cityscapes-VPS: k = 0, 5, 10, 15, labels 5 frames apart."""


class FrameTable(NamedTuple):
    """What is kept of a frame: its segments and the pixels that they share."""

    gt_tubes: pq.IntArray
    """Tube of each ground truth segment, equal in all frames of the video, ``[G]``."""
    gt_labels: pq.IntArray
    """Their classes, ``[G]`` in ``[0, C)``."""
    gt_is_crowd: npt.NDArray[np.bool_]
    """``[G]``."""
    pred_tubes: pq.IntArray
    """Tube of each predicted segment, ``[P]``; 0 for what is predicted as void."""
    pred_labels: pq.IntArray
    """Their classes, ``[P]`` in ``[0, C)``, ``pq.VOID_LABEL`` for the void."""
    rows: pq.IntArray
    """Ground truth segment of each pair, ``[N]`` in ``[0, G)`` or ``VOID_ROW``."""
    columns: pq.IntArray
    """Predicted segment of each pair, ``[N]`` in ``[0, P)``."""
    areas_px: pq.IntArray
    """Pixels of each pair, ``[N]``, positive."""

    @classmethod
    def from_overlaps(
        cls,
        overlaps: pq.Overlaps,
        gt_positions: pq.IntArray,
        ground_truth: tuple[pq.IntArray, pq.IntArray, npt.NDArray[np.bool_]],
        prediction: tuple[pq.IntArray, pq.IntArray],
    ) -> Self:
        """The table of one frame.

        Args:
            overlaps: of its two id maps; ids of the ground truth that are not listed are void.
            gt_positions: where the G listed segments stand in ``overlaps.gt_ids``, ``[G]``.
            ground_truth: tubes, labels and crowd flags of the listed segments, ``[G]`` each.
            prediction: tubes and labels of ``overlaps.pred_ids``, ``[P]`` each.
        """
        row_of = np.full(len(overlaps.gt_ids), VOID_ROW)
        row_of[gt_positions] = np.arange(len(gt_positions))
        rows, columns = np.nonzero(overlaps.areas_px)
        areas = overlaps.areas_px[rows, columns]
        return cls(*ground_truth, *prediction, row_of[rows], columns, areas)


class Tubes(NamedTuple):
    """The tubes of some frames and the pixels that they share."""

    areas_px: pq.IntArray
    """``[G, P]``, tubes in the order in which they appear."""
    void_areas_px: pq.IntArray
    """Pixels of each predicted tube on void, ``[P]``."""
    gt_labels: pq.IntArray
    gt_is_crowd: npt.NDArray[np.bool_]
    pred_labels: pq.IntArray


def checked_windows(windows: Sequence[int]) -> tuple[int, ...]:
    """The window lengths.

    Raises:
        InputError: there is none, one is below 1 or listed twice.
    """
    if not windows or min(windows) < 1 or len(set(windows)) < len(windows):
        raise InputError(
            f'windows: expected distinct numbers of labelled frames, 1 or more, got {windows}'
        )
    return tuple(windows)


def stuff_tubes(
    ids: pq.IntArray, labels: pq.IntArray, is_thing: npt.NDArray[np.bool_]
) -> pq.IntArray:
    """Tubes of ground truth segments: the id of a thing, one tube per class of stuff.

    Args:
        ids: of the segments, ``[G]``, positive.
        labels: their classes, ``[G]``.
        is_thing: by class, ``[C]``.

    >>> stuff_tubes(np.array([7, 9]), np.array([0, 2]), np.array([True, True, False])).tolist()
    [7, -3]
    """
    return np.where(is_thing[labels], ids, -1 - labels)


def sum_tables(frames: Sequence[FrameTable]) -> Tubes:
    """Adds up the tables of some frames of one video.

    Args:
        frames: in their order, at least one.
    """
    gt_entries, gt_index = _tubes_in_order([frame.gt_tubes for frame in frames])
    pred_entries, pred_index = _tubes_in_order([frame.pred_tubes for frame in frames])
    gt_starts = np.cumsum([0, *(len(frame.gt_tubes) for frame in frames[:-1])])
    pred_starts = np.cumsum([0, *(len(frame.pred_tubes) for frame in frames[:-1])])
    # the last row is void's
    gt_index = np.append(gt_index, len(gt_entries))
    rows = [
        np.where(frame.rows == VOID_ROW, len(gt_index) - 1, frame.rows + start)
        for frame, start in zip(frames, gt_starts, strict=True)
    ]
    columns = [frame.columns + start for frame, start in zip(frames, pred_starts, strict=True)]
    shape = len(gt_entries) + 1, len(pred_entries)
    pairs = gt_index[np.concatenate(rows)] * shape[1] + pred_index[np.concatenate(columns)]
    areas = np.concatenate([frame.areas_px for frame in frames])
    # weights are summed as float64: exact, a video has fewer than 2^53 pixels
    table = np.bincount(pairs, areas, minlength=shape[0] * shape[1]).astype(np.int64)
    table = table.reshape(shape)
    return Tubes(
        table[:-1],
        table[-1],
        np.concatenate([frame.gt_labels for frame in frames])[gt_entries],
        np.concatenate([frame.gt_is_crowd for frame in frames])[gt_entries],
        np.concatenate([frame.pred_labels for frame in frames])[pred_entries],
    )


def video_counts(
    frames: Sequence[FrameTable], windows: Sequence[int], num_classes: int
) -> pq.FloatArray:
    """Count tables of one video, summed over its windows.

    Args:
        frames: the labelled frames in their order.
        windows: lengths in labelled frames, ``[K]``, at least 1. A video of T frames has
            T - w + 1 windows
            of length w, none if it is shorter.
        num_classes: C.

    Returns:
        ``[K, 4, C]`` with the rows of :func:`mmext.metrics.panoptic.quality.match_segments`.
    """
    counts = np.zeros((len(windows), 4, num_classes))
    for index, length in enumerate(windows):
        for start in range(len(frames) - length + 1):
            tubes = sum_tables(frames[start : start + length])
            counts[index] += pq.match_segments(*tubes, num_classes)
    return counts


def video_panoptic_quality(
    counts: pq.FloatArray, is_thing: Sequence[bool]
) -> tuple[dict[str, float], list[dict[str, float]]]:
    """VPQ, and SQ and RQ likewise, over all classes, over the things and over the stuff.

    Args:
        counts: count tables ``[K, 4, C]``, summed over the videos.
        is_thing: ``[C]``.

    Returns:
        The means over the window lengths, ``VPQ, VSQ, VRQ`` each also with ``_th`` and
        ``_st``, and the same for every window length, ``[K]``; 0 to 100. nan where no class
        of a group occurs, hence also if no video is as long as a window.
    """
    by_window = [
        {f'V{name}': value for name, value in pq.panoptic_quality(c, is_thing).items()}
        for c in counts
    ]
    means = {name: float(np.mean([values[name] for values in by_window])) for name in by_window[0]}
    return means, by_window


def classwise_video_quality(counts: pq.FloatArray) -> pq.FloatArray:
    """VPQ, SQ and RQ of each class: means over the window lengths at which it occurs.

    Args:
        counts: count tables ``[K, 4, C]``, summed over the videos.

    Returns:
        ``[3, C]``, 0 to 100; nan for a class that occurs nowhere.
    """
    quality = np.stack([pq.classwise_quality(c) for c in counts])  # [K, 3, C]
    occurs = ~np.isnan(quality)
    sums = np.where(occurs, quality, 0.0).sum(axis=0)
    return np.where(occurs.any(axis=0), sums / np.maximum(occurs.sum(axis=0), 1), np.nan)


def _tubes_in_order(of_frames: Sequence[pq.IntArray]) -> tuple[pq.IntArray, pq.IntArray]:
    """Distinct tubes in the order in which they appear.

    Returns:
        The first entry of every tube in the concatenation of ``of_frames``, ascending, and the
        number of the tube of every entry.
    """
    entries = np.concatenate(of_frames)
    _, firsts, index = np.unique(entries, return_index=True, return_inverse=True)
    order = np.argsort(firsts)
    number_of = np.empty_like(order)
    number_of[order] = np.arange(len(order))
    return firsts[order], number_of[index]
