"""A video through two exported graphs: what is around them, without the host.

Shapes: P anchors, C classes, n objects, H x W the input of the graphs, h x w the picture.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mmext.errors import InputError
from mmext.formats.onnx_metadata import read_metadata
from mmext.layers.onnx_runtimes import FileRunner, OnnxRuntime, OpenVino
from mmext.yolact_edge.fast_nms import fast_nms
from mmext.yolact_edge.key_frames import KeyFrameSchedule
from mmext.yolact_edge.key_state import KeyState
from mmext.yolact_edge.mask_assembly import assemble_masks

_RUNTIMES = {'onnxruntime': OnnxRuntime, 'openvino': OpenVino}


@dataclass
class Objects:
    """The objects of a frame.

    Attributes:
        boxes_xyxy: ``[n, 4]`` px of the picture.
        scores: ``[n]``, best first.
        labels: ``[n]``.
        masks: ``[n, h, w]`` bool.
        key_age: frames since the key frame.
    """

    boxes_xyxy: Tensor
    scores: Tensor
    labels: Tensor
    masks: Tensor
    key_age: int


class GraphStream:
    """Frames in the order of a video through the graphs.

    Args:
        key: the graph of key frames.
        between: the other one.
        description: what the files say, see :mod:`.onnx_pair`.
    """

    def __init__(
        self, key: FileRunner, between: FileRunner, description: Mapping[str, Any]
    ) -> None:
        self.key, self.between, self.description = key, between, dict(description)
        self.size_hw: tuple[int, int] = tuple(description['size_hw'])
        self.schedule = KeyFrameSchedule(int(description['key_interval']))
        self._state: dict[str, Tensor] = {}

    def __call__(self, picture: npt.NDArray[np.uint8], video: Any = 0, frame: int = 0) -> Objects:
        """See the next frame.

        Args:
            picture: BGR ``[h, w, 3]`` uint8; it is stretched to the input of the graphs.
            video: the video's name; None: the picture is a key frame.
            frame: the frame's number.
        """
        height, width = self.size_hw
        resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
        image = torch.from_numpy(np.ascontiguousarray(resized.transpose(2, 0, 1)[None], np.float32))
        age = self.schedule.age(dict(video_id=video, frame_id=frame))
        if age == 0:
            found = run_named(self.key, {'image': image})
            self._state = {name: found[name] for name in KeyState._fields}
        else:
            found = run_named(self.between, {'image': image, **self._state})
        return self._objects(found, (picture.shape[0], picture.shape[1]), age)

    def _objects(
        self, found: Mapping[str, Tensor], picture_hw: tuple[int, int], age: int
    ) -> Objects:
        values = {name: found[name][0] for name in found}
        rules, (height, width) = self.description, self.size_hw
        (index,) = (values['scores'].amax(dim=1) > rules['score_thr']).nonzero(as_tuple=True)
        boxes = values['boxes'][index]
        limit = boxes.new_tensor([width, height, width, height])
        clipped = boxes.clamp(min=0).minimum(limit)
        (inside,) = (clipped[:, 2:] > clipped[:, :2]).all(dim=1).nonzero(as_tuple=True)
        index, boxes, clipped = index[inside], boxes[inside], clipped[inside]
        options = {key: value for key, value in rules['nms'].items() if key != 'type'}
        kept = fast_nms(boxes, values['scores'][index], max_num=rules['max_per_img'], **options)
        clipped = clipped[kept.box_index]
        masks = assemble_masks(
            values['prototypes'],
            values['coefficients'][index[kept.box_index]],
            clipped,
            self.size_hw,
            self.size_hw,
            picture_hw,
            rules['mask_thr'],
        )
        scale = boxes.new_tensor([picture_hw[1] / width, picture_hw[0] / height] * 2)
        return Objects(clipped * scale, kept.scores, kept.labels, masks, age)


def open_stream(path: str | Path, backend: str = 'onnxruntime') -> GraphStream:
    """Open the two files of ``NAME.onnx``.

    Args:
        path: ``NAME.onnx``, as it was given to the export.
        backend: ``'onnxruntime'`` or ``'openvino'``.

    Raises:
        InputError: a file is missing or of another kind, or there is no such backend.
        MissingPackageError: the backend is not installed.
    """
    from mmext.yolact_edge.onnx_pair import KEY, file_names

    if backend not in _RUNTIMES:
        raise InputError(f'backend: expected one of {", ".join(_RUNTIMES)}, got {backend!r}')
    files = file_names(Path(path))
    for file in files:
        if not file.is_file():
            raise InputError(f'{file.absolute()}: no such file; mmext export writes it')
    text = read_metadata(files[0]).get(KEY)
    if text is None:
        raise InputError(f'{files[0]}: no description of a video model: export it again')
    # in float32 also where the processor has bfloat16, so that outputs are those of the graph
    key, between = (_RUNTIMES[backend](file) for file in files)
    return GraphStream(key, between, json.loads(text))


def run_named(runner: FileRunner, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The outputs of a graph by name."""
    found = runner(*(inputs[name] for name in runner.input_names))
    return dict(zip(runner.output_names, found, strict=True))
