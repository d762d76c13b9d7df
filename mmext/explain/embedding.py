"""Objects as vectors, in the feature space of the detector itself.

Two-stage detectors: what the box head makes its classes of (the input of its last layer), for the
box as region. Others: the mean of the neck's features in the box, of the level that an FPN would
give it (Lin 2017, equation 1). Truths and detections go the same way, so they live in one space.
A detector whose classes are words (``mmext.EmbeddingRoIHead``) has a space of its own for that, in
which the words lie too.

Shape legend: n boxes, D numbers.
"""

import math
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from mmcv.ops import roi_align
from torch import Tensor, nn

from mmext.errors import InputError
from mmext.explain import detectors
from mmext.explain.geometry import boxes_to_input
from mmext.explain.heads import Reached, tensors_of
from mmext.explain.network import Network, Prepared

_CANONICAL_PX, _CANONICAL_STRIDE = 224.0, 16.0
_BINS = 7


def embedding_source(network: Network) -> str:
    """Where the vectors of a detector come from, for the record.

    Raises:
        InputError: it has none of regions of a picture.
    """
    if detectors.sees_crops(network.model):
        raise InputError(
            f'{type(network.model).__name__}: its features are of crops, not of the picture: index '
            'the objects by the detector that finds them'
        )
    layer = _class_layer(network.model)
    if embeds_words(network):
        return 'the space of the words of roi_head'
    return f'input of {layer}' if layer else f'{detectors.neck_name(network.model)}, pooled'


def embed(
    network: Network, prepared: Prepared, boxes_xyxy: npt.NDArray[np.floating[Any]]
) -> npt.NDArray[np.float32]:
    """Vectors of length 1 for boxes of a picture.

    Args:
        network: inside of ``undisturbed``.
        prepared: the picture.
        boxes_xyxy: ``[n, 4]``, px of the picture.

    Returns:
        ``[n, D]``; D is 0 for no boxes.
    """
    if not len(boxes_xyxy):
        return np.zeros((0, 0), np.float32)
    boxes = torch.from_numpy(np.asarray(boxes_xyxy, np.float32))
    regions = boxes_to_input(boxes, prepared.frame).to(network.device)
    layer = _class_layer(network.model)
    with torch.no_grad():
        if embeds_words(network):
            features = network.features(prepared.inputs)
            vectors = network.model.roi_head.embed_boxes(features, [regions])
        elif layer:
            vectors = _by_class_layer(network, prepared, regions, layer)
        else:
            vectors = _pooled(network, prepared, regions)
    vectors = vectors.float() / vectors.float().norm(dim=1, keepdim=True).clamp(min=1e-12)
    return np.asarray(vectors.cpu().numpy(), np.float32)


def embeds_words(network: Network) -> bool:
    """Whether a detector has a space of regions and words."""
    return hasattr(getattr(network.model, 'roi_head', None), 'embed_boxes')


def _class_layer(model: nn.Module) -> str:
    """The last layer of the first box head of a second stage, by name; '' without."""
    if not detectors.has_proposals(model) or detectors.proposals_are_learned(model):
        return ''
    for name in ('roi_head.bbox_head.fc_cls', 'roi_head.bbox_head.0.fc_cls'):
        with suppress(AttributeError):
            model.get_submodule(name)
            return name
    return ''


def _by_class_layer(network: Network, prepared: Prepared, regions: Tensor, layer: str) -> Tensor:
    seen: list[Tensor] = []

    def note(module: nn.Module, args: Any) -> None:
        seen.append(args[0].detach())
        raise Reached

    handle = network.model.get_submodule(layer).register_forward_pre_hook(note)
    try:
        with suppress(Reached):
            network.predict_samples(prepared.inputs, prepared.meta, regions)
    finally:
        handle.remove()
    return seen[0].flatten(1)


def _pooled(network: Network, prepared: Prepared, regions: Tensor) -> Tensor:
    levels = [t for t in tensors_of(network.features(prepared.inputs)) if t.ndim == 4]
    strides = [prepared.size_hw[0] / level.shape[2] for level in levels]
    sides = (regions[:, 2:] - regions[:, :2]).clamp(min=1).prod(1).sqrt()
    vectors = regions.new_zeros(len(regions), levels[0].shape[1])
    for number, (region, side) in enumerate(zip(regions, sides, strict=True)):
        wanted = _CANONICAL_STRIDE * 2 ** math.floor(math.log2(float(side) / _CANONICAL_PX))
        level = min(range(len(levels)), key=lambda i: abs(math.log2(strides[i] / wanted)))
        roi = torch.cat([region.new_zeros(1), region])[None]
        pooled = roi_align(levels[level], roi, _BINS, 1 / strides[level], 0, 'avg', True)
        vectors[number] = pooled[0].mean((1, 2))
    return vectors
