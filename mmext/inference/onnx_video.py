"""A trained video model as two ONNX files, and such files applied to videos.

The graphs and what is around them are in :mod:`mmext.yolact_edge`; here is what a tool needs beside
them: a config, a checkpoint, and the form of a predictor.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData

from mmext.configuration import remove_pretrained
from mmext.drawing.colors import Picture
from mmext.errors import InputError
from mmext.inference.checkpoints import load_checkpoint, load_weights
from mmext.inference.media import open_source
from mmext.pipelines.loading import LoadImage
from mmext.yolact_edge.mask_tracker import MaskTracker
from mmext.yolact_edge.onnx_pair import KEY_SUFFIX, export_pair, file_names, quantize_pair
from mmext.yolact_edge.stream import GraphStream, open_stream

CALIBRATION_FRAMES = 100


def is_video_model(config: Config) -> bool:
    """Whether a config's model is exported as two graphs."""
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope

    from mmext.yolact_edge.video_detector import VideoYolactEdge

    init_default_scope(config.get('default_scope', 'mmdet'))
    kind = MODELS.get(config.model.type)
    return isinstance(kind, type) and issubclass(kind, VideoYolactEdge)


def export_video_model(
    config: Config,
    checkpoint_path: str,
    out: Path,
    size_hw: tuple[int, int] | None = None,
    calibrate: str | None = None,
) -> Iterator[str]:
    """Write both graphs, and those of INT8 if they are asked for.

    Args:
        config: of the model.
        checkpoint_path: its weights.
        out: ``NAME.onnx``.
        size_hw: (H, W) px of the graphs' input; None: that of the test pipeline's ``Resize``.
        calibrate: a video, whose frames say which ranges values have in INT8.

    Yields:
        What was written, one line each.

    Raises:
        InputError: the checkpoint is of another model, no size is known, or the video is none.
    """
    from mmdet.registry import MODELS

    from mmext.inference.prediction import class_table

    remove_pretrained(config)
    model = MODELS.build(config.model)
    checkpoint = load_checkpoint(checkpoint_path)
    load_weights(model, checkpoint, checkpoint_path)
    size_hw = size_hw or _configured_size(config)
    classes = class_table(config, checkpoint.get('meta', {}))['classes']
    gap = export_pair(model.eval(), out, size_hw, classes)
    names = ', '.join(map(str, file_names(out)))
    yield f'{names}: differ from torch by at most {gap:.0e} of the largest value'
    if calibrate is not None:
        target = out.with_name(f'{out.name.removesuffix(".onnx")}-int8.onnx')
        frames = [
            np.asarray(cv2.resize(frame.image, size_hw[::-1]), np.uint8)
            for frame in islice(open_source(calibrate), CALIBRATION_FRAMES)
        ]
        quantize_pair(out, frames, target)
        names = ', '.join(map(str, file_names(target)))
        yield f'{names}: INT8, calibrated on {len(frames)} frames'


def _configured_size(config: Config) -> tuple[int, int]:
    for step in config.test_dataloader.dataset.pipeline:
        if step['type'].rpartition('.')[2] == 'Resize':
            width, height = step['scale']
            return height, width
    raise InputError('the test pipeline has no Resize: name the size of the input, --size')


class GraphPredictor:
    """Two graphs, called as :class:`~mmext.inference.prediction.Predictor` is.

    Args:
        stream: the graphs and what is around them.
    """

    device = 'cpu'

    def __init__(self, stream: GraphStream) -> None:
        self.stream = stream
        self.classes: tuple[str, ...] = tuple(stream.description['classes'])
        self.thing_classes = frozenset(self.classes)
        self.dataset_meta: dict[str, Any] = {'classes': self.classes}
        self.kind = 'VideoYolactEdge in ONNX'
        self.loader = LoadImage()
        self.config = Config()  # none is known: categories of results are 1, 2, 3, ...
        self._tracker = MaskTracker()

    def __call__(
        self, images: Sequence[npt.NDArray[np.uint8]], video: Any = None, first_frame: int = 0
    ) -> list[DetDataSample]:
        """Predict frames in a row.

        Args:
            images: BGR ``[H, W, 3]`` uint8.
            video: its name; None: every picture is a key frame.
            first_frame: number of the first of them.

        Returns:
            One data sample per image, in the coordinates of the image.
        """
        samples = []
        for number, image in enumerate(images, first_frame):
            found = self.stream(image, video, number)
            place = {} if video is None else dict(video_id=video, frame_id=number)
            meta = dict(ori_shape=image.shape[:2], key_age=found.key_age, **place)
            objects = InstanceData(
                bboxes=found.boxes_xyxy,
                scores=found.scores,
                labels=found.labels,
                masks=found.masks,
            )
            if video is not None:
                objects.instances_ids = self._tracker.track(objects, meta)
            sample = DetDataSample(metainfo=meta)
            sample.pred_instances = objects
            samples.append(sample)
        return samples

    def draw(
        self,
        image: npt.NDArray[np.uint8],
        sample: DetDataSample,
        min_score: float,
        texture: Picture | None = None,
    ) -> Picture:
        """Return the prediction on the image ``[H, W, 3]`` (BGR), as RGB."""
        from mmext.inference.prediction import draw_prediction

        rgb = image[..., ::-1].copy()
        return draw_prediction(rgb, sample, self.dataset_meta, min_score, texture)


def load_pair(path: Path, backend: str) -> GraphPredictor | None:
    """The pair that ``NAME.key.onnx`` belongs to; None for a file of another name."""
    if not path.name.endswith(KEY_SUFFIX):
        return None
    name = path.name.removesuffix(KEY_SUFFIX)
    return GraphPredictor(open_stream(path.with_name(f'{name}.onnx'), backend))
