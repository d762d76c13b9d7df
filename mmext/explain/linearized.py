"""Numbers of a detection to first order in the raw outputs of the heads.

The derivatives of a number (an edge of the box, the score of a key point, the area of a query's
mask) with respect to the raw outputs are taken once, at the image. For any other input the raw
outputs are read again at the same places. At the image the value and its derivatives are exact; for
what is linear in the raw outputs, as the contrast of two classes, they are exact for every input.

Shape legend: B inputs, K detections, n places, ``h x w`` cells of a mask.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from mmengine.structures import InstanceData
from torch import Tensor

from mmext.errors import InputError
from mmext.explain.heads import Record, derivatives
from mmext.explain.network import Network, Prepared
from mmext.explain.quantities import EDGES, Quantity
from mmext.explain.score_rules import Factor, Key, Rule
from mmext.explain.targets import RawOutputs


class Terms(NamedTuple):
    """What some numbers of one output count.

    Attributes:
        places: ``[n, dimensions]`` in the output for one image.
        slopes: ``[n]``.
    """

    places: Tensor
    slopes: Tensor


class Linearized:
    """Numbers to first order in the raw outputs of the heads.

    Args:
        network: inside of ``undisturbed`` whenever it is called.
        prepared: the image.
        terms: of K numbers.
        values: ``[K]`` of them at the image; None: they are the terms and nothing else.
        regions_xyxy: see :class:`.targets.RawOutputs`.
    """

    def __init__(
        self,
        network: Network,
        prepared: Prepared,
        terms: Sequence[Mapping[Key, Terms]],
        values: Tensor | None,
        regions_xyxy: Tensor | None = None,
    ) -> None:
        self.network, self.prepared, self.terms = network, prepared, tuple(terms)
        needed = {key for number in terms for key in number}
        self._outputs = RawOutputs(network, prepared, needed, regions_xyxy)
        self._rest = torch.zeros(len(self.terms), dtype=torch.float64)
        if values is None:
            return
        with torch.no_grad():
            self._rest = values.detach().double().cpu() - self(prepared.inputs)[0].cpu()

    def __call__(self, inputs: Tensor, scale: str = 'score') -> Tensor:
        """The numbers for inputs ``[B, 3, H, W]``, float64 ``[B, K]``; they have one scale."""
        outputs = self._outputs(inputs)
        columns = []
        for rest, terms in zip(self._rest.to(inputs.device), self.terms, strict=True):
            parts = [self._part(key, part, outputs[key], len(inputs)) for key, part in
                     terms.items()]  # fmt: skip
            columns.append(rest + torch.stack(parts).sum(0))
        return torch.stack(columns, 1)

    def _part(self, key: Key, terms: Terms, tensor: Tensor, count: int) -> Tensor:
        """``[B]``: what one output adds."""
        axis, stride = self._outputs.layout(key, tensor)
        rows = []
        for image in range(count):
            places = terms.places.clone()
            places[:, axis] += image * stride
            rows.append(tensor[tuple(places.T)].double() @ terms.slopes)
        return torch.stack(rows)


def followed(
    found: InstanceData, row: int, quantity: Quantity, record: Record
) -> tuple[dict[Key, Terms], Tensor]:
    """The terms of a number of one detection, and its value ``[]``."""
    if quantity.kind in ('mask', 'area'):
        value = _number_of_mask(_query_mask(found.scores[row], record), quantity)
    else:
        value = _value(found, row, quantity)
    slopes = derivatives(value, record)
    terms = {}
    for key, slope in slopes.items():
        places = slope.nonzero()
        terms[key] = Terms(places, slope[tuple(places.T)].double())
    if not terms:
        raise InputError(
            f'target {quantity.kind}: there is no path from it to the raw outputs of a head (an '
            'edge at the border of the picture is cut there, and nothing moves it)'
        )
    if not all(bool(part.slopes.isfinite().all()) for part in terms.values()):
        raise InputError(f'target {quantity.kind}: its derivatives are not finite')
    return terms, value.detach()


def _value(found: InstanceData, row: int, quantity: Quantity) -> Tensor:
    """Edges and places in px of the picture, scores of key points 0 to 1."""
    box = found.bboxes[row]
    if quantity.kind == 'edge':
        return box[EDGES[quantity.name]]
    if quantity.kind == 'size':
        return ((box[2] - box[0]) * (box[3] - box[1])).sqrt()
    name = 'keypoint_scores' if quantity.axis is None else 'keypoints'
    if name not in found:
        hint = '; its places: keypoint:0:x' if 'keypoints' in found else ''
        raise InputError(f'target keypoint: the detector puts out no {name}{hint}')
    points = found.get(name)[row]
    if quantity.number >= len(points):
        raise InputError(f'target keypoint:{quantity.number}: there are {len(points)} key points')
    point = points[quantity.number]
    return point if quantity.axis is None else point[quantity.axis]


def _number_of_mask(logits: Tensor, quantity: Quantity) -> Tensor:
    """Of logits ``[h, w]`` the mean of those that are on, or the sum of the probabilities."""
    if quantity.kind == 'area':
        return logits.sigmoid().sum()
    on = logits > 0
    return logits[on].mean() if on.any() else logits.mean()


def _query_mask(score: Tensor, record: Record) -> Tensor:
    """The raw mask ``[h, w]`` of the query that a score comes from."""
    for key, slope in derivatives(score, record).items():
        rows = slope.nonzero()[:, :2].unique(dim=0)
        is_map = slope.ndim == 4 and min(slope.shape[2:]) > 1
        if is_map and len(rows) == 1 and int((slope != 0).sum()) > 1:
            return record.outputs[key][tuple(rows[0])]
    raise InputError(
        'target mask: the masks of this detector are made of no raw map of their own; '
        'it is followed through second stages and the queries of Mask2Former'
    )


def contrast_terms(
    rule: Rule,
    outputs: Mapping[Key, Tensor],
    own: int,
    compared: tuple[int, int],
    class_counts: Sequence[int],
) -> dict[Key, Terms]:
    """The logit of a class less that of another one, where a score comes from.

    Args:
        rule: of the score.
        outputs: the raw outputs for the image.
        own: the class that the score is of.
        compared: the two classes.
        class_counts: see :func:`.detectors.class_counts`.

    Raises:
        InputError: no factor of the score has a number a class.
    """
    rows = [(f.axis, f.place[f.axis], f) for f in rule.factors if f.axis is not None]
    chosen = rows or [_class_factor(rule.factors, outputs, own, class_counts)]
    terms: dict[Key, Terms] = {}
    for axis, zero, factor in chosen:
        places = []
        for label in compared:
            place = list(factor.place)
            place[axis] = zero + label
            places.append(place)
        device = outputs[factor.key].device
        slopes = torch.tensor([1.0, -1.0], dtype=torch.float64, device=device) / len(chosen)
        terms[factor.key] = Terms(torch.tensor(places, device=device), slopes)
    return terms


def _class_factor(
    factors: Sequence[Factor], outputs: Mapping[Key, Tensor], own: int, class_counts: Sequence[int]
) -> tuple[int, int, Factor]:
    """Of a product the factor that is about the class, the axis of classes, and its class 0.

    The others are about centerness or whether there is anything, which comes before the classes
    where it is in the same output.
    """
    fitting = []
    for factor in factors:
        shape = outputs[factor.key].shape
        is_map = len(shape) == 4 and shape[1] >= min(class_counts) and shape[1] > 1
        axis = 1 if is_map else len(shape) - 1
        zero = factor.place[axis] - own
        if zero >= 0 and (is_map or shape[axis] in class_counts):
            fitting.append((is_map, zero, axis, factor))
    if not fitting:
        raise InputError('target contrast: the score comes from no output with a number a class')
    _, zero, axis, factor = max(fitting, key=lambda found: found[:2])
    return axis, zero, factor
