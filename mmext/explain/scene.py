"""An image with its detections, each with its origin: what all methods explain.

Shape legend: K detections, R regions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mmext.errors import InputError
from mmext.explain import detectors
from mmext.explain.network import Network, Prepared
from mmext.explain.origin import Origin, Traced, trace
from mmext.explain.score_rules import Rule
from mmext.explain.targets import Anchored, Live, Matched, gives_again, of_region, region_row

Target = Anchored | Matched | Live


@dataclass(frozen=True)
class Detection:
    """One object of an image.

    Attributes:
        box_xyxy: px of the picture.
        label: its class.
        name: of the class.
        score: 0 to 1. Of a missed truth that of the nearest candidate.
        origin: where the score comes from.
        region_xyxy: what the second stage saw, px of the input; empty without one.
        stable: whether the origin is the same place for every input.
        missed: it was named by the user or the ground truth, and not detected.
    """

    box_xyxy: tuple[float, float, float, float]
    label: int
    name: str
    score: float
    origin: Origin
    region_xyxy: tuple[float, ...] = ()
    stable: bool = False
    missed: bool = False


@dataclass(frozen=True)
class Scene:
    """An image as the network gets it, and what was detected in it.

    Attributes:
        network: that detected.
        prepared: the image.
        detections: best first.
        best_score: of all detections, also of those below the wanted score; 0 without any.
    """

    network: Network
    prepared: Prepared
    detections: tuple[Detection, ...]
    best_score: float

    @property
    def image(self) -> npt.NDArray[np.uint8]:
        """BGR ``[h, w, 3]``."""
        return self.prepared.image

    def target(self, detections: Sequence[Detection], perturbed: bool) -> Target:
        """The scores of detections as one function of the input.

        Args:
            detections: of this scene, K of them, at least one.
            perturbed: it will be asked for other inputs than the image.
        """
        rules = [detection.origin.rule for detection in detections]
        usable = [d.stable or not perturbed for d in detections]
        with_region = {bool(d.region_xyxy) for d in detections}
        if all(rules) and all(usable) and len(with_region) == 1:
            known = [rule for rule in self.rules(detections) if rule is not None]
            regions = self.regions(detections) if with_region.pop() else None
            return Anchored(self.network, self.prepared, known, regions)
        boxes = torch.tensor([d.box_xyxy for d in detections])
        labels = torch.tensor([d.label for d in detections])
        if perturbed or any(d.missed for d in detections):
            return self.matched(detections)
        scores = torch.tensor([d.score for d in detections])
        return Live(self.network, self.prepared, boxes, labels, scores)

    def matched(self, detections: Sequence[Detection]) -> Matched:
        """The scores that the whole prediction gives objects of the same class and place."""
        boxes = torch.tensor([d.box_xyxy for d in detections])
        labels = torch.tensor([d.label for d in detections])
        return Matched(self.network, self.prepared, boxes, labels)

    def groups(self, detections: Sequence[Detection], perturbed: bool) -> list[list[int]]:
        """The numbers of detections in groups of which each has one kind of target."""
        found: dict[Any, list[int]] = {}
        for number, d in enumerate(detections):
            known = d.origin.rule is not None and (d.stable or not perturbed)
            found.setdefault((known, known and bool(d.region_xyxy)), []).append(number)
        return list(found.values())

    def rules(self, detections: Sequence[Detection]) -> list[Rule | None]:
        """How their scores come about; of a second stage, of the rows of :meth:`regions`."""
        return [
            of_region(d.origin.rule, number) if d.origin.rule and d.region_xyxy else d.origin.rule
            for number, d in enumerate(detections)
        ]

    def regions(self, detections: Sequence[Detection]) -> Tensor:
        """``[K, 4]``: what the second stage saw of detections, px of the input."""
        regions = torch.tensor([d.region_xyxy for d in detections], dtype=torch.float32)
        return regions.to(self.network.device)


def look(network: Network, prepared: Prepared, most: int, min_score: float) -> Scene:
    """Detect, find the origins, and read the scores there again to be sure of them.

    Args:
        network: inside of ``undisturbed``.
        prepared: the image.
        most: detections at most.
        min_score: of them.
    """
    traced = trace(network, prepared, most, min_score)
    scores = traced.instances.scores
    found = [_detection(network, traced, number) for number in traced.origins]
    verified = _verified(network, prepared, found)
    top = float(scores.max()) if len(scores) else 0.0
    return Scene(network, prepared, tuple(verified), top)


def _detection(network: Network, traced: Traced, number: int) -> Detection:
    instances = traced.instances
    label = int(instances.labels[number])
    left, top, right, bottom = (float(edge) for edge in instances.bboxes[number])
    name = network.classes[label] if label < len(network.classes) else str(label)
    origin = traced.origins[number]
    region: tuple[float, ...] = ()
    row = None if origin.rule is None else region_row(origin.rule)
    if row is not None and traced.rois is not None and row < len(traced.rois):
        region = tuple(float(edge) for edge in traced.rois[row, 1:])
    return Detection(
        (left, top, right, bottom), label, name, float(instances.scores[number]), origin, region
    )


def _verified(network: Network, prepared: Prepared, found: Sequence[Detection]) -> list[Detection]:
    """The detections, each with what is sure of its origin."""
    fixed_queries = not detectors.chooses_queries(network.model)
    learned = detectors.proposals_are_learned(network.model)
    from_image = detectors.has_proposals(network.model) and not learned
    done = list(found)
    regional = [i for i, d in enumerate(done) if d.region_xyxy]
    for number, agrees in zip(regional, _check(network, prepared, done, regional), strict=True):
        # if not, it is looked for among all proposals below
        change: dict[str, Any] = dict(stable=True) if agrees else dict(region_xyxy=())
        done[number] = replace(done[number], **change)
    rest = [i for i, d in enumerate(done) if d.origin.rule is not None and not d.region_xyxy]
    for number, agrees in zip(rest, _check(network, prepared, done, rest), strict=True):
        if agrees:
            done[number] = replace(done[number], stable=fixed_queries and not from_image)
        else:
            reason = 'reading the raw outputs of the heads again does not give its score'
            shares = done[number].origin.shares
            done[number] = replace(done[number], origin=Origin(None, shares, reason))
    return done


def _check(
    network: Network, prepared: Prepared, found: Sequence[Detection], numbers: Sequence[int]
) -> list[bool]:
    if not numbers:
        return []
    wanted = [found[i] for i in numbers]
    scene = Scene(network, prepared, (), 0.0)
    target = scene.target(wanted, perturbed=False)
    if not isinstance(target, Anchored):
        return [False] * len(wanted)
    return gives_again(target, torch.tensor([d.score for d in wanted]))


def candidate(scene: Scene, box_xyxy: Sequence[float], label: int, most: int = 300) -> Detection:
    """An object that was not detected, with the place where the detector should have said it.

    A second stage is asked about the box itself. Other heads: the candidate of this class that
    overlaps the box most, however low its score.

    Args:
        scene: of the image; the network is inside of ``undisturbed``.
        box_xyxy: of the object, px of the picture.
        label: its class.
        most: candidates to look at.

    Raises:
        InputError: the class is none of the detector's.
    """
    from mmext.explain.geometry import boxes_to_input

    network, prepared = scene.network, scene.prepared
    if not 0 <= label < len(network.classes):
        raise InputError(f'class {label}: the detector has {len(network.classes)} classes')
    left, top, right, bottom = (float(edge) for edge in box_xyxy)
    box = (left, top, right, bottom)
    name = network.classes[label]
    region = boxes_to_input(torch.tensor([box]), prepared.frame)[0]
    for known in _rules_seen(scene):
        if region_row(known) is None:
            break
        rule = of_class(known, label)
        if rule is not None:
            asked = Detection(box, label, name, 0.0, Origin(rule), tuple(region.tolist()),
                              stable=True, missed=True)  # fmt: skip
            with torch.no_grad():
                score = float(scene.target([asked], perturbed=True)(prepared.inputs)[0, 0])
            return replace(asked, score=score)
    with detectors.lenient(network.model, score_thr=1e-4, most=most):
        wide = look(network, prepared, most, 0.0)
    return _nearest(wide, box, label, name)


def of_class(rule: Rule, label: int) -> Rule | None:
    """The rule of a row ``[C + 1]`` for another of its classes; None if it is of no rows."""
    if rule.activation != 'softmax' or any(label >= f.length for f in rule.factors):
        return None
    return rule._replace(factors=tuple(f._replace(column=label) for f in rule.factors))


def _rules_seen(scene: Scene) -> list[Rule]:
    known = [d.origin.rule for d in scene.detections if d.origin.rule and d.region_xyxy]
    if known or not detectors.has_proposals(scene.network.model):
        return known[:1]
    with detectors.lenient(scene.network.model, score_thr=1e-4):
        wide = look(scene.network, scene.prepared, 1, 0.0)
    return [d.origin.rule for d in wide.detections if d.origin.rule and d.region_xyxy]


def _nearest(
    wide: Scene, box: tuple[float, float, float, float], label: int, name: str
) -> Detection:
    from mmext.functional.boxes import pairwise_iou

    same = [d for d in wide.detections if d.label == label]
    if same:
        boxes = torch.tensor([d.box_xyxy for d in same])
        overlap = pairwise_iou(torch.tensor([box]), boxes)[0]
        if float(overlap.max()) > 0.1:
            return replace(same[int(overlap.argmax())], missed=True)
    return Detection(
        box, label, name, 0.0,
        Origin(reason=f'no candidate of class {name} overlaps the box'), missed=True,
    )  # fmt: skip
