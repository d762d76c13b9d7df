"""A trained detector as an object: ``mmext.load('upsnet.pth')('street.jpg')``."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Union

import cv2
import numpy as np
import numpy.typing as npt
from mmengine.config import Config
from PIL import Image

from mmext.configuration import load_config
from mmext.errors import InputError, MissingFileError
from mmext.host import import_mmdet
from mmext.host_repairs.stored_config import read_stored_config
from mmext.inference.checkpoints import check_exists
from mmext.inference.media import open_source
from mmext.inference.resuming import recorded_checkpoint

Picture = Union[str, Path, Image.Image, npt.NDArray[np.uint8]]  # noqa: UP007 - a value too


class Model:
    """A detector with its weights, its test pipeline and its class table; made by :func:`load`.

    Args:
        predictor: of the detector.
    """

    def __init__(self, predictor: Any) -> None:
        self.predictor = predictor

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the labels."""
        classes: tuple[str, ...] = self.predictor.classes
        return classes

    def __call__(self, pictures: Picture | Sequence[Picture], batch_size: int = 1) -> Any:
        """Find the objects in one picture or in several.

        Args:
            pictures: a path, a PIL image, or an array: BGR ``[H, W, 3]`` uint8, as OpenCV reads
                it; or a list of such.
            batch_size: pictures at once.

        Returns:
            A :class:`~mmext.inference.result.Result`, or a list of them for a list.

        Raises:
            InputError: a picture cannot be read.
        """
        single = isinstance(pictures, str | Path | Image.Image | np.ndarray)
        # what is no list is refused where a picture is
        listed = pictures if not single and isinstance(pictures, Iterable) else [pictures]
        results = list(self._predicted(map(self._read, listed), batch_size))
        return results[0] if single else results

    def stream(
        self, source: str | Path | int, batch_size: int = 1, smooth_points: bool = True
    ) -> Iterator[Any]:
        """Find the objects in the frames of a video, a camera or a folder, one after the other.

        A video model follows the objects of a video from frame to frame.

        Args:
            source: path, or the index of a camera.
            batch_size: frames at once.
            smooth_points: take the trembling out of key points in a video (One Euro filter).

        Yields:
            A :class:`~mmext.inference.result.Result` for each frame. Pictures of a folder that
            cannot be read are left out.

        Raises:
            InputError: there is no such source.
        """
        opened = open_source(str(source))
        opened.reader = self.predictor.loader.read
        frames = ((frame.image, frame.name) for frame in opened)
        if opened.fps is None:
            yield from self._predicted(frames, batch_size)
            return
        from mmext.inference.point_smoothing import PointSmoother

        smoother = PointSmoother(opened.fps) if smooth_points else None
        yield from self._predicted(frames, batch_size, opened.name, smoother)

    def _predicted(
        self,
        images: Iterable[tuple[npt.NDArray[np.uint8], str]],
        batch_size: int,
        video: str | None = None,
        smoother: Callable[[Sequence[Any]], Sequence[Any]] | None = None,
    ) -> Iterator[Any]:
        from mmext.inference.result import Result

        if batch_size < 1:
            raise InputError(f'batch_size: expected 1 or more, got {batch_size}')
        meta = {**self.predictor.dataset_meta, 'classes': self.classes}
        meta['thing_classes'] = tuple(self.predictor.thing_classes)
        waiting, done = iter(images), 0
        while batch := list(islice(waiting, batch_size)):
            samples: Sequence[Any] = self.predictor([image for image, _ in batch], video, done)
            samples = samples if smoother is None else smoother(samples)
            for (image, name), sample in zip(batch, samples, strict=True):
                yield Result(image, sample, meta, name)
            done += len(batch)

    def _read(self, picture: Picture) -> tuple[npt.NDArray[np.uint8], str]:
        """A picture as BGR ``[H, W, 3]``, and its name."""
        if isinstance(picture, str | Path):
            if '://' not in str(picture) and not Path(picture).is_file():
                raise MissingFileError(f'no picture at {Path(picture).absolute()}')
            return np.asarray(self.predictor.loader.read(str(picture)), np.uint8), str(picture)
        if isinstance(picture, Image.Image):
            picture = np.asarray(picture.convert('RGB'))[..., ::-1].copy()
        if not isinstance(picture, np.ndarray):
            raise InputError(
                f'a picture: expected a path, a PIL image or an array, got {type(picture).__name__}'
            )
        if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or not picture.size:
            raise InputError(
                'a picture as array: expected uint8 [H, W, 3] in BGR, got '
                f'{picture.dtype} {list(picture.shape)}'
            )
        if picture.ndim == 2 or picture.shape[2] == 1:
            return np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), np.uint8), ''
        if picture.shape[2] != 3:
            raise InputError(f'a picture as array: expected 3 channels, got {picture.shape[2]}')
        return picture, ''

    def __repr__(self) -> str:
        predictor, count = self.predictor, len(self.classes)
        plural = '' if count == 1 else 'es'
        return f'Model({predictor.kind}, {count} class{plural}, on {predictor.device})'


