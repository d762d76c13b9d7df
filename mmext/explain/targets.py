"""The numbers that are explained, as functions of the input: ``[B, 3, H, W]`` to ``[B, K]``.

Anchored: the score at the place where the detection came from, for every input. No NMS, no
threshold, no jump. Matched: the best detection of the same class at the same place, for detectors
whose places depend on the image, and for boxes that were not detected. Live: the score on the way
through the whole prediction, at the image itself alone.

Shape legend: B inputs, K detections, n detections of one prediction.
"""

from collections.abc import Collection, Sequence
from contextlib import nullcontext, suppress

import torch
from mmengine.structures import InstanceData
from torch import Tensor

from mmext.errors import InputError
from mmext.explain import detectors
from mmext.explain.heads import Reached, recorded, undetached
from mmext.explain.network import Network, Prepared
from mmext.explain.score_rules import Factor, Key, Rule, raw_of
from mmext.functional.boxes import pairwise_iou

SCALES = ('score', 'logit')
_TOLERANCE = 1e-5


class RawOutputs:
    """The raw outputs of heads for any input, as of one image; the prediction ends there.

    Args:
        network: inside of ``undisturbed`` whenever it is called.
        prepared: the image.
        needed: which outputs.
        regions_xyxy: ``[K, 4]`` px of the input: what the second stage sees in the place of
            proposals, the same for every input. None: the proposals of the first stage.
    """

    def __init__(
        self,
        network: Network,
        prepared: Prepared,
        needed: Collection[Key],
        regions_xyxy: Tensor | None = None,
    ) -> None:
        self.network, self.prepared = network, prepared
        self.needed, self.regions_xyxy = set(needed), regions_xyxy
        self._shapes: dict[Key, tuple[int, ...]] = {}

    def __call__(self, inputs: Tensor) -> dict[Key, Tensor]:
        """The outputs for inputs ``[B, 3, H, W]``.

        Raises:
            InputError: the heads do not put them out for these.
        """
        if len(inputs) > 1 and not self._shapes:
            with torch.no_grad():
                self(inputs[:1])
        model, needed = self.network.model, self.needed
        with recorded(model, cut=False, needed=needed) as record, suppress(Reached):
            self.network.predict(inputs, self.prepared.meta, self.regions_xyxy)
        missing = needed - record.outputs.keys()
        if missing:
            raise InputError(f'the heads put out no {sorted(missing)} for this input')
        if len(inputs) == 1:
            self._shapes = {key: tuple(record.outputs[key].shape) for key in needed}
        return record.outputs

    def layout(self, key: Key, tensor: Tensor) -> tuple[int, int]:
        """Along which axis of an output the images of a batch lie, and how far apart."""
        single = self._shapes[key]
        axis = next((a for a, n in enumerate(single) if tensor.shape[a] != n), 0)
        return axis, single[axis]


class Anchored:
    """The scores of detections at their origins.

    Args:
        network: inside of ``undisturbed`` whenever it is called.
        prepared: the image.
        rules: of K detections.
        regions_xyxy: ``[K, 4]`` px of the input: what the second stage sees in the place of
            proposals, the same for every input. The first index of each rule is then the
            detection's own number. None: the proposals of the first stage.
    """

    def __init__(
        self,
        network: Network,
        prepared: Prepared,
        rules: Sequence[Rule],
        regions_xyxy: Tensor | None = None,
    ) -> None:
        self.network, self.prepared, self.rules = network, prepared, tuple(rules)
        needed = {factor.key for rule in rules for factor in rule.factors}
        self._outputs = RawOutputs(network, prepared, needed, regions_xyxy)

    def __call__(self, inputs: Tensor, scale: str = 'score') -> Tensor:
        """The scores or log-odds of inputs ``[B, 3, H, W]``, float64 ``[B, K]``."""
        outputs = self._outputs(inputs)
        columns = []
        for rule in self.rules:
            raw = [self._raw(factor, outputs[factor.key], len(inputs)) for factor in rule.factors]
            columns.append(rule.score(raw) if scale == 'score' else rule.log_odds(raw))
        return torch.stack(columns, 1)

    def _raw(self, factor: Factor, tensor: Tensor, count: int) -> Tensor:
        """The numbers of a factor, ``[B]`` or ``[B, length]``."""
        axis, stride = self._outputs.layout(factor.key, tensor)
        return raw_of(factor, tensor, stride, axis, count)


def of_region(rule: Rule, number: int) -> Rule:
    """A rule of a second stage's rows ``[R, C + 1]``, of the row with another number."""
    return rule._replace(
        factors=tuple(f._replace(place=(number, *f.place[1:])) for f in rule.factors)
    )


def region_row(rule: Rule) -> int | None:
    """The row of the second stage that a rule is about; None if it is about something else."""
    rows = {
        f.place[0] if f.key.module.startswith('roi_head') and len(f.place) == 2 else None
        for f in rule.factors
    }
    return rows.pop() if len(rows) == 1 else None


