"""A trained video model as two ONNX files, run and compared; and static INT8 of them.

``NAME.key.onnx`` and ``NAME.between.onnx``, see :mod:`.deployment`. What is around the graphs is in
the metadata of both, under the key ``mmext_video``, as JSON.
"""

import importlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mmext.errors import InputError, MissingPackageError
from mmext.layers.quiet_export import quiet_export
from mmext.yolact_edge.deployment import STATE, BetweenKeysNetwork, KeyFrameNetwork
from mmext.yolact_edge.video_detector import VideoYolactEdge

KEY = 'mmext_video'
KEY_SUFFIX = '.key.onnx'
LARGEST_GAP = 1e-3
"""Between torch and onnxruntime, relative to the largest value of an output."""
_OPSET = 20  # GridSample with align_corners, from 16 on
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
        RuntimeError: the difference is over ``LARGEST_GAP``.
    """
    description = json.loads(json.dumps(describe(detector, classes, size_hw)))
    key_network = KeyFrameNetwork(detector, size_hw).eval()
    between = BetweenKeysNetwork(detector, size_hw).eval()
    out.parent.mkdir(parents=True, exist_ok=True)
    image, later = torch.rand(2, 1, 3, *size_hw).mul(255)
    with torch.no_grad():
        state = key_network(image)[-len(STATE) :]
    gap = 0.0
    for network, path, inputs in zip(
        (key_network, between), file_names(out), ((image,), (later, *state)), strict=True
    ):
        write_graph(network, path, inputs, description)
        gap = max(gap, gap_to_torch(network, path, inputs))
    if not gap <= LARGEST_GAP:
        raise RuntimeError(f'{out} differs from torch by {gap:.1e} of the largest value')
    return gap


def write_graph(
    network: Any, path: Path, inputs: tuple[torch.Tensor, ...], description: Mapping[str, Any]
) -> None:
    """Write one graph, of the shapes of the inputs."""
    import onnx

    with torch.no_grad(), quiet_export():
        program = torch.export.export(network, inputs)
        torch.onnx.export(
            program,
            f=path,
            input_names=list(network.input_names),
            output_names=list(network.output_names),
            opset_version=_OPSET,
            external_data=False,
            verbose=False,
        )
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {KEY: json.dumps(description)})
    onnx.save(model, path)


def gap_to_torch(network: Any, path: Path, inputs: Sequence[torch.Tensor]) -> float:
    """The largest relative difference of an ONNX file to torch."""
    session = open_session(path)
    with torch.no_grad():
        wanted = [tensor.numpy() for tensor in network(*inputs)]
    named = {n: x.numpy() for n, x in zip(network.input_names, inputs, strict=True)}
    found = session.run(list(network.output_names), named)
    return max(
        float(np.abs(ours - theirs).max() / max(np.abs(ours).max(), 1e-6))
        for ours, theirs in zip(wanted, found, strict=True)
    )


def open_session(path: Path) -> Any:
    """A session of onnxruntime on the CPU.

    Raises:
        MissingPackageError: onnxruntime is not installed.
        InputError: the file cannot be opened.
    """
    try:
        onnxruntime: Any = importlib.import_module('onnxruntime')
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            'an ONNX file needs onnxruntime: pip install "mmext[export]"'
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    except Exception as error:  # its exceptions have no common class of their own
        raise InputError(f'{path}: onnxruntime cannot open it: {error}') from error


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
    session = open_session(key_file)
    images = [as_input(frame) for frame in frames]
    states: list[Arrays] = []
    for image in images:
        try:
            found = session.run(list(STATE), {'image': image})
        except Exception as error:
            raise InputError(f'calibration: a frame of shape {image.shape[2:]}: {error}') from error
        states.append(dict(zip(STATE, found, strict=True)))
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
