"""Panoptic evaluation and loading against the reference algorithm, milliseconds per image.

The reference is restated here in a straightforward way. Evaluation: mask and area of
every predicted segment by a comparison of the whole image, prediction written as a PNG and
read back, np.unique over 64-bit pairs of ids. Loading: one comparison and one np.where
over the whole image per segment. Both sides read the same PNG of the ground truth.
"""

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmdet.structures.mask import BitmapMasks

from mmext.benchmark.rows import Row
from mmext.benchmark.timing import milliseconds_in_turn
from mmext.formats.panoptic_files import encode_id_png
from mmext.metrics.panoptic.quality_metric import PanopticQualityMetric
from mmext.upsnet.transforms import LoadPanopticAnnotations

NUM_THINGS, NUM_STUFF = 80, 53
VOID = NUM_THINGS + NUM_STUFF
OFFSET = 1000


AIM = 6.0


def run(quick: bool) -> list[Row]:
    """Measures evaluation and loading of an image, for several sizes."""
    sizes = [(480, 640, 12), (480, 640, 100)]
    sizes += [] if quick else [(1024, 2048, 30), (1024, 2048, 100)]
    repetitions = 5 if quick else 15
    cv2.setNumThreads(0)  # as the runner's env_cfg sets it
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for height, width, segments in sizes:
            sample = _sample(Path(folder), height, width, segments)
            title = f'{width}x{height}, {segments} segments'
            for what, times, aim in (
                ('panoptic quality', _evaluation(sample, repetitions), AIM),
                ('panoptic loading', _loading(sample, repetitions), None),
            ):
                against = 'the reference algorithm'
                rows.append(Row(f'{what}, {title}', against, *times, 'ms', aim))
    return rows


def _evaluation(sample: dict[str, Any], repetitions: int) -> tuple[float, float]:
    metric = PanopticQualityMetric()
    names = [str(i) for i in range(VOID)]
    metric.dataset_meta = {'classes': names, 'thing_classes': names[:NUM_THINGS]}
    prediction = sample['pred_panoptic_seg']['sem_seg']

    def reference() -> np.ndarray:
        return _reference_counts(sample, prediction.numpy()[0].copy())

    metric.process(None, [sample])
    ours = np.zeros((4, VOID))
    ours[:, metric.results[0].labels] = metric.results[0].counts
    np.testing.assert_allclose(ours, reference(), rtol=1e-12)
    return _medians(lambda: metric.process(None, [sample]), reference, repetitions)


def _loading(sample: dict[str, Any], repetitions: int) -> tuple[float, float]:
    load = LoadPanopticAnnotations(with_bbox=False, with_label=False)
    ours = load.transform(dict(sample))
    seg_map, masks = _reference_load(sample)
    np.testing.assert_array_equal(ours['gt_seg_map'], seg_map)
    np.testing.assert_array_equal(ours['gt_masks'].masks, masks.masks)
    return _medians(
        lambda: load.transform(dict(sample))['gt_masks'].masks,  # made when they are asked for
        lambda: _reference_load(sample),
        repetitions,
    )


def _medians(
    ours: Callable[[], Any], reference: Callable[[], Any], repetitions: int
) -> tuple[float, float]:
    """Median milliseconds of both, called in turn."""
    times = milliseconds_in_turn({'ours': ours, 'reference': reference}, repetitions, warmup=0)
    return statistics.median(times['ours']), statistics.median(times['reference'])