def gives_again(target: Anchored, scores: Tensor) -> list[bool]:
    """Which of the scores ``[K]`` an anchored target gives at the image."""
    try:
        with torch.no_grad():
            found = target(target.prepared.inputs)[0]
    except (RuntimeError, IndexError, InputError):
        return [False] * len(scores)
    near = (found - scores.double().to(found.device)).abs() <= _TOLERANCE
    return [bool(flag) for flag in near]


class Matched:
    """The best detection of the same class and place: ``max IoU * score``, 0 without any.

    Args:
        network: inside of ``undisturbed`` whenever it is called.
        prepared: the image.
        boxes_xyxy: ``[K, 4]`` px of the picture.
        labels: ``[K]``.
        hard: the score alone of the best that overlaps by more than a half, as the detector is
            set; else it is asked for weaker ones as well.
    """

    def __init__(
        self,
        network: Network,
        prepared: Prepared,
        boxes_xyxy: Tensor,
        labels: Tensor,
        hard: bool = False,
    ) -> None:
        self.network, self.prepared, self.hard = network, prepared, hard
        self.boxes_xyxy, self.labels = boxes_xyxy, labels

    def __call__(self, inputs: Tensor, scale: str = 'score') -> Tensor:
        """The values of inputs ``[B, 3, H, W]``, float64 ``[B, K]``, each with a graph if wanted.

        Log-odds of them are bounded, as nothing found is 0.
        """
        wants_graph = torch.is_grad_enabled() and inputs.requires_grad
        nothing = inputs.flatten(1).sum(1).double() * 0 if wants_graph else None
        lenient = nullcontext() if self.hard else detectors.lenient(self.network.model)
        with lenient, undetached():
            predictions = self.network.predict(inputs, self.prepared.meta)
        rows = torch.stack([self._of_one(instances) for instances in predictions])
        if nothing is not None:
            rows = rows + nothing[:, None]
        if scale == 'logit':
            rows = rows.clamp(1e-6, 1 - 1e-6)
            rows = torch.log(rows) - torch.log1p(-rows)
        return rows

    def _of_one(self, instances: InstanceData) -> Tensor:
        if not len(instances.scores):
            return torch.zeros(len(self.labels), dtype=torch.float64)
        overlap = pairwise_iou(
            self.boxes_xyxy.to(instances.bboxes), instances.bboxes.detach()
        ).double()
        if self.hard:
            overlap = (overlap > 0.5).double()
        same = self.labels.to(instances.labels)[:, None] == instances.labels
        return (overlap * same * instances.scores.double()).amax(1)  # [K]


def same_objects(found: InstanceData, boxes_xyxy: Tensor, labels: Tensor, scores: Tensor) -> Tensor:
    """The numbers ``[K]`` of K known detections among those of another prediction.

    Args:
        found: ``bboxes`` ``[n, 4]``, ``scores``, ``labels``.
        boxes_xyxy: ``[K, 4]`` of the known, px of the picture.
        labels: ``[K]``.
        scores: ``[K]``.

    Raises:
        InputError: one of them is not there.
    """
    boxes, values = found.bboxes.detach(), found.scores.detach()
    same = (boxes_xyxy.to(boxes)[:, None] - boxes).abs().amax(2) <= 1  # [K, n]
    same &= labels.to(found.labels)[:, None] == found.labels
    distance = (scores.to(values)[:, None] - values).abs()
    distance = distance.masked_fill(~same, float('inf'))
    if not distance.numel() or float(distance.amin(1).max()) > 1e-3:
        raise InputError('the detector does not find the same objects in the image again')
    return distance.argmin(1)


class Live:
    """The scores of detections on the way through the whole prediction, at the image itself.

    Args:
        network: inside of ``undisturbed`` whenever it is called.
        prepared: the image.
        boxes_xyxy: ``[K, 4]`` of the detections, px of the picture.
        labels: ``[K]``.
        scores: ``[K]``.
    """

    def __init__(
        self,
        network: Network,
        prepared: Prepared,
        boxes_xyxy: Tensor,
        labels: Tensor,
        scores: Tensor,
    ) -> None:
        self.network, self.prepared = network, prepared
        self.boxes_xyxy, self.labels, self.scores = boxes_xyxy, labels, scores

    def instances(self, inputs: Tensor) -> InstanceData:
        """The detections of ``[1, 3, H, W]`` with their graph, in the order of the K."""
        with undetached():
            (found,) = self.network.predict(inputs, self.prepared.meta)
        index = same_objects(found, self.boxes_xyxy, self.labels, self.scores)
        return InstanceData(
            bboxes=found.bboxes[index], scores=found.scores[index], labels=found.labels[index]
        )

    def __call__(self, inputs: Tensor, scale: str = 'score') -> Tensor:
        """The scores of ``[1, 3, H, W]``, float64 ``[1, K]``."""
        scores = self.instances(inputs).scores.double()[None]
        return scores if scale == 'score' else torch.log(scores) - torch.log1p(-scores)