def load(
    source: str | Path,
    config: str | Path | Config | None = None,
    *,
    device: str = 'auto',
    precision: str = 'auto',
    trust_checkpoint: bool = False,
    allow_partial: bool = False,
    backend: str | None = None,
    vocabulary: str | Path | None = None,
) -> Model:
    """Load a trained detector, of ours or of mmdet's.

    >>> model = load('upsnet.pth')  # doctest: +SKIP
    >>> result = model('street.jpg')  # doctest: +SKIP
    >>> result.plot().save('drawn.jpg')  # doctest: +SKIP

    Args:
        source: checkpoint, by path or URL; the work folder of a training, for its best checkpoint
            or else its last one; an MLflow URI (``models:/street@champion``,
            ``runs:/ID/model``); a config with ``load_from``; or an ONNX file of
            ``mmext export``.
        config: of the checkpoint; None takes the one that is stored in it.
        device: 'auto' is the first GPU, or the CPU without one.
        precision: of the predictions, see :func:`mmext.inference.fast.fast`.
        trust_checkpoint: let a checkpoint of someone you know run code.
        allow_partial: accept a checkpoint that lacks some of the weights.
        backend: of an ONNX file: 'onnxruntime' or 'openvino'; None takes the first that is there.
        vocabulary: table of words that a detector whose classes are words finds in place of those
            that it was trained with.

    Raises:
        InputError: there is no such file, no config, the weights are of another model, or the
            device cannot do the precision.
    """
    source = str(source)
    if source.startswith(('models:/', 'runs:/')):
        source, stored = _from_mlflow(source)
        config = config or stored
    elif source.endswith('.py'):
        if config is not None:
            raise InputError(f'{source} is a config: name the checkpoint first, then the config')
        source, config = _weights_of(load_config(source))
    elif Path(source).is_dir():
        source = str(_trained_in(Path(source)))
    check_exists(source)
    if isinstance(config, str | Path):
        config = load_config(str(config))
    import_mmdet()

    from mmext.host_repairs import checkpoint_reading
    from mmext.inference.prediction import load_predictor

    checkpoint_reading.trust_checkpoints(trust_checkpoint)
    options = (allow_partial, precision, backend, vocabulary)
    return Model(load_predictor(config, source, device, *options))


def _trained_in(folder: Path) -> Path:
    """The best checkpoint of a work folder; the last one where none is the best."""
    best = sorted(folder.glob('best_*.pth'), key=lambda path: path.stat().st_mtime)
    found = best[-1] if best else recorded_checkpoint(str(folder))
    if found is None:
        raise InputError(f'{folder}: no work folder of a training, it has no checkpoint')
    return found


def _weights_of(config: Config) -> tuple[str, Config]:
    """The weights that a config names, and the config."""
    weights = config.get('load_from')
    if not weights:
        raise InputError(
            f'{config.filename} names no weights (load_from): mmext.load(CHECKPOINT, config)'
        )
    return weights, config


def _from_mlflow(uri: str) -> tuple[str, Config]:
    """Weights and config of a model in an MLflow store; no line of the config is run."""
    from mmext.hooks.mlflow_logging.delivery.stored_models import fetch_detector

    weights, config = fetch_detector(uri)
    return str(weights), read_stored_config({'cfg': config.read_text('utf-8')}, uri)