def _sample(folder: Path, height: int, width: int, segments: int) -> dict[str, Any]:
    """A data sample with a prediction: ellipses before bands, the prediction shifted a little."""
    rng = np.random.default_rng(segments)
    encoded = np.full((height, width), VOID, dtype=np.int64)  # label + OFFSET * instance
    bands = max(segments // 4, 2)
    for band, label in enumerate(rng.choice(NUM_STUFF - 1, min(bands, 20), replace=False)):
        top = band * height // min(bands, 20)
        encoded[top : top + height // min(bands, 20) - 3] = NUM_THINGS + label
    for number in range(1, segments - min(bands, 20) + 1):
        centre = rng.integers(0, (width, height))
        axes = rng.integers((width // 40, height // 40), (width // 8, height // 8))
        blob = np.zeros((height, width), dtype=np.uint8)
        cv2.ellipse(blob, centre.tolist(), axes.tolist(), int(rng.integers(180)), 0, 360, 1, -1)
        encoded[blob > 0] = rng.integers(NUM_THINGS) + OFFSET * number
    present = [int(i) for i in np.unique(encoded) if i != VOID]
    ids = np.zeros_like(encoded)
    colours = rng.choice(1 << 24, len(present), replace=False)
    for segment, colour in zip(present, colours, strict=True):
        ids[encoded == segment] = colour
    path = folder / f'{width}_{segments}.png'
    path.write_bytes(encode_id_png(ids))
    segments_info = [
        {
            'id': int(colour),
            'category': segment % OFFSET,
            'is_thing': segment >= OFFSET,
            'iscrowd': False,
        }
        for segment, colour in zip(present, colours, strict=True)
    ]
    prediction = np.roll(encoded, (height // 100, width // 100), axis=(0, 1))
    return {
        'img_id': 1,
        'seg_map_path': str(path),
        'segments_info': segments_info,
        'instances': [{'segment_id': s['id']} for s in segments_info if s['is_thing']],
        'height': height,
        'width': width,
        'pred_panoptic_seg': {'sem_seg': torch.from_numpy(prediction)[None]},
    }


def _read_ids(path: str) -> np.ndarray:
    bgr = np.asarray(cv2.imread(path), np.int64)
    return bgr[..., 2] + 256 * bgr[..., 1] + 65536 * bgr[..., 0]


def _reference_load(sample: dict[str, Any]) -> tuple[np.ndarray, BitmapMasks]:
    """Semantic map and masks, one pass over the image per segment."""
    ids = _read_ids(sample['seg_map_path'])
    seg_map, masks = np.full_like(ids, 255), []
    for segment in sample['segments_info']:
        mask = ids == segment['id']
        seg_map = np.where(mask, segment['category'], seg_map)
        if segment['is_thing']:
            masks.append(mask.astype(np.uint8))
    return seg_map, BitmapMasks(masks, *ids.shape)


def _reference_counts(sample: dict[str, Any], prediction: np.ndarray) -> np.ndarray:
    """IoU sums, true positives, false positives and false negatives, ``[4, classes]``."""
    predicted = {}
    for segment in np.unique(prediction):
        if segment % OFFSET != VOID:
            predicted[int(segment)] = int((prediction == segment).sum())
    prediction[prediction % OFFSET == VOID] = 0
    path = sample['seg_map_path'] + '.prediction.png'
    rgb = np.stack([prediction % 256, prediction // 256 % 256, prediction // 65536], axis=-1)
    cv2.imwrite(path, rgb.astype(np.uint8)[..., ::-1])

    gt_ids, pred_ids = _read_ids(sample['seg_map_path']), _read_ids(path)
    truth = {s['id']: s['category'] for s in sample['segments_info']}
    gt_areas = {i: int((gt_ids == i).sum()) for i in truth}
    pairs = gt_ids.astype(np.uint64) * np.uint64(1 << 32) + pred_ids.astype(np.uint64)
    values, counts = np.unique(pairs, return_counts=True)
    overlap = {
        (int(v) >> 32, int(v) & 0xFFFFFFFF): int(n) for v, n in zip(values, counts, strict=True)
    }
    table, matched = np.zeros((4, VOID)), set()
    for (gt, pred), area in overlap.items():
        if gt in truth and pred in predicted and truth[gt] == pred % OFFSET:
            union = gt_areas[gt] + predicted[pred] - area - overlap.get((0, pred), 0)
            if area / union > 0.5:
                table[:2, truth[gt]] += area / union, 1
                matched |= {('gt', gt), ('pred', pred)}
    for pred, area in predicted.items():
        if ('pred', pred) not in matched and overlap.get((0, pred), 0) / area <= 0.5:
            table[2, pred % OFFSET] += 1
    for gt, label in truth.items():
        table[3, label] += ('gt', gt) not in matched
    return table
