"""Any detector that can be taken apart, as ONNX files that :func:`mmext.load` takes.

The first part is the file that is named; the others lie beside it, ``upsnet.boxes.onnx`` beside
``upsnet.onnx``. The first says which they are, and holds config and class table.
"""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from torch import Tensor, nn

from mmext.errors import InputError
from mmext.failed_statements import first_line
from mmext.inference.cpu_kernels import use_cpu_kernels
from mmext.inference.deployments import deployment_of, forget_weights
from mmext.inference.parts_description import KEY, PartsDescription, part_file
from mmext.layers.graph_writing import gap_to_torch, write_graph, write_metadata
from mmext.layers.network_parts import NetworkPart

# traced and tried; no size is special
_EXAMPLE_HW, _ANOTHER_HW = (192, 256), (256, 160)


def export_detector(
    model: nn.Module,
    config: Config,
    meta: Mapping[str, Any],
    out: Path,
    size_hw: tuple[int, int] | None = None,
) -> dict[str, float]:
    """Write the parts of a detector and run each.

    Args:
        model: with its weights; it is left as it is.
        config: of it, with the test pipeline.
        meta: the class table.
        out: the file of the first part.
        size_hw: height and width of the network's input, or None to leave them open.

    Returns:
        Of each file the largest difference to torch, relative to the largest value of the output.

    Raises:
        InputError: the detector cannot be taken apart.
        RuntimeError: a file says something else than torch.
    """
    detector: Any = copy.deepcopy(model).cpu().eval().requires_grad_(False)
    use_cpu_kernels(detector)
    deployment = deployment_of(detector)
    with torch.no_grad():
        parts = deployment.network_parts(detector, size_hw or _EXAMPLE_HW, meta)
        others = deployment.network_parts(detector, size_hw or _ANOTHER_HW, meta)
    if size_hw is None and not all(part.opens for part in parts.values()):
        raise InputError(
            f'--size HEIGHT WIDTH: {type(model).__name__} has a part for images of one size, which '
            'must be named: that of the padded images of the test pipeline'
        )
    _check_predicts(detector, parts)
    gaps = {}
    for name, part in parts.items():
        path = part_file(out, name, first=name == next(iter(parts)))
        part.module.eval()
        write_graph(part.module, part.inputs, part.output_names, path, _axes(part, size_hw))
        gaps[path.name] = gap_to_torch(part.module, others[name].inputs, path, part.jumps)
    description = PartsDescription(
        config=config.pretty_text,
        meta=dict(meta),
        parts={name: list(part.output_names) for name, part in parts.items()},
        decoded=[name for name, part in parts.items() if part.jumps],
    )
    write_metadata(out, {KEY: description.to_text()})
    return gaps


class TorchRunner:
    """A part that runs in torch, where it is.

    Args:
        part: the network.
    """

    def __init__(self, part: NetworkPart) -> None:
        self._module, self.output_names = part.module, part.output_names

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The outputs for the inputs, both in the order of their names."""
        return tuple(self._module(*inputs))


def _check_predicts(detector: nn.Module, parts: Mapping[str, NetworkPart]) -> None:
    """Whether the parts are all that the detector needs of its weights.

    Raises:
        InputError: they are not.
    """
    hollow: Any = copy.deepcopy(detector)
    runners = {name: TorchRunner(part) for name, part in parts.items()}
    deployment_of(hollow).use_parts(hollow, runners)
    forget_weights(hollow)
    image = next(iter(parts.values())).inputs['image']
    shape = tuple(image.shape[2:])
    meta = dict(img_shape=shape, ori_shape=shape, batch_input_shape=shape, scale_factor=(1.0, 1.0))
    samples = [DetDataSample(metainfo=dict(meta)) for _ in image]
    try:
        with torch.no_grad():
            hollow.predict(torch.zeros_like(image), samples)
    except (RuntimeError, AttributeError, TypeError, IndexError, KeyError) as error:
        raise InputError(
            f'{type(detector).__name__} cannot be exported: it decodes with weights of its own '
            f'({first_line(error)})'
        ) from error


def _axes(part: NetworkPart, size_hw: tuple[int, int] | None) -> list[dict[int, Any]]:
    """Which axes are open: batches, numbers of boxes, and sides unless they are fixed."""
    open_dim, fixed = torch.export.Dim.DYNAMIC, torch.export.Dim.STATIC
    if not part.opens:
        return [{} for _ in part.inputs]
    height, width = (
        [fixed] * 2 if size_hw else [_multiple(part.divisor, name) for name in ('height', 'width')]
    )
    return [
        {0: open_dim, 2: height, 3: width} if tensor.dim() == 4 else {0: open_dim}
        for tensor in part.inputs.values()
    ]


def _multiple(divisor: int, name: str) -> Any:
    if divisor == 1:
        return torch.export.Dim.DYNAMIC
    return divisor * torch.export.Dim(f'{name}_over_{divisor}', min=2)
