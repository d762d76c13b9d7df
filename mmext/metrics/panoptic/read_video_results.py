"""Evaluates a folder of video panoptic predictions, in the submission format of Cityscapes-VPS.

Predictions are ``pred.json`` with ``annotations`` (``segments_info``: ``id``, ``category_id``; and,
if known, ``image_id`` and ``file_name``) beside ``pan_pred/*.png``, R + 256 G + 65536 B. The ground
truth is a COCO panoptic JSON beside its PNGs. An id is a tube: equal in all frames of a video.

Frames are paired by ``image_id`` where the predictions have those of the ground truth. Otherwise
they are paired by position, as the published script does: the ground truth sorted by file name, the
predictions in the order of their JSON. The video of a frame is ``video_id`` of the ground truth's
``images``, or the number with which the names of Cityscapes-VPS begin, or a given number of
frames in a row makes a video.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmext.errors import InputError, MissingFileError
from mmext.formats.panoptic_files import (
    category_table,
    decode_id_png,
    labels_of_categories,
    segment_positions,
)
from mmext.formats.panoptic_records import panoptic_categories
from mmext.metrics.panoptic import quality as pq
from mmext.metrics.panoptic import video_quality as vpq

_CITYSCAPES_VPS_NAME = re.compile(r'(\d{4})_\d{4}_')  # video and frame, the city follows
Json = dict[str, Any]


class FramePair(NamedTuple):
    """The ground truth and the prediction of one frame."""

    video: str
    truth: Json
    """Entry of the ground truth's ``annotations``."""
    truth_png: Path
    prediction: Json
    """Entry of the prediction's ``annotations``."""
    prediction_png: Path


class Categories(NamedTuple):
    """The classes of the ground truth."""

    names: tuple[str, ...]
    is_thing: tuple[bool, ...]
    label_of_id: Mapping[int, int]
    """By category id of the ground truth."""
    label_of_predicted_id: Mapping[int, int]
    """By category id of the predictions; that of the ground truth if they bring no table."""


def categories_of(truth: Json, predictions: Json, source: str) -> Categories:
    """The classes of a panoptic JSON, things first, and what predictions call them.

    Raises:
        InputError: it is no panoptic JSON, or predictions are of other classes.
    """
    if not {'annotations', 'categories'} <= truth.keys():
        raise InputError(f'{source}: no panoptic file (annotations and categories)')
    categories = panoptic_categories(truth['categories'], source).values()
    table = category_table(categories)
    classes, things = table['classes'], table['thing_classes']
    labels = labels_of_categories(categories, classes, things, source)
    label_of_name = {name: label for label, name in enumerate(classes)}
    own = {c['id']: str(c['name']) for c in predictions.get('categories', ())}
    unknown = sorted(set(own.values()) - set(classes))
    if unknown:
        raise InputError(f'pred.json: its categories {unknown} are none of {source}')
    predicted = {i: label_of_name[name] for i, name in own.items()} or labels
    return Categories(classes, tuple(name in set(things) for name in classes), labels, predicted)


def pair_frames(
    truth: Json,
    truth_folder: Path,
    predictions: Json,
    prediction_folder: Path,
    frames_per_video: int | None = None,
) -> list[FramePair]:
    """Who is compared with whom, by video, in the order of time.

    Args:
        truth: panoptic JSON.
        truth_folder: its PNGs.
        predictions: ``pred.json``.
        prediction_folder: its PNGs.
        frames_per_video: this many frames in a row are a video, None = see the module's text.

    Raises:
        InputError: frames without a partner, without a video, or videos that are not full.
        MissingFileError: the folder of predictions holds too few PNGs.
    """
    of_truth = sorted(truth['annotations'], key=lambda a: str(a['file_name']))
    of_prediction = _partners(of_truth, predictions['annotations'])
    pngs = _prediction_pngs(of_prediction, prediction_folder)
    videos, times = _videos(of_truth, truth.get('images', []), frames_per_video)
    pairs = [
        FramePair(video, gt, truth_folder / gt['file_name'], pred, png)
        for video, gt, pred, png in zip(videos, of_truth, of_prediction, pngs, strict=True)
    ]
    order = sorted(range(len(pairs)), key=lambda i: (videos[i], times[i]))
    return [pairs[i] for i in order]


def frame_table(pair: FramePair, categories: Categories) -> vpq.FrameTable:
    """Reads the two PNGs of a frame and reduces them to the table of their segments.

    Raises:
        InputError: PNG and JSON disagree, sizes differ, or the ground truth lacks a category.
        MissingFileError: a PNG is missing.
    """
    gt_map = decode_id_png(_read(pair.truth_png), str(pair.truth_png))
    pred_map = decode_id_png(_read(pair.prediction_png), str(pair.prediction_png))
    return compare_maps(pair, gt_map, pred_map, categories)


