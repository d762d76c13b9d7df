"""Runtimes that run ONNX files on torch's tensors: onnxruntime and OpenVINO.

Both share the memory of the tensors where they can, and use as many threads as torch.
"""

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from mmext.errors import InputError, MissingPackageError


class FileRunner(Protocol):
    """An opened ONNX file.

    Attributes:
        device: that it runs on.
        input_names: of the graph.
        input_shapes: of each input; None for an open side.
        output_names: of the graph.
    """

    device: str
    input_names: tuple[str, ...]
    input_shapes: tuple[tuple[int | None, ...], ...]
    output_names: tuple[str, ...]

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The outputs for the inputs, both in the order of their names."""


class OnnxRuntime:
    """A file in onnxruntime, in float32.

    Args:
        path: of the file.
        device: 'auto', 'cpu', 'cuda:0'.

    Raises:
        InputError: it cannot be opened, or not on this device.
        MissingPackageError: onnxruntime is not installed.
    """

    def __init__(self, path: Path, device: str = 'cpu') -> None:
        onnxruntime = _package('onnxruntime')
        provider, self.device = _provider(onnxruntime, device)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3  # errors
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=[provider])
        except Exception as error:  # its exceptions have no common class of their own
            raise InputError(f'{path}: onnxruntime cannot open it: {_line(error)}') from error
        inputs = self._session.get_inputs()
        self.input_names = tuple(value.name for value in inputs)
        self.input_shapes = tuple(
            tuple(side if isinstance(side, int) else None for side in value.shape)
            for value in inputs
        )
        self.output_names = tuple(value.name for value in self._session.get_outputs())

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The outputs for the inputs, both in the order of their names."""
        values = (tensor.contiguous().cpu().numpy() for tensor in inputs)
        feed = dict(zip(self.input_names, values, strict=True))
        return tuple(map(torch.from_numpy, self._session.run(self.output_names, feed)))


class OpenVino:
    """A file in OpenVINO, on a CPU.

    Args:
        path: of the file.
        device: 'auto' or 'cpu'.
        precision: 'fp32', also where the processor has bfloat16, or 'bf16'.

    Raises:
        InputError: it cannot be opened, or is asked for another device.
        MissingPackageError: OpenVINO is not installed.
    """

    def __init__(self, path: Path, device: str = 'cpu', precision: str = 'fp32') -> None:
        openvino = _package('openvino')
        if device not in ('auto', 'cpu'):
            raise InputError(f'device {device}: OpenVINO is used on CPUs here')
        self.device = 'cpu'
        core = openvino.Core()
        core.add_extension(_deform_conv_conversion())
        settings = {
            'INFERENCE_PRECISION_HINT': 'bf16' if precision == 'bf16' else 'f32',
            'INFERENCE_NUM_THREADS': torch.get_num_threads(),
        }
        try:
            self._network = core.compile_model(core.read_model(path), 'CPU', settings)
        except Exception as error:  # RuntimeError mostly; its own classes are not public
            raise InputError(f'{path}: OpenVINO cannot open it: {_line(error)}') from error
        self.input_names = tuple(value.get_any_name() for value in self._network.inputs)
        self.input_shapes = tuple(
            tuple(side.get_length() if side.is_static else None for side in value.partial_shape)
            for value in self._network.inputs
        )
        self.output_names = tuple(value.get_any_name() for value in self._network.outputs)

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The outputs for the inputs, both in the order of their names."""
        values = [tensor.contiguous().cpu().numpy() for tensor in inputs]
        results = self._network(values, share_inputs=True)
        return tuple(torch.from_numpy(results[index]) for index in range(len(self.output_names)))


def _deform_conv_conversion() -> Any:
    """OpenVINO has the operation, but its reader of ONNX does not know the name."""
    operations: Any = importlib.import_module('openvino.opset15')
    frontend: Any = importlib.import_module('openvino.frontend.onnx')

    def convert(node: Any) -> list[Any]:
        inputs = [node.get_input(index) for index in range(node.get_input_size())]
        data, weight, offsets, *rest = inputs
        pads = node.get_attribute('pads')
        given = dict(mask=rest[1]) if len(rest) > 1 else {}
        convolved = operations.deformable_convolution(
            data,
            offsets,
            weight,
            node.get_attribute('strides'),
            pads[:2],
            pads[2:],
            node.get_attribute('dilations'),
            bilinear_interpolation_pad=True,
            **given,
        )
        if not rest:
            return [convolved.output(0)]
        bias = operations.unsqueeze(rest[0], operations.constant([0, 2, 3]))
        return [operations.add(convolved, bias).output(0)]

    return frontend.ConversionExtension('DeformConv', '', convert)


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingPackageError(f'an ONNX file needs {name}: pip install {name}') from error


def _provider(onnxruntime: Any, device: str) -> tuple[str, str]:
    known = onnxruntime.get_available_providers()
    on_gpu = 'CUDAExecutionProvider' in known
    if device == 'cpu' or (device == 'auto' and not on_gpu):
        return 'CPUExecutionProvider', 'cpu'
    if not on_gpu or not (device == 'auto' or device.startswith('cuda')):
        raise InputError(
            f'device {device}: this onnxruntime has {", ".join(_plain(known))} '
            '(pip install onnxruntime-gpu for CUDA)'
        )
    return 'CUDAExecutionProvider', 'cuda'


def _plain(providers: Sequence[str]) -> Iterator[str]:
    return (name.removesuffix('ExecutionProvider') for name in providers)


def _line(error: Exception) -> str:
    return ' '.join(str(error).split())[:200]
