"""Maps that a network holds already: the class map of a dense head, the attention of a query.

Zhou 2016's class activation map is defined where the class score is linear in the features. For a
dense head, whose last layer is a convolution, that is the map of the class itself. Attention is an
activation and no attribution: where a query looks, not what its score hangs on.

Shape legend: ``h x w`` cells, Q queries, ``H x W`` input.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NamedTuple

import torch
from mmcv.ops import MultiScaleDeformableAttention
from torch import Tensor, nn

from mmext.errors import InputError
from mmext.explain.heads import Reached, recorded, tensors_of
from mmext.explain.network import Network, Prepared
from mmext.explain.relevance import LevelMap, enlarged, on_input
from mmext.explain.score_rules import Factor, Rule


def class_map(network: Network, prepared: Prepared, rule: Rule) -> Tensor:
    """The probability of a class at every cell of the level that a detection comes from.

    Args:
        network: inside of ``undisturbed``.
        prepared: the picture.
        rule: of the detection.

    Returns:
        ``[H, W]``, 0 to 1.

    Raises:
        InputError: its head makes no map of classes.
    """
    factor = rule.factors[0]
    needed = [factor.key]
    with recorded(network.model, False, needed) as record, torch.no_grad(), suppress(Reached):
        network.predict(prepared.inputs, prepared.meta)
    output = record.outputs[factor.key]
    if output.ndim != 4 or len(output) != 1:
        raise InputError(
            'cam: the score comes from a region or a query, not from a map of classes; '
            'take odam, or attention for a decoder'
        )
    return enlarged(_probability(output[0], factor, rule)[None], prepared.size_hw)[0]


def _probability(output: Tensor, factor: Factor, rule: Rule) -> Tensor:
    """``[h, w]`` of an output ``[C, h, w]``."""
    channel = factor.place[1]
    if rule.activation == 'softmax':
        return output[channel : channel + factor.length].softmax(0)[factor.column]
    return output[channel].sigmoid() if rule.activation == 'sigmoid' else output[channel]


def attention_map(network: Network, prepared: Prepared, rule: Rule) -> Tensor:
    """Where the query of a detection looks in the last layer of a decoder, the mean of its heads.

    Deformable attention (Zhu 2021) looks at a few points of each level; a point reads the four
    cells around it. Its map says how much each cell is read.

    Args:
        network: inside of ``undisturbed``.
        prepared: the picture.
        rule: of the detection.

    Returns:
        ``[H, W]``. Of full attention it sums to about 1 over the cells, of deformable attention
        over the pixels, less what lies outside of the input.

    Raises:
        InputError: the detector has no decoder that looks at cells.
    """
    module = _last_cross_attention(network.model)
    query = rule.factors[0].place[-2]
    if isinstance(module, nn.MultiheadAttention):
        return _full_attention(network, prepared, module, query)
    with recorded_points(module) as points, torch.no_grad():
        network.predict(prepared.inputs, prepared.meta)
    return on_input([LevelMap(cells) for cells in points[-1].cells(query)], prepared.size_hw)[0]


def _full_attention(network: Network, prepared: Prepared, module: nn.Module, query: int) -> Tensor:
    weights: list[Tensor] = []

    def note(module: nn.Module, args: Any, output: Any) -> None:
        if isinstance(output, tuple) and len(output) > 1 and isinstance(output[1], Tensor):
            weights.append(output[1].detach())

    handle = module.register_forward_hook(note)
    try:
        with torch.no_grad():
            network.predict(prepared.inputs, prepared.meta)
            maps = [t for t in tensors_of(network.features(prepared.inputs)) if t.ndim == 4]
    finally:
        handle.remove()
    grid = (maps[-1].shape[2], maps[-1].shape[3])
    if not weights or weights[-1].shape[-1] != grid[0] * grid[1]:
        raise InputError('attention: the decoder does not look at the cells of one map')
    return enlarged(weights[-1][0, query].view(1, *grid), prepared.size_hw)[0]


class Points(NamedTuple):
    """The points that the queries of deformable attention look at.

    Attributes:
        places: ``[Q, heads, levels, points, 2]``, x and y, 0 to 1 over each level.
        weights: ``[Q, heads, levels, points]``, of each head with a sum of 1.
        sizes_hw: of the levels, cells.
    """

    places: Tensor
    weights: Tensor
    sizes_hw: list[tuple[int, int]]

    def cells(self, query: int) -> list[Tensor]:
        """How much a query reads each cell of each level, the mean of the heads: ``[1, h, w]``."""
        weights = self.weights[query] / self.weights.shape[1]  # [heads, levels, points]
        found = []
        for level, (height, width) in enumerate(self.sizes_hw):
            size = self.places.new_tensor([width, height])
            xy = (self.places[query, :, level] * size - 0.5).flatten(0, 1)  # [heads * points, 2]
            share = weights[:, level].flatten()
            cells = share.new_zeros(height * width)
            corner = xy.floor()
            for right in (0, 1):
                for down in (0, 1):
                    place = corner + corner.new_tensor([right, down])
                    near = (1 - (xy - place).abs()).prod(1)
                    inside = ((place >= 0) & (place < size)).all(1)
                    index = (place[:, 1] * width + place[:, 0]).long()
                    cells.index_add_(0, index[inside], (share * near)[inside])
            found.append(cells.view(1, height, width))
        return found


@contextmanager
def recorded_points(module: nn.Module) -> Iterator[list[Points]]:
    """The points of the first image at every call of a deformable attention."""
    found: list[Points] = []
    raw: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        return lambda layer, args, output: raw.update({name: output.detach()})

    def note(layer: Any, args: Any, kwargs: Any, output: Any) -> None:
        shapes, references = kwargs['spatial_shapes'], kwargs['reference_points'][0].detach()
        grid = (len(references), layer.num_heads, layer.num_levels, layer.num_points)
        offsets = raw['sampling_offsets'][0].view(*grid, 2)
        weights = raw['attention_weights'][0].view(*grid[:2], -1).softmax(-1).view(grid)
        centers = references[:, None, :, None, :2]  # [Q, 1, levels, 1, 2]
        if references.shape[-1] == 2:
            moved = offsets / shapes.flip(1)[:, None].to(offsets)
        else:  # in shares of a reference box
            moved = offsets / layer.num_points * references[:, None, :, None, 2:] / 2
        sizes = [(int(h), int(w)) for h, w in shapes.tolist()]
        found.append(Points(centers + moved, weights, sizes))

    with ExitStack() as stack:
        for name in ('sampling_offsets', 'attention_weights'):
            handle = module.get_submodule(name).register_forward_hook(keep(name))
            stack.callback(handle.remove)
        stack.callback(module.register_forward_hook(note, with_kwargs=True).remove)
        yield found


def _last_cross_attention(model: nn.Module) -> nn.Module:
    found = [
        module
        for name, module in model.named_modules()
        if name.startswith('decoder.') and 'cross_attn' in name
        and isinstance(module, nn.MultiheadAttention | MultiScaleDeformableAttention)
    ]  # fmt: skip
    if not found:
        raise InputError(
            'attention: the detector has no decoder whose queries look at the picture; take odam'
        )
    return found[-1]
