"""On which parts of the picture a score hangs: the segments of the panoptic map, taken away.

Shape legend: S segments, ``h x w`` picture, ``H x W`` input.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from mmext.explain import captum_methods
from mmext.explain.captum_methods import Settings
from mmext.explain.network import Network, Prepared
from mmext.functional.panoptic_labels import INSTANCE_OFFSET

_BLOCKS = 8  # along each side, of a detector without a panoptic map
_PADDING = 'padding'


class Segments(NamedTuple):
    """The parts of a picture.

    Attributes:
        index_map: ``[H, W]`` of the input, 0 to S - 1.
        names: S of them: ``car 2``, ``road``, ``block 3, 4``.
    """

    index_map: Tensor
    names: list[str]


def segments_of(network: Network, prepared: Prepared) -> Segments:
    """The predicted segments of a picture; without a panoptic head, squares.

    Args:
        network: inside of ``undisturbed``.
        prepared: the picture.
    """
    with torch.no_grad():
        (sample,) = network.predict_samples(prepared.inputs, prepared.meta)
    frame = prepared.frame
    if 'pred_panoptic_seg' in sample:
        ids = torch.as_tensor(sample.pred_panoptic_seg.sem_seg).squeeze(0).cpu().long()
        inner = interpolate(ids[None, None].double(), frame.inner_hw, mode='nearest-exact')
        inner_ids = inner[0, 0].long()
        if frame.flipped:
            inner_ids = inner_ids.flip(1)
    else:
        height, width = frame.inner_hw
        rows = torch.arange(height) * _BLOCKS // height
        columns = torch.arange(width) * _BLOCKS // width
        inner_ids = rows[:, None] * _BLOCKS + columns
    whole = torch.full(prepared.size_hw, -1, dtype=torch.long)
    whole[
        frame.top : frame.top + frame.inner_hw[0], frame.left : frame.left + frame.inner_hw[1]
    ] = inner_ids
    numbers, index_map = whole.unique(return_inverse=True)
    classes = network.classes if 'pred_panoptic_seg' in sample else None
    names = [_name(int(number), classes) for number in numbers]
    return Segments(index_map, names)


def segment_maps(
    target: Any, prepared: Prepared, count: int, segments: Segments, shapley: bool,
    settings: Settings,
) -> tuple[Tensor, list[dict[str, float]]]:  # fmt: skip
    """What each segment does to K scores.

    Args:
        target: scores of inputs.
        prepared: the picture.
        count: K.
        segments: of the picture.
        shapley: shared out over orders; else what the absence of one costs.
        settings: see :func:`.captum_methods.of_segments`.

    Returns:
        Maps ``[K, H, W]``, and for each score the values by the names of the segments, largest
        first.
    """
    maps, facts = [], []
    for number in range(count):
        values = captum_methods.of_segments(
            target, prepared, number, segments.index_map, shapley, settings
        )
        maps.append(values[segments.index_map])
        named = [
            (name, float(value))
            for name, value in zip(segments.names, values, strict=True)
            if name != _PADDING
        ]
        facts.append(dict(sorted(named, key=lambda pair: -abs(pair[1]))))
    return torch.stack(maps), facts


def _name(number: int, classes: tuple[str, ...] | None) -> str:
    """The name of a segment by its id, or of a square by its number."""
    if number < 0:
        return _PADDING
    if classes is None:
        return f'block {number // _BLOCKS}, {number % _BLOCKS}'
    label, instance = number % INSTANCE_OFFSET, number // INSTANCE_OFFSET
    name = classes[label] if label < len(classes) else 'void'
    return f'{name} {instance}' if instance else name
