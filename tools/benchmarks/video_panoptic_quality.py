"""VPQ of a video against the published algorithm: six frames, windows of 1 to 4 frames.

The reference is restated here from its description: the maps of the video are in memory as RGB;
for every window length they are copied and all windows are walked through, where the frames are
turned into ids, the areas of the predictions are counted, the frames are stacked, and np.unique
runs over the 64-bit pairs of ids of the whole window. Both sides start from the same RGB maps; the
rows "from PNGs" add the reading of the files, which is the same on both sides.
"""

import copy
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmext.benchmark.rows import Row
from mmext.benchmark.timing import milliseconds_in_turn
from mmext.formats.panoptic_files import encode_id_png
from mmext.formats.panoptic_ids import rgb_to_id
from mmext.metrics.panoptic.read_video_results import Categories, FramePair, compare_maps
from mmext.metrics.panoptic.video_quality import WINDOWS, video_counts

AIM = 30.0  # at the size of Cityscapes
NUM_FRAMES = 6
NUM_THINGS, NUM_STUFF = 8, 11  # Cityscapes
NUM_CLASSES = NUM_THINGS + NUM_STUFF
Maps = tuple[np.ndarray, np.ndarray]
CATEGORIES = Categories(
    tuple(str(label) for label in range(NUM_CLASSES)),
    tuple(label < NUM_THINGS for label in range(NUM_CLASSES)),
    *2 * ({label: label for label in range(NUM_CLASSES)},),
)


def run(quick: bool) -> list[Row]:
    """Measures the evaluation of one video, for several numbers of objects."""
    sizes = [(256, 512, 20)] if quick else [(1024, 2048, 20), (1024, 2048, 100)]
    cv2.setNumThreads(0)  # as the runner's env_cfg sets it
    rows = []
    for height, width, objects in sizes:
        with tempfile.TemporaryDirectory() as folder:
            pairs = _write_video(Path(folder), height, width, objects)
            maps = _read(pairs)
            np.testing.assert_allclose(_ours(pairs, maps), _reference(pairs, maps), rtol=1e-12)
            sides: dict[str, Callable[[], object]] = {
                'ours': partial(_ours, pairs, maps),
                'reference': partial(_reference, pairs, maps),
                'reading': partial(_read, pairs),
            }
            times = milliseconds_in_turn(sides, 3 if quick else 5, warmup=0)
        ours, reference, reading = (statistics.median(times[side]) for side in sides)
        what = f'VPQ, {NUM_FRAMES} frames of {width}x{height}, {objects} objects, 4 windows'
        against = 'the published algorithm'
        rows.append(Row(what, against, ours, reference, 'ms', None if quick else AIM))
        rows.append(Row(f'{what}, from PNGs', against, ours + reading, reference + reading, 'ms'))
    return rows


def _read(pairs: list[FramePair]) -> list[Maps]:
    """RGB maps of truth and prediction of each frame."""
    return [(_read_rgb(pair.truth_png), _read_rgb(pair.prediction_png)) for pair in pairs]


def _read_rgb(path: Path) -> np.ndarray:
    return np.ascontiguousarray(np.asarray(cv2.imread(str(path)), np.uint8)[..., ::-1])


def _ours(pairs: list[FramePair], maps: list[Maps]) -> np.ndarray:
    tables = [
        compare_maps(pair, rgb_to_id(truth), rgb_to_id(prediction), CATEGORIES)
        for pair, (truth, prediction) in zip(pairs, maps, strict=True)
    ]
    return video_counts(tables, WINDOWS, NUM_CLASSES)


