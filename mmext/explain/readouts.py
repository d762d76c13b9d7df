"""Maps that a network holds already: the class map of a dense head, the attention of a query.

Zhou 2016's class activation map is defined where the class score is linear in the features. For a
dense head, whose last layer is a convolution, that is the map of the class itself. Attention is an
activation and no attribution: where a query looks, not what its score hangs on.

Shape legend: ``h x w`` cells, L tokens, ``H x W`` input.
"""

from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from mmext.errors import InputError
from mmext.explain.heads import Reached, recorded, tensors_of
from mmext.explain.network import Network, Prepared
from mmext.explain.relevance import enlarged
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

    Args:
        network: inside of ``undisturbed``.
        prepared: the picture.
        rule: of the detection.

    Returns:
        ``[H, W]``; sums to about 1 over the cells.

    Raises:
        InputError: the detector has no decoder, or one of deformable attention.
    """
    module = _last_cross_attention(network.model)
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
    query = rule.factors[0].place[-2]
    if not weights or weights[-1].shape[-1] != grid[0] * grid[1]:
        raise InputError('attention: the decoder does not look at the cells of one map')
    return enlarged(weights[-1][0, query].view(1, *grid), prepared.size_hw)[0]


def _last_cross_attention(model: nn.Module) -> nn.Module:
    found = [
        module
        for name, module in model.named_modules()
        if name.startswith('decoder.') and 'cross_attn' in name
        and isinstance(module, nn.MultiheadAttention)
    ]  # fmt: skip
    if not found:
        raise InputError(
            'attention: the detector has no decoder with full attention (deformable attention '
            'looks at points, not at a map); take odam'
        )
    return found[-1]
