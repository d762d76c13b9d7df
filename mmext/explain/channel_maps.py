"""Maps by what the channels of a layer do to a score: AblationCAM and Score-CAM.

Sources: Ramaswamy and Desai 2020 (AblationCAM): the weight of a channel is the share of the score
that is lost without it. Wang 2020 (Score-CAM): the weight is the score of the picture seen through
the channel, by a softmax over the channels.

Deviations: of a pyramid, only the levels without which a score changes; of their channels, only
those with the most energy, as each costs a prediction. The maps are signed, levels are added per
pixel as in :mod:`.relevance`.

Shape legend: K detections, C channels, L outputs of a layer, n chosen channels, ``H x W`` input.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mmext.errors import InputError
from mmext.explain.heads import mapped
from mmext.explain.layers import Layer, captured, chosen
from mmext.explain.network import Prepared
from mmext.explain.relevance import LevelMap, enlarged, on_input

_MATTERS = 0.01  # of the largest change by a level
_ROUNDING = 1e-5  # of a score: batches of several sizes differ by less

Score = Callable[[Tensor, str], Tensor]


class Channel(NamedTuple):
    """A channel: of which output of the layer, and which there."""

    level: int
    channel: int


class Replay(NamedTuple):
    """A score with a layer whose channels can be taken away.

    Attributes:
        model: the detector.
        layer: the layer.
        target: scores ``[B, K]`` of inputs.
        prepared: the image.
        activations: ``[C, h, w]`` of each output.
        values: ``[K]``, the scores of the image.
        block: inputs at once.
    """

    model: nn.Module
    layer: Layer
    target: Score
    prepared: Prepared
    activations: list[Tensor]
    values: Tensor
    block: int

    def without(self, absent: Sequence[Sequence[Channel]]) -> Tensor:
        """The scores ``[n, K]`` without the channels of each of n sets."""
        rows = []
        for start in range(0, len(absent), self.block):
            part = absent[start : start + self.block]
            keep = [a.new_ones(len(part), len(a), 1, 1) for a in self.activations]
            for row, channels in enumerate(part):
                for level, channel in channels:
                    keep[level][row, channel] = 0
            inputs = self.prepared.inputs.expand(len(part), -1, -1, -1)
            with _multiplied(self.model, self.layer, keep):
                rows.append(self.target(inputs, 'score'))
        return torch.cat(rows)

    def through(self, masks: Sequence[Tensor]) -> Tensor:
        """The scores ``[n, K]`` of the image times each of n masks ``[H, W]``."""
        rows = []
        for start in range(0, len(masks), self.block):
            part = torch.stack(list(masks[start : start + self.block]))[:, None]
            rows.append(self.target(self.prepared.inputs * part, 'score'))
        return torch.cat(rows)


def replay(model: nn.Module, layer: Layer, target: Any, block: int) -> Replay:
    """Run the image once, and keep what the layer puts out.

    Args:
        model: the detector, inside of ``undisturbed``.
        layer: what is taken apart.
        target: of K detections at fixed places.
        block: inputs at once.
    """
    with torch.no_grad(), captured(model, layer) as found:
        values = target(target.prepared.inputs, 'score')[0]
    outputs = [output[0] for output in chosen(found, Layer(layer.module))]
    return Replay(model, layer, target, target.prepared, outputs, values, block)


def channel_maps(
    method: str, run: Replay, most: int, centered: Sequence[bool], size_hw: tuple[int, int]
) -> Tensor:
    """Signed maps on the input, ``[K, H, W]``.

    Args:
        method: 'ablationcam' or 'scorecam'.
        run: the image, see :func:`replay`.
        most: channels that are tried.
        centered: see :func:`.gradient_maps.layer_maps`.
        size_hw: of the input.
    """
    flags = [*centered, *[True] * len(run.activations)][: len(run.activations)]
    with torch.no_grad():
        channels = channels_that_matter(run, most)
        if method == 'ablationcam':
            lost = run.values - run.without([[channel] for channel in channels])  # [n, K]
            weights = lost / run.values.abs().clamp(min=1e-9)
        else:
            masks = [_as_mask(run.activations[i][c], size_hw, flags[i]) for i, c in channels]
            weights = run.through(masks).softmax(0)
        levels = []
        for level, activations in enumerate(run.activations):
            here = [(n, c) for n, (i, c) in enumerate(channels) if i == level]
            if here:
                numbers, names = map(list, zip(*here, strict=True))
                cells = torch.einsum(
                    'nk,nhw->khw', weights[numbers].to(activations), activations[names]
                )
                levels.append(LevelMap(cells, flags[level]))
        return on_input(levels, size_hw)


def channels_that_matter(run: Replay, most: int) -> list[Channel]:
    """The channels with the most energy of the outputs without which a score changes."""
    wanted = range(len(run.activations))
    if run.layer.output is not None:
        wanted = range(len(run.activations))[run.layer.output :][:1]
    whole = [[Channel(i, c) for c in range(len(run.activations[i]))] for i in wanted]
    change = (run.without(whole) - run.values).abs().amax(1)  # [L]
    if float(change.max()) <= _ROUNDING * float(run.values.abs().max()):
        raise InputError(f'layer {run.layer} does not matter for the score: nothing changes it')
    found: list[tuple[float, Channel]] = []
    for channels, loss in zip(whole, change, strict=True):
        if loss >= _MATTERS * change.max():
            energy = run.activations[channels[0].level].square().sum((1, 2))
            found += zip(energy.tolist(), channels, strict=True)
    found.sort(key=lambda pair: (-pair[0], pair[1]))
    return [channel for _, channel in found[:most]]


def _as_mask(cells: Tensor, size_hw: tuple[int, int], centered: bool) -> Tensor:
    """A channel ``[h, w]`` on the input, from 0 to 1: ``[H, W]``."""
    large = enlarged(cells[None], size_hw, centered)[0]
    low, high = large.min(), large.max()
    return (large - low) / (high - low).clamp(min=torch.finfo(large.dtype).tiny)


@contextmanager
def _multiplied(model: nn.Module, layer: Layer, factors: Sequence[Tensor]) -> Iterator[None]:
    """The outputs of a layer, in the order they come, times factors ``[B, C, 1, 1]``."""
    position = 0

    def change(tensor: Tensor) -> Tensor:
        nonlocal position
        if tensor.ndim != 4 or not tensor.is_floating_point():
            return tensor
        factor = factors[position % len(factors)]
        position += 1
        if len(factor) != len(tensor):
            raise InputError(f'layer {layer} puts out {len(tensor)} maps for {len(factor)} images')
        return tensor * factor

    handle = model.get_submodule(layer.module).register_forward_hook(
        lambda module, args, output: mapped(output, change)
    )
    try:
        yield
    finally:
        handle.remove()
