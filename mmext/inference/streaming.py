"""A stream of frames through a model: what fails is left out and named, the rest goes on."""

import errno
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from mmdet.structures import DetDataSample

from mmext.drawing.layout import side_by_side
from mmext.errors import TRACEBACK_VARIABLE, InputError
from mmext.failed_statements import failed_statement
from mmext.inference.caption_sheets import caption_sheet
from mmext.inference.media import Frame, PictureWriter, Source, write_picture
from mmext.progress import progress_bar

if TYPE_CHECKING:
    from mmext.drawing.colors import Picture
    from mmext.inference.coco_results import ResultsWriter
    from mmext.inference.onnx_predictor import OnnxPredictor
    from mmext.inference.onnx_video import GraphPredictor
    from mmext.inference.point_smoothing import PointSmoother
    from mmext.inference.prediction import Predictor

    AnyPredictor = Predictor | OnnxPredictor | GraphPredictor

_LISTED = 20


class Outputs(NamedTuple):
    """Where predictions go.

    Attributes:
        pictures: takes the drawn pictures.
        results: takes the predictions in COCO's formats; None for drawn pictures alone.
        min_score: lowest score of a drawn box.
        texture: an atlas in which persons are dressed, RGB; None: their surfaces are lines.
    """

    pictures: PictureWriter
    results: 'ResultsWriter | None'
    min_score: float
    texture: 'Picture | None' = None


def predict_stream(
    source: Source,
    predictor: 'AnyPredictor',
    outputs: Outputs,
    batch_size: int,
    smoother: 'PointSmoother | None' = None,
) -> None:
    """Predict, draw and write every frame.

    A picture that cannot be predicted or drawn is named in ``source.skipped``. A frame of a
    video is not: the frames after it build on it.

    Args:
        source: is read once.
        predictor: the model.
        outputs: where to.
        batch_size: frames at once.
        smoother: of the key points of a video.

    Raises:
        InputError: nothing can be written any more.
    """
    source.reader = predictor.loader.read
    frames, done = iter(source), 0
    with progress_bar('predicting', source.length, 'image') as advance:
        while batch := list(islice(frames, batch_size)):
            for frame, sample in _predicted(source, predictor, batch, done):
                if smoother is not None:
                    smoother([sample])
                try:
                    _write(frame, sample, predictor, outputs)
                except (ValueError, OSError) as error:
                    _leave_out(source, frame, error)
            done += len(batch)
            advance(len(batch))


def report_left_out(source: Source) -> None:
    """Name on stderr what was left out, some of it if there is much."""
    if not source.skipped:
        return
    if source.fps is None:
        count = f'{len(source.skipped)} of {source.length} pictures were left out:'
        print(f'warning: {count}', file=sys.stderr)
    indent = 'warning: ' if source.fps is not None else '  '
    for line in source.skipped[:_LISTED]:
        print(f'{indent}{line}', file=sys.stderr)
    if len(source.skipped) > _LISTED:
        print(f'{indent}and {len(source.skipped) - _LISTED} more', file=sys.stderr)


def _predicted(
    source: Source, predictor: 'AnyPredictor', batch: Sequence[Frame], done: int
) -> Iterator[tuple[Frame, DetDataSample]]:
    """The frames with their predictions; if a batch of pictures fails, one by one."""
    video = None if source.fps is None else source.name
    try:
        first = batch[0].image_id if video is not None else done  # of a camera, some were dropped
        samples = predictor([frame.image for frame in batch], video, int(first))
    except Exception as error:
        if video is not None:
            raise
        if len(batch) == 1:
            _leave_out(source, batch[0], error)
            return
        for frame in batch:
            yield from _predicted(source, predictor, [frame], done)
        return
    yield from zip(batch, samples, strict=True)


def _write(
    frame: Frame, sample: DetDataSample, predictor: 'AnyPredictor', outputs: Outputs
) -> None:
    drawn = predictor.draw(frame.image, sample, outputs.min_score, outputs.texture)
    if outputs.results is None:
        outputs.pictures.write(frame.name, drawn)
        return
    outputs.results.write(frame, sample)
    told = caption_sheet(frame.image[..., ::-1], sample, min_score=outputs.min_score)
    if told is not None and outputs.pictures.source.fps is None:
        place = outputs.pictures.folder.parent / 'captions' / Path(frame.name).with_suffix('.jpg')
        write_picture(place, np.ascontiguousarray(told[..., ::-1]))
    outputs.pictures.write(frame.name, side_by_side([frame.image[..., ::-1], drawn]))


def _leave_out(source: Source, frame: Frame, error: Exception) -> None:
    """Note a picture that failed; what would fail for every other one as well is raised."""
    too_long = isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG
    if source.fps is not None or os.environ.get(TRACEBACK_VARIABLE):
        raise error
    if isinstance(error, InputError) or (isinstance(error, OSError) and not too_long):
        raise error
    height, width = frame.image.shape[:2]
    words = ' '.join(str(error).split())
    reason = words or f'{type(error).__name__} at {failed_statement(error)}'
    source.skipped.append(f'{frame.name} ({width} x {height} pixels): {reason[:300]}')
