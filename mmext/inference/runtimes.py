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
from mmext.hooks.mixed_precision.policy import choose_precision
from mmext.inference.onnx_metadata import BACKENDS


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


def open_runner(path: Path, backend: str, device: str, precision: str) -> FileRunner:
    """Open an ONNX file.

    Args:
        path: of the file.
        backend: one of ``BACKENDS``, or 'auto': the first that is installed.
        device: 'auto', 'cpu', 'cuda:0'.
        precision: 'fp32', 'bf16' (OpenVINO), or 'auto'.

    Raises:
        InputError: the runtime cannot open it, or not in this precision or on this device.
        MissingPackageError: the runtime is not installed.
    """
    if backend == 'auto':
        installed = [name for name in BACKENDS if importlib.util.find_spec(name)]
        backend = installed[0] if installed else BACKENDS[0]
    if backend not in BACKENDS:
        raise InputError(f'backend: expected one of {", ".join(BACKENDS)}, got {backend!r}')
    return (_OnnxRuntime if backend == 'onnxruntime' else _OpenVino)(path, device, precision)


def check_decodes_in_fp32(path: Path, precision: str) -> None:
    """Refuse low precision for a file that gives places in pixels: it would round them.

    Raises:
        InputError: ``precision`` is neither 'auto' nor 'fp32'.
    """
    if precision not in ('auto', 'fp32'):
        raise InputError(f'precision: {path} decodes inside and is of fp32, got {precision!r}')


class _OnnxRuntime:
    def __init__(self, path: Path, device: str, precision: str) -> None:
        onnxruntime = _package('onnxruntime')
        if precision not in ('auto', 'fp32'):
            raise InputError(f'precision: {path} is of fp32, got {precision!r}')
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
        values = (tensor.contiguous().cpu().numpy() for tensor in inputs)
        feed = dict(zip(self.input_names, values, strict=True))
        return tuple(map(torch.from_numpy, self._session.run(self.output_names, feed)))


class _OpenVino:
    def __init__(self, path: Path, device: str, precision: str) -> None:
        openvino = _package('openvino')
        if device not in ('auto', 'cpu'):
            raise InputError(f'device {device}: OpenVINO is used on CPUs here')
        choice = choose_precision(precision, 'cpu')
        self.device = 'cpu'
        core = openvino.Core()
        core.add_extension(_deform_conv_conversion())
        settings = {
            'INFERENCE_PRECISION_HINT': 'bf16' if choice.dtype == torch.bfloat16 else 'f32',
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
