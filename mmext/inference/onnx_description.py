"""What an ONNX file says about itself, so that it is used as the detector that it comes from.

``tools/export_onnx.py`` writes it as JSON into the file's metadata, under the key ``mmext``. It is
read as data: names and numbers, and steps of a pipeline from a list of allowed ones.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mmengine.config import Config

from mmext.errors import InputError
from mmext.formats.onnx_metadata import FileDescription, check_classes
from mmext.formats.wider_face_files import LANDMARK_FLIP_PAIRS

KEY = 'mmext'
RESIZERS = ('Resize', 'FixScaleResize', 'ResizeShortestEdge')
"""Steps of mmdet's that change the size of an image and nothing else."""
_RESIZER_OPTIONS = ('scale', 'scale_factor', 'keep_ratio', 'max_size')
_TEST_OPTIONS = ('score_thr', 'nms_pre', 'nms', 'max_per_img', 'vote', 'views')
_META = ('classes', 'palette', 'skeleton', 'keypoint_names')


@dataclass
class Description(FileDescription):
    """What is outside of the network.

    Attributes:
        system: the detector's class.
        meta: of its data: ``classes`` and, if known, ``palette``, ``skeleton``, ``keypoint_names``.
        resize: steps of the test pipeline that resize the image.
        test_cfg: ``score_thr``, ``nms_pre``, ``nms``, ``max_per_img``, ``vote``, ``views``.
        pad_bgr: the color that stands for nothing.
        pad_divisor: both sides of an image are multiples of it.
        flip_pairs: key points that change places in a mirror.
    """

    system: str
    meta: dict[str, Any]
    resize: list[dict[str, Any]]
    test_cfg: dict[str, Any]
    pad_bgr: list[float]
    pad_divisor: int = 1
    flip_pairs: list[list[int]] = field(default_factory=list)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the labels."""
        return tuple(self.meta['classes'])

    def check(self) -> None:
        """Whether all parts are what they should be; ValueError says which is not."""
        check_classes(self.meta)
        test_cfg = self.test_cfg
        for step in self.resize:
            if step['type'] not in RESIZERS or not {*step} <= {'type', *_RESIZER_OPTIONS}:
                raise ValueError(f'resize: {step}')
        for key in ('score_thr', 'nms_pre', 'max_per_img'):
            if not 0 <= float(test_cfg[key]) < math.inf:
                raise ValueError(key)
        if len(self.pad_bgr) != 3 or not 1 <= int(self.pad_divisor) < 1 << 12:
            raise ValueError('padding')
        if not {*test_cfg} <= {*_TEST_OPTIONS}:
            raise ValueError(f'test_cfg: {sorted(test_cfg)}')
        if not 0 < float(test_cfg['nms']['iou_threshold']) <= 1:
            raise ValueError('nms')


def describe(config: Config, checkpoint_meta: Mapping[str, Any]) -> Description:
    """The description of a RetinaFace.

    Args:
        config: with ``model`` and ``test_dataloader``.
        checkpoint_meta: what mmengine has stored with the weights.

    Raises:
        InputError: its test pipeline does more to an image than resizing it, or nothing names its
            classes.
    """
    from mmext.inference.prediction import class_table, image_pipeline  # these import mmdet

    meta = class_table(config, checkpoint_meta)
    resize = []
    for step in image_pipeline(config):
        kind = step['type'].rpartition('.')[2]
        if kind in RESIZERS:
            options = {key: step[key] for key in _RESIZER_OPTIONS if key in step}
            resize.append(dict(type=kind, **options))
        elif kind != 'LoadImageFromNDArray' and not kind.startswith('Pack'):
            raise InputError(
                f'the test pipeline has {step["type"]}: an ONNX file can say of '
                f'{", ".join(RESIZERS)} alone how images are prepared'
            )
    preprocessor = config.model.data_preprocessor
    padding = preprocessor.get('pad_value', 0)
    mean, std = preprocessor.mean, preprocessor.std
    pad = [float(m + padding * s) for m, s in zip(mean, std, strict=True)]
    test_cfg = config.model.test_cfg
    plain = json.loads(
        json.dumps(
            dict(
                meta={key: meta[key] for key in _META if key in meta},
                resize=resize,
                test_cfg={key: test_cfg[key] for key in _TEST_OPTIONS if key in test_cfg},
                flip_pairs=config.model.get('flip_pairs', LANDMARK_FLIP_PAIRS),
            )
        )
    )
    return Description(
        system=config.model.type.rpartition('.')[2],
        pad_bgr=pad[::-1] if preprocessor.get('bgr_to_rgb', False) else pad,
        pad_divisor=preprocessor.get('pad_size_divisor', 1),
        **plain,
    )
