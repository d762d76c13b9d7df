"""All measures of a set of videos: values by name, and a table for a person."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mmext.metrics.panoptic import quality as pq
from mmext.metrics.panoptic import video_quality as vpq
from mmext.metrics.panoptic.tracking_quality import tracking_counts, tracking_quality

MEASURES = ('VPQ', 'VSQ', 'VRQ')


class VideoReport(NamedTuple):
    """What is said about a set of videos."""

    values: dict[str, float]
    """``VPQ``, ``VSQ``, ``VRQ``, each also with ``_th`` and ``_st``: means over the windows; the
    same of each window length, ``VPQ_k5``, ``VPQ_th_k5``, ...; those of
    :func:`~mmext.metrics.panoptic.tracking_quality.tracking_quality`; if asked for
    ``VPQ/{class}``, ...; 0 to 100."""
    table: str


def report(
    videos: Sequence[Sequence[vpq.FrameTable]],
    windows: Sequence[int],
    label_interval: int,
    classes: Sequence[str],
    is_thing: Sequence[bool],
    classwise: bool,
) -> VideoReport:
    """Measures videos.

    Args:
        videos: the labelled frames of each in their order, at least one video of one frame.
        windows: window lengths in labelled frames.
        label_interval: frames from one label to the next: a window of w labelled frames is
            called ``k{(w - 1) * label_interval}``.
        classes: names, ``[C]``.
        is_thing: ``[C]``.
        classwise: with the values and rows of the classes.
    """
    things = np.array(is_thing, dtype=bool)
    counts = np.zeros((len(windows), 4, len(classes)))
    for video in videos:
        counts += vpq.video_counts(video, windows, len(classes))
    means, by_window = vpq.video_panoptic_quality(counts, is_thing)
    tracking = tracking_quality([tracking_counts(video, things) for video in videos])
    names = [f'k{(w - 1) * label_interval}' for w in windows]
    values = means | tracking
    for name, of_window in zip(names, by_window, strict=True):
        values |= {f'{measure}_{name}': value for measure, value in of_window.items()}
    head = ''.join(f'{name:>8s}' for name in (*MEASURES, *names))
    lines = [f'{"":16s}{head}']
    for title, suffix in (('all', ''), ('things', '_th'), ('stuff', '_st')):
        row = [means[measure + suffix] for measure in MEASURES]
        row += [values[f'VPQ{suffix}_{name}'] for name in names]
        lines.append(_line(title, row))
    if classwise:
        by_class = vpq.classwise_video_quality(counts)
        values |= pq.name_by_class(by_class, MEASURES, classes)
        occurring = np.flatnonzero(counts[:, 1:].any(axis=(0, 1)))
        lines += [_line(classes[i], by_class[:, i].tolist()) for i in occurring]
    lines.append('  '.join(f'{name} {value:.2f}' for name, value in tracking.items()))
    return VideoReport(values, '\n'.join(lines))


def _line(title: str, values: Sequence[float]) -> str:
    return f'{title:16.16s}' + ''.join(f'{value:8.2f}' for value in values)
