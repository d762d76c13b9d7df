"""Where a detection comes from: provenance by gradient.

The derivative of a final score with respect to the raw outputs of the heads is not 0 at one cell,
or one row of a softmax, or a few of them, whatever NMS, top-k and decoding come after. That cell
names level, anchor, class, region or query.

Shape legend: n detections, R regions.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from mmengine.structures import InstanceData
from torch import Tensor

from mmext.errors import InputError
from mmext.explain import detectors
from mmext.explain.heads import Record, derivatives, recorded, undetached
from mmext.explain.network import Network, Prepared
from mmext.explain.score_rules import Factor, Key, Rule, find_rule
from mmext.failed_statements import first_line

_SAME_SCORE, _MOST_TEXT = 1e-6, 100


class Origin(NamedTuple):
    """Where a score comes from.

    Attributes:
        rule: how it comes about; None if that is not known.
        shares: of each head in the derivatives of the score, by the name of its module.
        reason: why there is no rule, for people.
    """

    rule: Rule | None = None
    shares: Mapping[str, float] = {}
    reason: str = ''

    def describe(self) -> str:
        """One line: ``sigmoid: bbox_head output 3 [0, 4, 7, 9]``."""
        if self.rule is None:
            return f'unknown: {self.reason}'
        places = [
            f'{f.key.module} output {f.key.position} {list(f.place)}' for f in self.rule.factors
        ]
        return f'{self.rule.name}: {", ".join(places)}'


class Traced(NamedTuple):
    """The detections of an image and where they come from.

    Attributes:
        instances: ``bboxes`` ``[n, 4]``, ``scores``, ``labels``, without a graph.
        origins: of the chosen ones, by their number.
        rois: ``[R, 5]`` the regions the second stage saw, if there is one.
    """

    instances: InstanceData
    origins: dict[int, Origin]
    rois: Tensor | None = None


def trace(network: Network, prepared: Prepared, most: int, min_score: float) -> Traced:
    """Detect, and find the origins of the best detections.

    A detector that cannot predict under gradients does it without masks, or without gradients; the
    origins then say so.

    Args:
        network: inside of :meth:`~mmext.explain.network.Network.undisturbed`.
        prepared: the image.
        most: how many detections at most.
        min_score: of these.
    """
    reason = ''
    for masks in (True, False):
        try:
            return _traced(network, prepared, most, min_score, masks)
        except InputError:
            raise
        except Exception as error:  # whatever the host raises under gradients that it else does not
            reason = reason or first_line(error)[:_MOST_TEXT]
    with torch.no_grad():
        (instances,) = network.predict(prepared.inputs, prepared.meta)
    reason = f'{type(network.model).__name__} cannot predict under gradients ({reason})'
    chosen = best(instances, most, min_score)
    return Traced(_detached(instances), {i: Origin(reason=reason) for i in chosen})


def _traced(
    network: Network, prepared: Prepared, most: int, min_score: float, masks: bool
) -> Traced:
    with undetached(), recorded(network.model, cut=True) as record, torch.no_grad():
        (instances,) = network.predict(prepared.inputs, prepared.meta, masks=masks)
        chosen = best(instances, most, min_score)
        with torch.enable_grad():
            origins = {i: _origin_of(network, instances, i, record) for i in chosen}
    return Traced(_detached(instances), origins, record.rois)


def best(instances: InstanceData, most: int, min_score: float) -> list[int]:
    """The numbers of the best detections, best first."""
    scores = instances.scores.detach()
    order = scores.argsort(descending=True, stable=True).tolist()
    return [i for i in order if float(scores[i]) >= min_score][:most]


def _detached(instances: InstanceData) -> InstanceData:
    return InstanceData(
        bboxes=instances.bboxes.detach(),
        scores=instances.scores.detach(),
        labels=instances.labels.detach(),
    )


def _origin_of(network: Network, instances: InstanceData, number: int, record: Record) -> Origin:
    score = instances.scores[number]
    if not score.requires_grad:
        return Origin(reason='its score has no path to the raw outputs of a head')
    found = derivatives(score, record)
    # sizes that overflow make 0 * inf of outputs that do not matter; what is left is verified
    finite = all(bool(slope.isfinite().all()) for slope in found.values())
    slopes = {key: slope.nan_to_num(0.0, 0.0, 0.0) for key, slope in found.items()}
    slopes = {key: slope for key, slope in slopes.items() if slope.any()}
    value = float(score.detach())
    lengths = detectors.class_counts(network.model)
    outputs = {key: tensor.detach() for key, tensor in record.outputs.items()}
    if slopes:
        rule = find_rule(value, outputs, slopes, lengths)
    else:
        places = derivatives(instances.bboxes[number].sum(), record)
        rule = _rule_of_saturated(value, outputs, places, int(instances.labels[number]))
    totals: dict[str, float] = {}
    for key, slope in slopes.items():
        totals[key.module] = totals.get(key.module, 0.0) + float(slope.abs().sum())
    whole = sum(totals.values()) or 1.0
    shares = {module: total / whole for module, total in totals.items()}
    if rule is None and not finite:
        return Origin(None, shares, 'the derivatives of its score are not finite')
    if rule is None:
        mixed = ', '.join(f'{module} {share:.0%}' for module, share in shares.items())
        return Origin(None, shares, f'its score comes about in no way that is known ({mixed})')
    return Origin(rule, shares)


def _rule_of_saturated(
    score: float, outputs: Mapping[Key, Tensor], places: Mapping[Key, Tensor], label: int
) -> Rule | None:
    """The rule of a score that is 1 (or 0) in float32 and has no derivative.

    The box has one: it says at which place the score has to be, and its value which of the numbers
    of this place it is.
    """
    found: list[Rule] = []
    for key, slope in places.items():
        for other, tensor in outputs.items():
            if (other.module, other.call) == (key.module, key.call) and other != key:
                found += _equal_at(score, tensor, other, slope, label)
    return found[0] if len({(r.activation, r.factors) for r in found}) == 1 else None


def _equal_at(score: float, tensor: Tensor, key: Key, slope: Tensor, label: int) -> list[Rule]:
    """Rules of single factors in a tensor ``[...]`` beside a box's places in another one."""
    place = slope.nonzero()[0].tolist()
    if tensor.ndim == 4 and slope.ndim == 4 and tensor.shape[2:] == slope.shape[2:]:
        cells = [(place[0], c, place[2], place[3]) for c in range(tensor.shape[1])]
        anchors = max(slope.shape[1] // 4, 1)
        per_anchor = tensor.shape[1] // anchors
        wanted = place[1] // 4 * per_anchor + label
        equal = [c for c in cells if c[1] == wanted and _is(score, tensor[c].sigmoid())]
        return [Rule((Factor(key, cell),), 'sigmoid') for cell in equal]
    if tensor.ndim not in (2, 3) or tensor.shape[:-1] != slope.shape[: tensor.ndim - 1]:
        return []
    front = tuple(place[: tensor.ndim - 1])
    row = tensor[front].softmax(-1)
    last = tensor.ndim - 1
    equal_columns = [c for c in range(len(row)) if _is(score, row[c])]
    if len(equal_columns) != 1:
        return []
    factor = Factor(key, (*front, 0), last, len(row), equal_columns[0])
    return [Rule((factor,), 'softmax')]


def _is(score: float, value: Tensor) -> bool:
    return abs(float(value) - score) <= _SAME_SCORE
