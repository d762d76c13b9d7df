"""PQ of results files in COCO's format, side by side, as a table and as JSON."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmext.errors import InputError
from mmext.formats.json_files import parse_json
from mmext.formats.panoptic_records import annotation_list, panoptic_truth
from mmext.metrics.panoptic import quality as pq
from mmext.metrics.panoptic import read_results as submission
from mmext.metrics.panoptic.ground_truth import AnnotationTable
from mmext.progress import progress_bar

_COLUMNS = ('PQ', 'SQ', 'RQ', 'PQ_th', 'SQ_th', 'RQ_th', 'PQ_st', 'SQ_st', 'RQ_st')


class Evaluated(NamedTuple):
    """One results file."""

    name: str
    values: dict[str, float]
    """PQ, SQ, RQ of all, of groups and of classes."""
    pq_interval: submission.Interval
    gain: float
    """PQ minus that of the first file."""
    gain_interval: submission.Interval


def evaluate_files(
    truth_json: Path, truth_folder: Path | None, results: Sequence[Path], workers: int
) -> tuple[list[Evaluated], list[str]]:
    """Evaluate results files against one ground truth.

    Args:
        truth_json: panoptic JSON.
        truth_folder: its PNGs; None is the folder of its name.
        results: results JSONs, each beside the folder of its name.
        workers: threads that read PNGs.

    Returns:
        What was found for each file, and the names of the classes.

    Raises:
        InputError: a file is missing or no JSON of this form.
    """
    truth = read_panoptic_json(truth_json)
    if not truth.get('categories') or not truth['annotations']:
        raise InputError(f'{truth_json}: no categories or no annotations in it')
    truth |= panoptic_truth(truth, str(truth_json))
    classes, is_thing = submission.classes_of(truth)
    truth_table = submission.submission_table(
        truth, truth, truth_folder or png_folder(truth_json), str(truth_json)
    )
    predicted = [
        submission.submission_table(read_panoptic_json(path), truth, png_folder(path), str(path))
        for path in results
    ]
    image_ids = [annotation['image_id'] for annotation in truth['annotations']]
    names = short_names(results)
    first: np.ndarray | None = None
    evaluated: list[Evaluated] = []
    for name, table in zip(names, predicted, strict=True):
        counts = _count(name, truth_table, table, image_ids, len(classes), workers)
        total = counts.sum(axis=0)
        values = pq.panoptic_quality(total, is_thing) | pq.classwise_values(total, classes)
        resampled = submission.resampled_quality(counts)
        first = resampled if first is None else first
        gain = values['PQ'] - (evaluated[0].values['PQ'] if evaluated else values['PQ'])
        intervals = submission.interval(resampled), submission.interval(resampled - first)
        evaluated.append(Evaluated(name, values, intervals[0], gain, intervals[1]))
    return evaluated, list(classes)


def markdown(evaluated: Sequence[Evaluated]) -> str:
    """The table; with several files also what they gain over the first."""
    several = len(evaluated) > 1
    head = ['predictions', *_COLUMNS, '95 % of PQ', *(['PQ against the first'] if several else [])]
    rows = [head, ['---'] * len(head)]
    for one in evaluated:
        row = [one.name, *(f'{one.values[column]:.1f}' for column in _COLUMNS)]
        row.append('{:.1f} to {:.1f}'.format(*one.pq_interval))
        if several and one is evaluated[0]:
            row.append('–')
        elif several:
            row.append('{:+.1f} ({:+.1f} to {:+.1f})'.format(one.gain, *one.gain_interval))
        rows.append(row)
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def class_table(evaluated: Sequence[Evaluated], classes: Sequence[str]) -> str:
    """PQ of every class that occurs, for each file."""
    keys = [key for key in evaluated[0].values if key.startswith('PQ/')]
    rows = [['PQ of', *(one.name for one in evaluated)], ['---'] * (1 + len(evaluated))]
    for name, key in zip(classes, keys, strict=True):
        values = [one.values[key] for one in evaluated]
        if not np.isnan(values).all():
            rows.append([name, *('–' if np.isnan(v) else f'{v:.1f}' for v in values)])
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def as_json(evaluated: Sequence[Evaluated]) -> dict[str, Any]:
    """All values, nan as null."""
    return {
        one.name: {
            **{k: None if np.isnan(v) else v for k, v in one.values.items()},
            'PQ_95': list(one.pq_interval),
            'gain': one.gain,
            'gain_95': list(one.gain_interval),
        }
        for one in evaluated
    }


def png_folder(json_file: Path) -> Path:
    """COCO's place of the PNGs: the folder of the JSON's name, without its ending."""
    return json_file.with_suffix('')


def short_names(paths: Sequence[Path]) -> list[str]:
    """What tells the files apart: their names or, where these are equal, their paths.

    >>> short_names([Path('a/pred.json'), Path('b/pred.json')])
    ['a/pred.json', 'b/pred.json']
    """
    names = [path.name for path in paths]
    if len(set(names)) == len(names):
        return names
    if len(set(paths)) < len(paths):
        raise InputError('the same file is named twice')
    root = os.path.commonpath([path.absolute().parent for path in paths])
    return [path.absolute().relative_to(root).as_posix() for path in paths]


def read_panoptic_json(
    path: Path, required: Sequence[str] = ('image_id', 'file_name')
) -> dict[str, Any]:
    """A JSON with annotations.

    Args:
        path: the file.
        required: which of ``image_id`` and ``file_name`` each annotation must have.

    Raises:
        InputError: there is none.
    """
    if not path.is_file():
        raise InputError(f'no file {path.absolute()}')
    content = parse_json(path.read_bytes(), str(path))
    if not isinstance(content, dict) or 'annotations' not in content:
        raise InputError(f'{path}: no annotations in it')
    return content | {'annotations': annotation_list(content['annotations'], str(path), required)}


def _count(
    name: str,
    truth: AnnotationTable,
    predicted: AnnotationTable,
    image_ids: Sequence[int | str],
    num_classes: int,
    workers: int,
) -> np.ndarray:
    """Count tables ``[N, 4, C]``."""

    def one(image_id: int | str) -> pq.FloatArray:
        sides = truth.truth_of_image(image_id), predicted.truth_of_image(image_id)
        return submission.image_counts(*sides, num_classes)

    counts = np.empty((len(image_ids), 4, num_classes))
    with ThreadPoolExecutor(workers) as pool, progress_bar(name, len(counts), 'image') as advance:
        for row, table in zip(counts, pool.map(one, image_ids), strict=True):
            row[:] = table
            advance(1)
    return counts
