"""The evaluation of WIDER FACE against the loop over its 1000 thresholds, whole val set.

Both sides get the same 230,000 detections in memory and return the same three numbers, to the
last bit (checked). The reference is restated in the straightforward way: numpy for the IoU and
inside of the loops, one pass over images, detections and thresholds for each of the three settings.

Ground truth: generated with the sizes of the val set (3,226 images, 39,708 faces), or the real
``.mat`` files in the folder that the environment variable ``WIDER_FACE_GROUND_TRUTH`` names.
"""

import os
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmext.benchmark.rows import Row
from mmext.formats.wider_face_ground_truth import SETTINGS, read_ground_truth
from mmext.metrics.faces.wider_face_ap import (
    NUM_THRESHOLDS,
    average_precision,
    match_image,
    tabulate,
)

AIM = 50.0
NUM_IMAGES, MEAN_FACES, LARGEST_CROWD = 3226, 12.3, 709
FALSE_ALARMS_PER_IMAGE = 52
Floats = NDArray[np.float64]


class Image(NamedTuple):
    """Detections, best first, and faces of one image; boxes are x, y, w, h."""

    boxes: Floats
    scores: Floats
    faces: Floats
    counted: dict[str, NDArray[np.bool_]]


def run(quick: bool) -> list[Row]:
    """Evaluates the set by both; a twentieth of it if ``quick``."""
    folder = os.environ.get('WIDER_FACE_GROUND_TRUTH')
    images = _images(folder, NUM_IMAGES // 20 if quick else NUM_IMAGES)
    detections = sum(len(image.boxes) for image in images)
    ours_s, reference_s = [], []
    for _ in range(3 if quick else 1):  # one pass of the reference takes minutes
        expected, seconds = _timed(_reference, images)
        reference_s.append(seconds)
        for _ in range(3):
            found, seconds = _timed(_ours, images)
            ours_s.append(seconds)
        if found != expected:
            raise AssertionError(f'not the same AP: {found} and {expected}')
    truth = 'official .mat files' if folder else 'generated truth'
    what = f'WIDER FACE AP, {len(images)} images, {detections} detections, {truth}'
    times = statistics.median(ours_s), statistics.median(reference_s)
    return [Row(what, 'the loop over thresholds', *times, 's', AIM)]


def _timed(
    evaluate: Callable[[list[Image]], list[float]], images: list[Image]
) -> tuple[list[float], float]:
    start = time.perf_counter()
    values = evaluate(images)
    return values, time.perf_counter() - start


def _images(folder: str | None, count: int) -> list[Image]:
    """Faces, and detections near them and elsewhere with better scores near faces."""
    rng = np.random.default_rng(0)
    if folder:
        truths = [(t.boxes_xywh, t.counted) for t in read_ground_truth(folder)[:count]]
    else:
        truths = [_generated_truth(rng) for _ in range(count)]
    images: list[Image] = []
    for faces, counted in truths:
        near: Floats = np.concatenate([faces, faces[rng.random(len(faces)) < 0.6]])
        sides: Floats = np.tile(near[:, 2:], 2)
        near += 0.12 * rng.standard_normal(near.shape) * sides
        loose = np.column_stack(
            [rng.uniform(0, 1000, (FALSE_ALARMS_PER_IMAGE, 2)),
             rng.uniform(8, 90, (FALSE_ALARMS_PER_IMAGE, 2))]
        )  # fmt: skip
        boxes = np.concatenate([near, loose])
        scores = np.concatenate([rng.beta(4, 2, len(near)), rng.beta(1, 6, len(loose))])
        order = np.argsort(-scores, kind='stable')
        images.append(Image(boxes[order], scores[order], faces, counted))
    return images


def _generated_truth(
    rng: np.random.Generator,
) -> tuple[Floats, dict[str, NDArray[np.bool_]]]:
    """Faces of one image: mostly few and small, now and then a crowd."""
    count = int(min(1 + rng.pareto(1.1) * 2, LARGEST_CROWD))
    heights = np.maximum(rng.pareto(1.2, count) * 12 + 6, 1).round()
    places = rng.uniform(0, 1000, (count, 2)).round()
    faces = np.column_stack([places, (0.8 * heights).round(), heights])
    limits = dict(zip(SETTINGS, (34, 16, 9), strict=True))
    return faces, {setting: heights >= limit for setting, limit in limits.items()}


def _ours(images: list[Image]) -> list[float]:
    table = tabulate([match_image(i.boxes, i.scores, i.faces) for i in images])
    counted = {s: np.concatenate([i.counted[s] for i in images]) for s in SETTINGS}
    return [average_precision(table, counted[s]) for s in SETTINGS]


def _reference(images: list[Image]) -> list[float]:
    every = np.concatenate([image.scores for image in images])
    low, span = every.min(), every.max() - every.min()
    values = []
    for setting in SETTINGS:
        curve, num_faces = np.zeros((NUM_THRESHOLDS, 2)), 0
        for image in images:
            counted = image.counted[setting]
            num_faces += int(counted.sum())
            if len(image.boxes) and len(image.faces):
                hits_so_far, is_proposal = _reference_matches(image, counted)
                scores = (image.scores - low) / span
                curve += _reference_curve(scores, is_proposal, hits_so_far)
        values.append(_reference_area(curve, num_faces))
    return values


def _reference_matches(
    image: Image, counted: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    overlaps = _reference_iou(image.boxes, image.faces)
    state, is_proposal = np.zeros(len(image.faces)), np.ones(len(image.boxes), np.int64)
    hits_so_far = np.zeros(len(image.boxes), np.int64)
    for number in range(len(image.boxes)):
        best = overlaps[number].argmax()
        if overlaps[number, best] >= 0.5:
            if not counted[best]:
                state[best], is_proposal[number] = -1, -1
            elif state[best] == 0:
                state[best] = 1
        hits_so_far[number] = len(np.where(state == 1)[0])
    return hits_so_far, is_proposal


def _reference_iou(boxes: Floats, faces: Floats) -> Floats:
    corners = [np.column_stack([b[:, :2], b[:, :2] + b[:, 2:]]) for b in (boxes, faces)]
    sides = [
        np.minimum(corners[0][:, None, 2 + i], corners[1][None, :, 2 + i])
        - np.maximum(corners[0][:, None, i], corners[1][None, :, i])
        + 1
        for i in range(2)
    ]
    shared = np.maximum(sides[0], 0) * np.maximum(sides[1], 0)
    areas = [(c[:, 2] - c[:, 0] + 1) * (c[:, 3] - c[:, 1] + 1) for c in corners]
    overlap: Floats = shared / (areas[0][:, None] + areas[1][None] - shared)
    return overlap


def _reference_curve(
    scores: Floats, is_proposal: NDArray[np.int64], hits_so_far: NDArray[np.int64]
) -> Floats:
    curve = np.zeros((NUM_THRESHOLDS, 2))
    for step in range(NUM_THRESHOLDS):
        passing = np.where(scores >= 1 - (step + 1) / NUM_THRESHOLDS)[0]
        if len(passing):
            last = passing[-1]
            curve[step, 0] = len(np.where(is_proposal[: last + 1] == 1)[0])
            curve[step, 1] = hits_so_far[last]
    return curve


def _reference_area(curve: Floats, num_faces: int) -> float:
    with np.errstate(invalid='ignore'):
        precision = np.nan_to_num(curve[:, 1] / curve[:, 0])
    steps = np.concatenate([[0.0], curve[:, 1] / num_faces, [1.0]])
    heights = np.concatenate([[0.0], precision, [0.0]])
    for i in range(len(heights) - 1, 0, -1):
        heights[i - 1] = max(heights[i - 1], heights[i])
    change = np.where(steps[1:] != steps[:-1])[0]
    return float(np.sum((steps[change + 1] - steps[change]) * heights[change + 1]))
