"""A trained video model as two ONNX files, run and compared; and static INT8 of them.

``NAME.key.onnx`` and ``NAME.between.onnx``, see :mod:`.deployment`. What is around the graphs is in
the metadata of both, under the key ``mmext_video``, as JSON.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mmext.errors import InputError
from mmext.layers.graph_writing import gap_to_torch, write_graph, write_metadata
from mmext.layers.onnx_runtimes import OnnxRuntime
from mmext.yolact_edge.deployment import STATE, BetweenKeysNetwork, KeyFrameNetwork
from mmext.yolact_edge.stream import run_named
from mmext.yolact_edge.video_detector import VideoYolactEdge

KEY = 'mmext_video'
KEY_SUFFIX = '.key.onnx'
_RULES = ('score_thr', 'nms', 'max_per_img', 'mask_thr')
Arrays = dict[str, npt.NDArray[np.float32]]


def file_names(out: Path) -> tuple[Path, Path]:
    """The two files of ``NAME.onnx``."""
    stem = str(out).removesuffix('.onnx')
    return Path(f'{stem}{KEY_SUFFIX}'), Path(f'{stem}.between.onnx')


def describe(
    detector: VideoYolactEdge, classes: Sequence[str], size_hw: tuple[int, int]
) -> dict[str, Any]:
    """What is around the graphs.

    Raises:
        InputError: the suppression is not one that can be done without mmcv.
    """
    rules = {key: detector.bbox_head.test_cfg[key] for key in _RULES}
    if rules['nms'].get('type') != 'fast':
        raise InputError(
            f'test_cfg.nms.type: two graphs are for fast NMS, got {rules["nms"].get("type")!r}: '
            '--cfg-options model.test_cfg.nms.type=fast'
        )
    interval = detector.schedule.interval
    return dict(classes=list(classes), size_hw=list(size_hw), key_interval=interval, **rules)


def export_pair(
    detector: VideoYolactEdge, out: Path, size_hw: tuple[int, int], classes: Sequence[str]
) -> float:
    """Write both files and run them once.

    Args:
        detector: in evaluation mode.
        out: ``NAME.onnx``.
        size_hw: (H, W) px of the input.
        classes: names in the order of the labels.

    Returns:
        The largest difference to torch, relative to the largest value of the output.

    Raises:
        InputError: the config has another suppression than the fast one.
        RuntimeError: the difference is over :data:`mmext.layers.graph_writing.LARGEST_GAP`.
    """
    description = json.dumps(describe(detector, classes, size_hw))
    key_network = KeyFrameNetwork(detector, size_hw).eval()
    between = BetweenKeysNetwork(detector, size_hw).eval()
    image, later = torch.rand(2, 1, 3, *size_hw).mul(255)
    with torch.no_grad():
        state = key_network(image)[-len(STATE) :]
    gaps = []
    for network, path, inputs in zip(
        (key_network, between), file_names(out), ((image,), (later, *state)), strict=True
    ):
        named = dict(zip(network.input_names, inputs, strict=True))
        write_graph(network, named, network.output_names, path, [{} for _ in named])
        write_metadata(path, {KEY: description})
        gaps.append(gap_to_torch(network, named, path))
    return max(gaps)


class _Frames:
    """Hands calibration inputs to onnxruntime, one after the other."""

    def __init__(self, inputs: Iterable[Arrays]) -> None:
        self._inputs = iter(inputs)

    def get_next(self) -> Arrays | None:
        return next(self._inputs, None)


def quantize_pair(out: Path, frames: Sequence[npt.NDArray[np.uint8]], target: Path) -> None:
    """Static INT8 of both files, calibrated on frames of the user's videos.

    Weights by channel, activations in the ranges that the frames have; the last layers of the heads
    stay in float32, because boxes and scores have few, far values.

    Args:
        out: ``NAME.onnx`` of :func:`export_pair`.
        frames: BGR ``[H, W, 3]`` uint8 of the input's size, in the order of a video: each but the
            first is calibrated between key frames, with the state of the frame before.
        target: ``NAME.onnx`` of the results.

    Raises:
        InputError: fewer than two frames, or of another size.
    """
    if len(frames) < 2:
        raise InputError(f'calibration: expected at least 2 frames of a video, got {len(frames)}')
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    key_file, between_file = file_names(out)
    runner = OnnxRuntime(key_file)
    images = [as_input(frame) for frame in frames]
    states: list[Arrays] = []
    for image in images:
        try:
            found = run_named(runner, {'image': torch.from_numpy(image)})
        except Exception as error:  # onnxruntime's have no common class of their own
            raise InputError(f'calibration: a frame of shape {image.shape[2:]}: {error}') from error
        states.append({name: found[name].numpy() for name in STATE})
    inputs: list[list[Arrays]] = [
        [dict(image=image) for image in images],
        [dict(state, image=image) for state, image in zip(states, images[1:], strict=False)],
    ]
    for source, result, given in zip(
        (key_file, between_file), file_names(target), inputs, strict=True
    ):
        quantize_static(
            str(source),
            str(result),
            _Frames(given),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=['Conv'],
            nodes_to_exclude=_last_layers(source),
        )


def as_input(frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """``[1, 3, H, W]`` float32 of a BGR frame ``[H, W, 3]``."""
    return np.ascontiguousarray(frame.transpose(2, 0, 1)[None], np.float32)


def _last_layers(path: Path) -> list[str]:
    """Convolutions whose outputs are no input of another one on any way of one-input nodes."""
    import onnx

    graph = onnx.load(path).graph
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)

    def leads_to_convolution(node: Any, seen: set[str]) -> bool:
        for reader in (r for name in node.output for r in readers.get(name, ())):
            if reader.name in seen:
                continue
            seen.add(reader.name)
            if reader.op_type == 'Conv' or leads_to_convolution(reader, seen):
                return True
        return False

    convolutions = [node for node in graph.node if node.op_type == 'Conv']
    return [node.name for node in convolutions if not leads_to_convolution(node, set())]
