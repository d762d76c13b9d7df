"""What a layer says to a picture, channel by channel, and how far a cell of it sees.

Shape legend: C channels, ``h x w`` cells, ``H x W`` input.
"""

import torch
from torch import Tensor

from mmext.errors import InputError
from mmext.explain.layers import Layer, captured, chosen
from mmext.explain.network import Network, Prepared

_MOST_ENERGY = 0.9  # of the gradient, in the field that is shown


def activations(network: Network, prepared: Prepared, layer: Layer) -> list[Tensor]:
    """The outputs ``[C, h, w]`` of a layer for a picture.

    Args:
        network: inside of ``undisturbed``.
        prepared: the picture.
        layer: of the detector.

    Raises:
        InputError: the layer puts out no maps.
    """
    with captured(network.model, layer) as outputs, torch.no_grad():
        network.predict_samples(prepared.inputs, prepared.meta)
    return [output[0] for output in chosen(outputs, layer)]


def one_output(outputs: list[Tensor], layer: Layer) -> Tensor:
    """The only output ``[C, h, w]`` of a layer.

    Raises:
        InputError: there are several.
    """
    if len(outputs) != 1:
        raise InputError(f'layer {layer} has {len(outputs)} outputs: name one, as {layer.module}:0')
    return outputs[0]


def strongest_channels(maps: Tensor, count: int) -> list[int]:
    """The channels of ``[C, h, w]`` with the largest mean square, strongest first."""
    energy = maps.double().square().mean((1, 2))
    return [int(i) for i in energy.argsort(descending=True, stable=True)[:count]]


def pick_channels(text: str, maps: Tensor) -> list[int]:
    """The channels of ``[C, h, w]`` that a user names: ``top:32``, or ``3,17``.

    Raises:
        InputError: it cannot be read, or there are fewer channels.
    """
    kind, colon, value = text.partition(':')
    try:
        if colon:
            if kind != 'top' or int(value) < 1:
                raise ValueError
            return strongest_channels(maps, int(value))
        numbers = [int(part) for part in text.split(',')]
    except ValueError:
        raise InputError(f'--channels {text}: expected top:N or numbers as 3,17') from None
    beyond = [n for n in numbers if not 0 <= n < len(maps)]
    if beyond:
        raise InputError(f'--channels {text}: the layer has channels 0 to {len(maps) - 1}')
    return numbers


def field_of_view(network: Network, prepared: Prepared, layer: Layer) -> int:
    """The side of the square, px of the input, that a cell of a layer mostly sees.

    It is the smallest centered square that holds nine tenths of the gradient of the middle cell; of
    two strides at least, of half the input at most.

    Args:
        network: inside of ``undisturbed``.
        prepared: a picture.
        layer: with one output.
    """
    inputs = prepared.inputs.clone().requires_grad_()
    with captured(network.model, layer) as outputs:
        network.features(inputs)
    if not outputs:
        return min(prepared.size_hw) // 2
    (output,) = chosen(outputs, layer)[:1]
    row, column = output.shape[2] // 2, output.shape[3] // 2
    stride = prepared.size_hw[0] / output.shape[2]
    # signs that differ, so that the channels do not cancel each other
    signs = torch.tensor([(-1.0) ** i for i in range(output.shape[1])]).to(output)
    (slope,) = torch.autograd.grad((output[0, :, row, column] * signs).sum(), inputs)
    weight = slope[0].abs().sum(0)
    total = float(weight.sum())
    least, most = max(2, round(2 * stride)), max(2, min(prepared.size_hw) // 2)
    middle = round((row + 0.5) * stride), round((column + 0.5) * stride)
    for side in range(least, most, 2):
        half = side // 2
        inside = weight[
            max(0, middle[0] - half) : middle[0] + half, max(0, middle[1] - half) : middle[1] + half
        ]
        if total > 0 and float(inside.sum()) >= _MOST_ENERGY * total:
            return side
    return max(least, most)
