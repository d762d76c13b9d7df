"""Layers by name, their outputs as maps, and where their cells look.

Shape legend: C channels, ``h x w`` cells.
"""

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mmext.errors import InputError
from mmext.explain import detectors
from mmext.explain.heads import mapped
from mmext.explain.network import Network

INPUT = 'input'
_SAMPLES, _SIDE_PX = 4, 256
_COARSEST = 16  # above, the cells' own blur hides where they look


class Layer(NamedTuple):
    """A module of a detector, or one of its outputs.

    Attributes:
        module: its dotted name.
        output: the number of the output; None: all of them.
    """

    module: str
    output: int | None = None

    def __str__(self) -> str:
        return self.module if self.output is None else f'{self.module}:{self.output}'


def find_layer(model: nn.Module, text: str) -> Layer:
    """The layer that a user names.

    Args:
        model: the detector.
        text: 'auto' (what the heads see), 'neck', 'backbone' (its last output), a module by its
            dotted name, and behind a colon the number of an output: 'neck:1'.

    Raises:
        InputError: there is none of this name; the message has those that are like it.
    """
    name, colon, number = text.partition(':')
    if colon and not number.isdigit():
        raise InputError(f'layer {text!r}: expected the number of an output behind the colon')
    output = int(number) if colon else None
    if name == 'auto':
        name = detectors.neck_name(model)
    elif name == 'backbone' and not colon:
        output = -1
    modules = dict(model.named_modules())
    modules.pop('', None)
    if name not in modules:
        near = difflib.get_close_matches(name, modules, n=4, cutoff=0.5)
        hint = f'; near it are {", ".join(near)}' if near else ''
        raise InputError(f'the detector has no layer {name!r}{hint} (--list-layers lists them)')
    return Layer(name, output)


def list_layers(model: nn.Module) -> list[str]:
    """The modules of a detector by name, with their types; heads' losses left out."""
    return [
        f'{name}  {type(module).__name__}'
        for name, module in model.named_modules()
        if name and not name.rpartition('.')[2].startswith('loss')
    ]


@contextmanager
def captured(model: nn.Module, layer: Layer) -> Iterator[list[Tensor]]:
    """The outputs ``[B, C, h, w]`` of a layer, in the order they come, while a model runs.

    A module that is called for each level of a pyramid puts out one of each call. What follows it
    gets copies, so that nothing changes the outputs in place.
    """
    found: list[Tensor] = []

    def note(module: nn.Module, args: Any, output: Any) -> Any:
        def keep(tensor: Tensor) -> Tensor:
            if tensor.ndim != 4 or not tensor.is_floating_point():
                return tensor
            found.append(tensor)
            return tensor.clone()

        return mapped(output, keep)

    handle = model.get_submodule(layer.module).register_forward_hook(note)
    try:
        yield found
    finally:
        handle.remove()


def chosen(outputs: list[Tensor], layer: Layer) -> list[Tensor]:
    """The outputs ``[B, C, h, w]`` that a layer names.

    Raises:
        InputError: the layer puts out no maps, or not as many.
    """
    if not outputs:
        raise InputError(
            f'layer {layer.module!r} puts out no maps [B, C, h, w] before the score is there'
        )
    if layer.output is None:
        return outputs
    try:
        return [outputs[layer.output]]
    except IndexError:
        raise InputError(
            f'layer {layer.module!r} has outputs 0 to {len(outputs) - 1}, not {layer.output}'
        ) from None


def cells_are_centered(network: Network, layer: Layer) -> list[bool]:
    """Where the cells of each output of a layer look, see :class:`.relevance.LevelMap`.

    Measured: the center of the gradient of middle cells, for images of noise. Outputs that are not
    there without a head, and those of large strides, count as centered.

    Args:
        network: inside of ``undisturbed``.
        layer: its outputs in their order.
    """
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(_SAMPLES, 3, _SIDE_PX, _SIDE_PX, generator=generator)
    noise = noise.to(network.device).requires_grad_()
    try:
        with captured(network.model, layer) as outputs, torch.enable_grad():
            network.features(noise)
        return [_is_centered(output, noise) for output in outputs]
    except (RuntimeError, ValueError, AssertionError, TypeError):
        return []  # a backbone that wants another size


def _is_centered(output: Tensor, inputs: Tensor) -> bool:
    height = output.shape[2]
    stride = inputs.shape[2] / height
    if not 1 < stride <= _COARSEST:
        return True
    middle = height // 2
    (slope,) = torch.autograd.grad(
        output[:, :, middle, middle].sum(), inputs, retain_graph=True, allow_unused=True
    )
    if slope is None or not slope.any():
        return True
    weight = slope.abs().sum((0, 1))  # [H, W]
    places = torch.arange(weight.shape[0], device=weight.device, dtype=weight.dtype)
    found = (float((weight.sum(0) * places).sum()) + float((weight.sum(1) * places).sum())) / 2
    found /= float(weight.sum())
    at_origin, centered = stride * middle, stride * middle + (stride - 1) / 2
    return abs(found - centered) <= abs(found - at_origin)
