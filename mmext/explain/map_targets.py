"""Numbers of maps that a network makes of any input: masks in fixed boxes, segments.

Shape legend: B inputs, K detections, ``h x w`` cells of a mask or a semantic map.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from mmext.errors import InputError
from mmext.explain import detectors
from mmext.explain.geometry import boxes_to_input, to_original
from mmext.explain.heads import tensors_of
from mmext.explain.network import Network, Prepared, mask_boxes
from mmext.explain.origin import Origin
from mmext.explain.quantities import Quantity
from mmext.explain.scene import Detection, Scene
from mmext.explain.segment_maps import segments_of


class OfMaps:
    """Numbers of maps that the network makes of any input at fixed places.

    Args:
        network: inside of ``undisturbed`` whenever it is called.
        prepared: the image.
        maps: of inputs ``[B, 3, H, W]``: ``[B, K, h, w]``.
        number: of maps ``[..., h, w]``: ``[...]``, for each of the K.
    """

    def __init__(
        self,
        network: Network,
        prepared: Prepared,
        maps: Callable[[Tensor], Tensor],
        number: Sequence[Callable[[Tensor], Tensor]],
    ) -> None:
        self.network, self.prepared = network, prepared
        self._maps, self._number = maps, tuple(number)

    def __call__(self, inputs: Tensor, scale: str = 'score') -> Tensor:
        """The numbers for inputs ``[B, 3, H, W]``, float64 ``[B, K]``."""
        maps = self._maps(inputs).double()
        return torch.stack([number(maps[:, k]) for k, number in enumerate(self._number)], 1)


def of_region_masks(scene: Scene, detections: Sequence[Detection], quantity: Quantity) -> OfMaps:
    """Numbers of the masks that the second stage draws in boxes, which stay where they are."""
    network, prepared = scene.network, scene.prepared
    boxes = boxes_to_input(torch.tensor([d.box_xyxy for d in detections]), prepared.frame)
    boxes = boxes.to(network.device)
    labels = torch.tensor([d.label for d in detections], device=network.device)

    def maps(inputs: Tensor) -> Tensor:
        logits = detectors.region_masks(network.model, inputs, boxes)  # [B * K, C, h, w]
        logits = logits.view(len(inputs), len(boxes), *logits.shape[1:])
        channels = labels if logits.shape[2] > 1 else labels * 0
        return logits[:, torch.arange(len(boxes), device=boxes.device), channels]

    with torch.no_grad():
        clean = maps(prepared.inputs)[0]  # [K, h, w]
    if quantity.kind == 'area':
        sides = torch.tensor([(d.box_xyxy[2] - d.box_xyxy[0]) * (d.box_xyxy[3] - d.box_xyxy[1])
                              for d in detections])  # fmt: skip
        cells = clean.shape[1] * clean.shape[2]
        return OfMaps(network, prepared, maps, [_area(float(s) / cells) for s in sides])
    weights = [(m > 0).double() if (m > 0).any() else torch.ones_like(m).double() for m in clean]
    return OfMaps(network, prepared, maps, [_weighted(w) for w in weights])


def of_segment(scene: Scene, name: str) -> OfMaps:
    """The mean logit of a segment's class over the segment."""
    network, prepared = scene.network, scene.prepared
    weights, channel = segment_weights(scene, name)

    def maps(inputs: Tensor) -> Tensor:
        return _semantic(network, inputs)[:, channel : channel + 1]

    return OfMaps(network, prepared, maps, [_weighted(weights)])


def segment_weights(scene: Scene, name: str) -> tuple[Tensor, int]:
    """The cells ``[h, w]`` of a segment, how much of each is in it, and its channel.

    The channel is the one of the semantic head that is strongest in the segment on average.

    Raises:
        InputError: no such segment, or no semantic head.
    """
    network, prepared = scene.network, scene.prepared
    if not hasattr(network.model, 'semantic_head'):
        raise InputError('target segment: the detector has no semantic head')
    segments = segments_of(network, prepared)
    if name not in segments.names:
        raise InputError(f'target segment:{name}: the picture has {", ".join(segments.names)}')
    inside = segments.index_map == segments.names.index(name)
    with torch.no_grad():
        logits = _semantic(network, prepared.inputs)[0]
    weights = interpolate(
        inside[None, None].to(logits), (logits.shape[1], logits.shape[2]), mode='area'
    )[0, 0].double()
    return weights, int((logits * weights).sum((1, 2)).argmax())


def segment_detection(scene: Scene, name: str) -> Detection:
    """A segment of the panoptic map as something to explain, by ``Options(target='segment:NAME')``.

    Its score is the mean probability of its class in it, its box the one around it.

    Raises:
        InputError: no such segment, or no semantic head.
    """
    network, prepared = scene.network, scene.prepared
    weights, channel = segment_weights(scene, name)
    segments = segments_of(network, prepared)
    inside = (segments.index_map == segments.names.index(name)).float()
    left, top, right, bottom = mask_boxes(to_original(inside[None], prepared.frame) > 0.5)[
        0
    ].tolist()
    with torch.no_grad():
        probabilities = _semantic(network, prepared.inputs)[0].softmax(0)[channel]
    score = float((probabilities * weights).sum() / weights.sum())
    class_name = name.rpartition(' ')[0] if name.rpartition(' ')[2].isdigit() else name
    label = network.classes.index(class_name) if class_name in network.classes else 0
    origin = Origin(reason=f'a segment: the mean of channel {channel} of the semantic head')
    return Detection((left, top, right, bottom), label, name, score, origin)


def _semantic(network: Network, inputs: Tensor) -> Tensor:
    output = network.model.semantic_head(network.features(inputs))
    output = output.get('seg_preds', output) if isinstance(output, dict) else output
    return tensors_of(output)[0]


def _weighted(weights: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda maps: (maps * weights).sum((-2, -1)) / weights.sum()


def _area(cell_px: float) -> Callable[[Tensor], Tensor]:
    return lambda maps: maps.sigmoid().sum((-2, -1)) * cell_px