def _write_video(folder: Path, height: int, width: int, objects: int) -> list[FramePair]:
    """Ellipses that move over bands; the prediction is shifted a little and loses some ids."""
    rng = np.random.default_rng(objects)
    centres = rng.integers(0, (width, height), (objects, 2))
    axes = rng.integers((width // 60, height // 60), (width // 12, height // 12), (objects, 2))
    steps = rng.integers(-width // 50, width // 50, (objects, 2))
    labels = rng.integers(0, NUM_THINGS, objects).tolist()
    pairs = []
    for t in range(NUM_FRAMES):
        ids = np.zeros((height, width), np.int32)
        for band in range(NUM_STUFF - 1):  # below the last one is void
            ids[band * height // NUM_STUFF : (band + 1) * height // NUM_STUFF] = band + 1
        for i in range(objects):
            centre = (centres[i] + t * steps[i]).tolist()
            cv2.ellipse(ids, centre, axes[i].tolist(), 30 * i, 0, 360, 1000 * (i + 1), -1)
        prediction = np.roll(ids, (height // 100, width // 100), axis=(0, 1))
        prediction[prediction == 2000 * (t % 3)] = 77_000
        paths = folder / f'gt{t}.png', folder / f'pred{t}.png'
        infos: list[dict[str, Any]] = []
        for path, content in zip(paths, (ids, prediction), strict=True):
            path.write_bytes(encode_id_png(content))
            present, areas = np.unique(content, return_counts=True)
            segments = [
                {'id': i, 'category_id': _label(i, labels), 'area': area, 'iscrowd': 0}
                for i, area in zip(present.tolist(), areas.tolist(), strict=True)
                if i
            ]
            infos.append({'segments_info': segments})
        pairs.append(FramePair('1', infos[0], paths[0], infos[1], paths[1]))
    return pairs


def _label(segment_id: int, labels: list[int]) -> int:
    if segment_id < 1000:
        return NUM_THINGS + segment_id - 1
    return labels[segment_id // 1000 - 1] if segment_id != 77_000 else 0


def _reference(pairs: list[FramePair], maps: list[Maps]) -> np.ndarray:
    """Counts of all window lengths, ``[4, 4, C]``."""
    counts = np.zeros((len(WINDOWS), 4, NUM_CLASSES))
    for k, length in enumerate(WINDOWS):
        copied = copy.deepcopy(maps)
        for start in range(len(pairs) - length + 1):
            window = slice(start, start + length)
            counts[k] += _reference_window(pairs[window], copied[window])
    return counts


def _reference_window(pairs: list[FramePair], maps: list[Maps]) -> np.ndarray:
    gt_tubes: dict[int, dict[str, int]] = {}
    pred_tubes: dict[int, dict[str, int]] = {}
    gt_ids, pred_ids = [], []
    for pair, (gt_rgb, pred_rgb) in zip(pairs, maps, strict=True):
        gt_map, pred_map = _ids(gt_rgb), _ids(pred_rgb)
        for segment in pair.truth['segments_info']:
            _add(gt_tubes, segment, segment['area'])
        labels, areas = np.unique(pred_map, return_counts=True)
        area_of = dict(zip(labels.tolist(), areas.tolist(), strict=True))
        for segment in pair.prediction['segments_info']:
            _add(pred_tubes, segment, area_of[segment['id']])
        gt_ids.append(gt_map)
        pred_ids.append(pred_map)
    pairs_of_ids = np.stack(gt_ids).astype(np.uint64) * np.uint64(1 << 32)
    pairs_of_ids += np.stack(pred_ids).astype(np.uint64)
    values, areas = np.unique(pairs_of_ids, return_counts=True)
    overlap = {
        (int(v) >> 32, int(v) & 0xFFFFFFFF): int(n) for v, n in zip(values, areas, strict=True)
    }
    table, matched = np.zeros((4, NUM_CLASSES)), set()
    for (gt, pred), shared in overlap.items():
        if gt in gt_tubes and pred in pred_tubes:
            label = gt_tubes[gt]['label']
            union = gt_tubes[gt]['area'] + pred_tubes[pred]['area'] - shared
            iou = shared / (union - overlap.get((0, pred), 0))
            if label == pred_tubes[pred]['label'] and iou > 0.5:
                table[:2, label] += iou, 1
                matched |= {('gt', gt), ('pred', pred)}
    for pred, tube in pred_tubes.items():
        if ('pred', pred) not in matched and overlap.get((0, pred), 0) / tube['area'] <= 0.5:
            table[2, tube['label']] += 1
    for gt, tube in gt_tubes.items():
        table[3, tube['label']] += ('gt', gt) not in matched
    return table


def _ids(rgb: np.ndarray) -> np.ndarray:
    wide = rgb.astype(np.uint32)
    return wide[..., 0] + 256 * wide[..., 1] + 256 * 256 * wide[..., 2]


def _add(tubes: dict[int, dict[str, int]], segment: dict[str, Any], area: int) -> None:
    tube = tubes.setdefault(segment['id'], {'label': segment['category_id'], 'area': 0})
    tube['area'] += area
