"""VPQ and STQ of a folder of predictions, as a table and as JSON."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mmext.cli.panoptic_evaluation import read_panoptic_json
from mmext.metrics.panoptic.read_video_results import (
    by_video,
    categories_of,
    frame_table,
    pair_frames,
)
from mmext.metrics.panoptic.video_report import report
from mmext.progress import progress_bar


def evaluate_folder(
    truth_json: Path,
    truth_folder: Path,
    predictions: Path,
    windows: tuple[int, ...],
    label_interval: int,
    frames_per_video: int | None,
    workers: int,
) -> tuple[str, dict[str, float]]:
    """Evaluate ``pred.json`` and ``pan_pred/`` in a folder.

    Args:
        truth_json: panoptic JSON.
        truth_folder: its PNGs.
        predictions: the folder.
        windows: window lengths in labelled frames.
        label_interval: frames from one label to the next.
        frames_per_video: see :func:`~mmext.metrics.panoptic.read_video_results.pair_frames`.
        workers: threads that read PNGs.

    Returns:
        The table for a person, and the values of
        :class:`~mmext.metrics.panoptic.video_report.VideoReport`.

    Raises:
        InputError: a file is missing or no JSON.
    """
    truth = read_panoptic_json(truth_json)
    predicted = read_panoptic_json(predictions / 'pred.json', required=())
    categories = categories_of(truth, predicted, str(truth_json))
    pairs = pair_frames(
        truth,
        truth_folder,
        predicted,
        predictions / 'pan_pred',
        frames_per_video,
    )
    tables = []
    with (
        ThreadPoolExecutor(workers) as pool,
        progress_bar('frames', len(pairs), 'frame') as advance,
    ):
        for table in pool.map(lambda pair: frame_table(pair, categories), pairs):
            tables.append(table)
            advance(1)
    videos = by_video(pairs, tables)
    values, text = report(videos, windows, label_interval, *categories[:2], classwise=True)
    return f'{len(videos)} videos, {len(pairs)} labelled frames\n{text}', values
