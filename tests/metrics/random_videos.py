"""Random little videos and plain-loop oracles (for the tests beside this file).

Segments are given by frame: the truth as ``{id: (label, is_crowd)}``, the prediction as
``{id: label}``; 0 is void on both sides. Ids of things are equal through a video.
"""

from collections import Counter
from typing import Any

import numpy as np

from mmext.metrics.panoptic.quality import VOID_LABEL, overlap_table
from mmext.metrics.panoptic.video_quality import FrameTable, stuff_tubes

NUM_CLASSES = 4
IS_THING = np.array([True, True, False, False])
Video = list[dict[str, Any]]


def random_video(seed: int) -> Video:
    """Moving blocks that leave, come back, change class and become crowds, over stuff and void.

    A frame: ``gt_map``, ``gt`` (segments), ``pred_map``, ``pred`` (segments).
    """
    rng = np.random.default_rng(seed)
    length, (height, width) = int(rng.integers(1, 7)), rng.integers(5, 16, 2)
    count = int(rng.integers(1, 6))
    ids = [int(i) for i in rng.choice(1 << 24, count, replace=False) + 1]
    labels = {i: int(rng.integers(2)) for i in ids}
    crowds = {i for i in ids if rng.random() < 0.3}
    corners, speeds = rng.integers(-2, 8, (count, 2)), rng.integers(-2, 3, (count, 2))
    sizes = rng.integers(2, 9, (count, 2))
    track = {i: 100 + n for n, i in enumerate(ids)}
    frames = []
    for t in range(length):
        gt_map, pred_map = np.zeros((2, height, width), dtype=np.int64)
        gt_map[: height // 2], gt_map[height // 2 :] = 3_000_000 + t, 4_000_000  # stuff
        gt_map[:, : width // 6] = 0
        pred_map[: height // 2 + rng.integers(-1, 2)] = 3
        pred_map[height // 2 + 1 :] = 4
        for n, i in enumerate(ids):
            if rng.random() < 0.2:
                continue  # gone for this frame
            y, x = corners[n] + t * speeds[n]
            h, w = sizes[n]
            gt_map[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)] = i
            if rng.random() < 0.15:
                track[i] += 50  # an id switch
            dy, dx = rng.integers(-1, 2, 2)
            box = (slice(max(y + dy, 0), max(y + dy + h, 0)), slice(max(x + dx, 0), max(x + w, 0)))
            pred_map[box] = track[i]
        present = {int(i) for i in np.unique(gt_map)} - {0}
        gt = {}
        for i in present:
            if i >= 3_000_000 and i not in labels:
                gt[i] = (2 if i < 4_000_000 else 3, False)
            else:
                flip = rng.random() < 0.1  # annotators err
                gt[i] = (1 - labels[i] if flip else labels[i], i in crowds)
        # the listing order matters for crowds of one class
        gt = {i: gt[i] for i in sorted(gt, key=lambda i: (i * 7919) % 1013)}
        pred = {int(p): _pred_label(int(p), rng) for p in np.unique(pred_map) if p}
        frames.append({'gt_map': gt_map, 'gt': gt, 'pred_map': pred_map, 'pred': pred})
    return frames


def _pred_label(pred: int, rng: np.random.Generator) -> int:
    if pred in (3, 4):
        return pred - 1
    return pred % 2 if rng.random() < 0.9 else int(rng.integers(NUM_CLASSES))


def frame_of(
    gt_row: list[int], gt: dict[int, Any], pred_row: list[int], pred: dict[int, int]
) -> dict[str, Any]:
    """A frame of one row of pixels; ``gt`` by id: label or (label, is_crowd)."""
    segments = {i: s if isinstance(s, tuple) else (s, False) for i, s in gt.items()}
    return {
        'gt_map': np.array([gt_row]),
        'gt': {i: s for i, s in segments.items() if i in gt_row},
        'pred_map': np.array([pred_row]),
        'pred': {p: label for p, label in pred.items() if p in pred_row},
    }


def table_of(frame: dict[str, Any]) -> FrameTable:
    """The package's table of a frame."""
    overlaps = overlap_table(frame['gt_map'], frame['pred_map'])
    ids = np.array(list(frame['gt']), dtype=np.int64)
    labels = np.array([label for label, _ in frame['gt'].values()], dtype=np.int64)
    crowd = np.array([c for _, c in frame['gt'].values()], dtype=bool)
    pred_labels = [frame['pred'].get(int(p), VOID_LABEL) for p in overlaps.pred_ids]
    return FrameTable.from_overlaps(
        overlaps,
        np.searchsorted(overlaps.gt_ids, ids),
        (stuff_tubes(ids, labels, IS_THING), labels, crowd),
        (overlaps.pred_ids, np.array(pred_labels, dtype=np.int64)),
    )


def slow_window_counts(frames: Video) -> np.ndarray:
    """IoU sums, true positives, false positives and false negatives of one window, ``[4, C]``."""
    gt, pred, pixels = {}, {}, Counter()
    for frame in frames:
        name = {0: 'void'}
        for i, (label, crowd) in frame['gt'].items():
            name[i] = i if IS_THING[label] else f'stuff {label}'
            gt.setdefault(name[i], (label, crowd))
        for p, label in frame['pred'].items():
            pred.setdefault(p, label)
        for g, p in zip(frame['gt_map'].ravel().tolist(), frame['pred_map'].ravel().tolist(),
                        strict=True):  # fmt: skip
            pixels[name[g], p] += 1
    table, gt_done, pred_done = np.zeros((4, NUM_CLASSES)), set(), set()
    for g, (label, crowd) in gt.items():
        for p, pred_label in pred.items():
            union = sum(n for (a, b), n in pixels.items() if a == g or (b == p and a != 'void'))
            iou = pixels[g, p] / union if union else 0.0
            if not crowd and label == pred_label and iou > 0.5:
                table[:2, label] += iou, 1
                gt_done.add(g)
                pred_done.add(p)
    for g, (label, crowd) in gt.items():
        table[3, label] += not crowd and g not in gt_done
    for p, label in pred.items():
        area = sum(n for (_, b), n in pixels.items() if b == p)
        crowds = [g for g, (gt_label, crowd) in gt.items() if crowd and gt_label == label]
        forgiven = pixels['void', p] + sum(pixels[g, p] for g in crowds[-1:])
        table[2, label] += p not in pred_done and forgiven / area <= 0.5
    return table


def slow_video_counts(frames: Video, windows: tuple[int, ...]) -> np.ndarray:
    """The sums over all windows, ``[K, 4, C]``."""
    counts = np.zeros((len(windows), 4, NUM_CLASSES))
    for k, length in enumerate(windows):
        for start in range(len(frames) - length + 1):
            counts[k] += slow_window_counts(frames[start : start + length])
    return counts


def slow_tracking_quality(videos: list[Video]) -> tuple[float, float, float]:
    """AQ, SQ and the SQ that has void as a class, 0 to 1, from lists of pixels."""
    qualities, truth, guess = [], [], []
    for video in videos:
        pixels, gt, pred = [], {}, {}
        for frame in video:
            for i, segment in frame['gt'].items():
                gt.setdefault(i, segment)
            for p, label in frame['pred'].items():
                pred.setdefault(p, label)
            for g, p in zip(frame['gt_map'].ravel().tolist(), frame['pred_map'].ravel().tolist(),
                            strict=True):  # fmt: skip
                pixels.append((g, p))
                if g:
                    truth.append(frame['gt'][g][0])
                    guess.append(frame['pred'].get(p, 'void'))
        tracks = {i for i, (label, crowd) in gt.items() if IS_THING[label] and not crowd}
        guesses = {p for p, label in pred.items() if IS_THING[label]}
        crowds = {i for i, (_, crowd) in gt.items() if crowd}
        for track in tracks:
            inside = [p for g, p in pixels if g == track]
            total = 0.0
            for p in set(inside) & guesses:
                both = inside.count(p)
                either = sum(g == track or (q == p and g not in crowds) for g, q in pixels)
                total += both * both / either
            qualities.append(total / len(inside))
    ious = []
    for label in range(NUM_CLASSES):
        both = sum(t == g == label for t, g in zip(truth, guess, strict=True))
        either = sum(label in (t, g) for t, g in zip(truth, guess, strict=True))
        if either:
            ious.append(both / either)
    aq = sum(qualities) / len(qualities)
    return aq, sum(ious) / len(ious), sum(ious) / (len(ious) + ('void' in guess))