def compare_maps(
    pair: FramePair, gt_map: pq.IntArray, pred_map: pq.IntArray, categories: Categories
) -> vpq.FrameTable:
    """Reduces the id maps ``[H, W]`` of a frame to the table of their segments.

    Raises:
        InputError: map and JSON disagree, sizes differ, or the ground truth lacks a category.
    """
    if gt_map.shape != pred_map.shape:
        raise InputError(
            f'{pair.prediction_png}: shape {pred_map.shape}, of {pair.truth_png} {gt_map.shape}'
        )
    overlaps = pq.overlap_table(gt_map, pred_map)
    gt_segments, pred_segments = pair.truth['segments_info'], pair.prediction['segments_info']
    gt_ids = [s['id'] for s in gt_segments]
    gt_labels = _labels(gt_segments, categories.label_of_id, pair.truth_png)
    positions = segment_positions(
        overlaps.pred_ids, [s['id'] for s in pred_segments], str(pair.prediction_png)
    )
    pred_labels = np.full(len(overlaps.pred_ids), pq.VOID_LABEL)
    pred_labels[positions] = _labels(
        pred_segments, categories.label_of_predicted_id, pair.prediction_png
    )
    is_thing = np.array(categories.is_thing)
    gt_tubes = vpq.stuff_tubes(np.array(gt_ids, dtype=np.int64), gt_labels, is_thing)
    is_crowd = np.array([bool(s.get('iscrowd', 0)) for s in gt_segments], dtype=bool)
    return vpq.FrameTable.from_overlaps(
        overlaps,
        segment_positions(overlaps.gt_ids, gt_ids, str(pair.truth_png)),
        (gt_tubes, gt_labels, is_crowd),
        (overlaps.pred_ids.astype(np.int64), pred_labels),
    )


def by_video(
    pairs: Sequence[FramePair], tables: Sequence[vpq.FrameTable]
) -> list[list[vpq.FrameTable]]:
    """The tables of each video, from pairs in the order of :func:`pair_frames`."""
    both = zip(pairs, tables, strict=True)
    return [[table for _, table in group] for _, group in groupby(both, lambda b: b[0].video)]


def _partners(of_truth: Sequence[Json], of_prediction: Sequence[Json]) -> list[Json]:
    """The prediction of each frame of the ground truth."""
    ids = {a.get('image_id'): a for a in of_prediction}
    # Cityscapes-VPS numbers its labelled frames in one file and all frames in another
    known = any(a['image_id'] in ids for a in of_truth) or len(of_prediction) != len(of_truth)
    if known and None not in ids and len(ids) == len(of_prediction):
        missing = [a['image_id'] for a in of_truth if a['image_id'] not in ids]
        if missing:
            raise InputError(
                f'{len(missing)} of {len(of_truth)} frames have no prediction, the first: '
                f'image_id {missing[:8]}'
            )
        return [ids[a['image_id']] for a in of_truth]
    if len(of_prediction) != len(of_truth):
        raise InputError(
            f"predictions without the truth's image_id are paired by position, but there are "
            f'{len(of_prediction)} of them and {len(of_truth)} frames in the truth'
        )
    return list(of_prediction)


def _prediction_pngs(of_prediction: Sequence[Json], folder: Path) -> list[Path]:
    """The PNG of each prediction: by ``file_name``, by ``image_id``, or by position."""
    if all('file_name' in a for a in of_prediction):
        return [folder / Path(a['file_name']).with_suffix('.png') for a in of_prediction]
    if all('image_id' in a for a in of_prediction):
        return [folder / f'{a["image_id"]}.png' for a in of_prediction]
    pngs = sorted(folder.glob('*.png'))
    if len(pngs) != len(of_prediction):
        raise MissingFileError(f'{folder}: {len(pngs)} PNGs for {len(of_prediction)} predictions')
    return pngs


def _videos(
    of_truth: Sequence[Json], images: Sequence[Json], frames_per_video: int | None
) -> tuple[list[str], list[Any]]:
    """The video of each frame, and what orders the frames of one."""
    if frames_per_video is not None:
        if frames_per_video < 1 or len(of_truth) % frames_per_video:
            raise InputError(
                f'{len(of_truth)} frames are no whole number of videos of {frames_per_video}'
            )
        numbers = range(len(of_truth))
        return [f'{i // frames_per_video:06d}' for i in numbers], list(numbers)
    known = {image['id']: image for image in images if image.get('video_id') is not None}
    if all(a['image_id'] in known for a in of_truth):
        entries = [known[a['image_id']] for a in of_truth]
        times = [e.get('frame_id', a['file_name']) for e, a in zip(entries, of_truth, strict=True)]
        return [str(e['video_id']) for e in entries], times
    names = [Path(a['file_name']).name for a in of_truth]
    matches = [_CITYSCAPES_VPS_NAME.match(name) for name in names]
    unknown = [name for name, match in zip(names, matches, strict=True) if match is None]
    if unknown:
        raise InputError(
            f'the truth does not say which video {unknown[0]} belongs to: no video_id in images, '
            'no name of Cityscapes-VPS (0001_0001_city…); say how many frames in a row are one'
        )
    return [match.group(1) for match in matches if match], names


def _labels(segments: Sequence[Json], label_of_id: Mapping[int, int], png: Path) -> pq.IntArray:
    labels = [label_of_id.get(s['category_id'], -1) for s in segments]
    if -1 in labels:
        wrong = segments[labels.index(-1)]
        raise InputError(
            f'{png}: segment {wrong["id"]} has category_id {wrong["category_id"]}, which is none '
            f'of the classes ({sorted(label_of_id)})'
        )
    return np.array(labels, dtype=np.int64)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise MissingFileError(f'no PNG at {path.absolute()}') from None
