"""Derivatives of scores with respect to layers and input: one forward pass, K backward passes.

The score of a detection is explained by the derivative of its log-odds times ``s * (1 - s)``. That
is the derivative of the score, and does not vanish where the score is 1 in float32.

Shape legend: K detections, C channels, ``h x w`` cells, ``H x W`` input.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmext.errors import InputError
from mmext.explain import relevance
from mmext.explain.layers import Layer, captured, chosen
from mmext.explain.targets import Anchored, Live
from mmext.failed_statements import first_line

_CONFINED_CELLS = 9


class NotDifferentiable(Exception):  # noqa: N818 - a reason to take another method
    """The score has no finite derivative with respect to the input; the message says why."""


class Slopes(NamedTuple):
    """Derivatives of K scores.

    Attributes:
        activations: ``[C, h, w]`` of each output of the layer.
        slopes: ``[K, C, h, w]`` of each; 0 where an output does not matter.
        inputs: ``[K, 3, H, W]``.
        values: the scores, ``[K]``.
    """

    activations: list[Tensor]
    slopes: list[Tensor]
    inputs: Tensor
    values: Tensor


def differentiate(target: Anchored | Live, layer: Layer | None) -> Slopes:
    """The derivatives of a target at its image.

    Args:
        target: of K detections; its network is inside of ``undisturbed``.
        layer: None: with respect to the input alone.

    Raises:
        NotDifferentiable: there is no graph, or it gives numbers that are not finite.
        InputError: the layer does not matter for the scores, or puts out no maps.
    """
    model, inputs = target.network.model, target.prepared.inputs.clone().requires_grad_()
    scale = 'logit' if isinstance(target, Anchored) else 'score'
    watched: Any = captured(model, layer) if layer else nullcontext([])
    with watched as found:
        try:
            values = target(inputs, scale)[0]  # [K]
        except InputError:
            raise
        except Exception as error:
            raise NotDifferentiable(first_line(error)) from error
    outputs = chosen(found, layer) if layer else []
    if not values.requires_grad:
        raise NotDifferentiable('the score has no path to the input')
    per_score = [
        torch.autograd.grad(value, [*outputs, inputs], retain_graph=True, allow_unused=True)
        for value in values
    ]
    if layer and all(slope is None for slopes in per_score for slope in slopes[:-1]):
        raise InputError(f'layer {layer} does not matter for the score: no path leads to it')
    values = values.detach()
    factor = torch.ones_like(values)
    if scale == 'logit':
        factor, values = values.sigmoid() * (-values).sigmoid(), values.sigmoid()
    stacked = [
        torch.cat([_or_zeros(slopes[i], tensor) for slopes in per_score])
        * factor.to(tensor.dtype)[:, None, None, None]
        for i, tensor in enumerate([*outputs, inputs])
    ]
    if not all(bool(slope.isfinite().all()) for slope in stacked):
        raise NotDifferentiable('its derivatives are not finite')
    activations = [output.detach()[0] for output in outputs]
    return Slopes(activations, stacked[:-1], stacked[-1], values)


def _or_zeros(slope: Tensor | None, tensor: Tensor) -> Tensor:
    return torch.zeros_like(tensor) if slope is None else slope


def layer_maps(method: str, slopes: Slopes, centered: Sequence[bool], size_hw: tuple[int, int],
               ) -> Tensor:  # fmt: skip
    """Signed maps of the CAM family on the input, ``[K, H, W]``.

    Args:
        method: a key of :data:`.relevance.RULES`, or 'eigencam'.
        slopes: of a layer.
        centered: see :class:`.relevance.LevelMap`, of each output; missing ones are centered.
        size_hw: of the input.

    Raises:
        InputError: the method is not defined for these activations.
    """
    if method == 'eigencam':
        cells = relevance.eigencam(slopes.activations[-1])
        repeated = cells.expand(len(slopes.values), *cells.shape)
        return relevance.on_input([relevance.LevelMap(repeated)], size_hw)
    rule = relevance.RULES[method]
    flags = [*centered, *[True] * len(slopes.slopes)]
    levels = []
    for activations, level_slopes, flag in zip(
        slopes.activations, slopes.slopes, flags, strict=False
    ):
        if not level_slopes.any():
            continue  # no detection comes from this level
        try:
            levels.append(relevance.LevelMap(rule(activations, level_slopes), flag))
        except ValueError as error:
            raise InputError(f'{error}; take --layer backbone, or --method odam') from error
    if not levels:
        return torch.zeros(len(slopes.values), *size_hw, device=slopes.inputs.device)
    return relevance.on_input(levels, size_hw)


def is_confined(slopes: Slopes) -> bool:
    """Whether no score looks at more than 3 x 3 cells of the layer.

    Such a head says where it looks and nothing of what it sees: the layer before tells more.
    """
    cells = [slope.any(1).flatten(1).sum(1) for slope in slopes.slopes]  # [K] of each output
    return int(torch.stack(cells).sum(0).max()) <= _CONFINED_CELLS


def shares_of_levels(slopes: Slopes) -> Tensor:
    """How much of the absolute relevance of each score lies in each output, ``[K, levels]``."""
    sums = torch.stack(
        [
            (a * g).abs().sum((1, 2, 3))
            for a, g in zip(slopes.activations, slopes.slopes, strict=True)
        ],
        1,
    )
    return sums / sums.sum(1, keepdim=True).clamp(min=torch.finfo(sums.dtype).tiny)


def input_maps(method: str, slopes: Slopes, inputs: Tensor) -> Tensor:
    """Saliency and input times gradient, ``[K, H, W]``, of an input ``[1, 3, H, W]``."""
    if method == 'saliency':
        return slopes.inputs.abs().amax(1)
    return (slopes.inputs * inputs).sum(1)
