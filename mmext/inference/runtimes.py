"""The runtime of an ONNX file: which one, on which device, in which precision."""

import importlib.util
from pathlib import Path

import torch

from mmext.errors import InputError
from mmext.formats.onnx_metadata import BACKENDS
from mmext.hooks.mixed_precision.policy import choose_precision
from mmext.layers.onnx_runtimes import FileRunner, OnnxRuntime, OpenVino


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
    if backend == 'openvino':
        low = choose_precision(precision, 'cpu').dtype == torch.bfloat16
        return OpenVino(path, device, 'bf16' if low else 'fp32')
    if precision not in ('auto', 'fp32'):
        raise InputError(f'precision: {path} is of fp32, got {precision!r}')
    return OnnxRuntime(path, device)


def check_decodes_in_fp32(path: Path, precision: str) -> None:
    """Refuse low precision for a file that gives places in pixels: it would round them.

    Raises:
        InputError: ``precision`` is neither 'auto' nor 'fp32'.
    """
    if precision not in ('auto', 'fp32'):
        raise InputError(f'precision: {path} decodes inside and is of fp32, got {precision!r}')
