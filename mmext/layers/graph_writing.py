"""Networks of tensors written as ONNX graphs, run once and compared."""

import inspect
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmext.errors import InputError
from mmext.layers.quiet_export import quiet_export

NEEDED = ('onnx', 'onnxscript', 'onnxruntime')
LARGEST_GAP = 1e-3
"""Between torch and onnxruntime, relative to the largest value of an output: over it the graph is
wrong. Trained networks differ by about 1e-5."""


def check_packages() -> None:
    """Refuse to start without the packages of the extra ``export``.

    Raises:
        InputError: naming those that are missing.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise InputError(f'ONNX export needs {", ".join(missing)}: pip install "mmext[export]"')


def write_graph(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    output_names: Sequence[str],
    out: Path,
    open_axes: Sequence[Mapping[int, Any]],
) -> torch.export.ExportedProgram:
    """Write a network of tensors as an ONNX file.

    Args:
        module: in evaluation mode; returns a tuple of tensors.
        inputs: an example, by name, in the order of its arguments.
        output_names: as many as it returns.
        out: the file.
        open_axes: of each input, axis -> ``torch.export.Dim``.

    Returns:
        What was traced.
    """
    from mmext.layers.onnx_operators import OPSET, translations

    shapes: Any = tuple(open_axes)
    parameters = inspect.signature(module.forward).parameters.values()
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        shapes = (shapes,)
    out.parent.mkdir(parents=True, exist_ok=True)
    with torch.no_grad(), quiet_export():
        program = torch.export.export(module, tuple(inputs.values()), dynamic_shapes=shapes)
        torch.onnx.export(
            program,
            f=out,
            input_names=list(inputs),
            output_names=list(output_names),
            opset_version=OPSET,
            custom_translation_table=translations(),
            external_data=False,
            verbose=False,
        )
    _forget_shapes(out)
    return program


def _forget_shapes(path: Path) -> None:
    """Leave shapes between the nodes to the runtime: the exporter gives two sides one name."""
    import onnx

    model = onnx.load(path)
    del model.graph.value_info[:]
    onnx.save(model, path)


def write_metadata(path: Path, entries: dict[str, str]) -> None:
    """Put texts into the metadata of an ONNX file."""
    import onnx

    model = onnx.load(path)
    onnx.helper.set_model_props(model, entries)
    onnx.save(model, path)


def gap_to_torch(
    module: nn.Module, inputs: Mapping[str, Tensor], path: Path, jumps: bool = False
) -> float:
    """The largest difference of an ONNX file to torch, relative to the largest value of an output.

    Args:
        module: that the file is of.
        inputs: by name.
        path: of the file.
        jumps: outputs are lists ``[N, K, ...]`` of the best, in which two of nearly equal scores
            may change places, and which may be longer on one side: of each column the sorted
            values are compared, and their median difference counts.

    Raises:
        RuntimeError: it is over ``LARGEST_GAP``.
    """
    import onnxruntime

    session: Any = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    with torch.no_grad():
        wanted = [tensor.numpy() for tensor in module(*inputs.values())]
    known = {value.name for value in session.get_inputs()}  # what has no influence is left out
    feed = {name: value.numpy() for name, value in inputs.items() if name in known}
    found = session.run(None, feed)
    pairs = zip(wanted, found, strict=True)
    gap = max((_gap(ours, theirs, jumps) for ours, theirs in pairs), default=0.0)
    if not gap <= LARGEST_GAP:
        raise RuntimeError(f'{path} differs from torch by {gap:.1e} of the largest value')
    return gap


def _gap(ours: Any, theirs: Any, jumps: bool) -> float:
    if jumps and ours.ndim > 1:
        both = (ours[:, : theirs.shape[1]], theirs[:, : ours.shape[1]])
        ours, theirs = (np.sort(values, axis=1) for values in both)
    if ours.shape != theirs.shape:
        return float('inf')
    there = np.isfinite(ours) & np.isfinite(theirs)  # -inf: nothing is there
    if not there.any():
        return 0.0
    differences = np.abs(ours[there].astype(np.float64) - theirs[there])
    largest = np.abs(ours[there]).max() or 1.0
    return float((np.median if jumps else np.max)(differences) / largest)
