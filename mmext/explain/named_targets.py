"""Numbers other than the score as functions of the input: edges, key points, masks, segments.

Shape legend: B inputs, K detections.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmext.errors import InputError
from mmext.explain import detectors
from mmext.explain.class_targets import Summed, of_class
from mmext.explain.heads import recorded, undetached
from mmext.explain.linearized import Linearized, Terms, contrast_terms, followed
from mmext.explain.map_targets import OfMaps, of_region_masks, of_segment
from mmext.explain.quantities import Quantity, contrasted
from mmext.explain.scene import Detection, Scene
from mmext.explain.score_rules import Key
from mmext.explain.targets import same_objects

NamedTarget = Linearized | OfMaps | Summed


def named_target(
    scene: Scene, detections: Sequence[Detection], quantity: Quantity, perturbed: bool
) -> NamedTarget:
    """A number of detections as a function of the input.

    Args:
        scene: of the picture; its network is inside of ``undisturbed``.
        detections: K of the scene, of one of :meth:`.Scene.groups`.
        quantity: which number.
        perturbed: it will be asked for other inputs than the image.

    Raises:
        InputError: the detector has no such number, or its place depends on the input.
    """
    if quantity.kind == 'segment':
        return of_segment(scene, quantity.name)
    if quantity.kind == 'class':
        return of_class(scene, quantity.name, perturbed)
    if quantity.kind in ('mask', 'area') and detectors.has_region_masks(scene.network.model):
        return of_region_masks(scene, detections, quantity)
    crops = detectors.sees_crops(scene.network.model)
    if perturbed and not crops and not all(d.stable for d in detections):
        raise InputError(
            f'target {quantity.kind}: the place it comes from depends on the input; take a method '
            'that differentiates: odam, saliency'
        )
    # what is asked at the image alone also knows how the regions move
    fixed = detections[0].region_xyxy and (perturbed or quantity.kind == 'contrast')
    regions = scene.regions(detections) if fixed else None
    if quantity.kind == 'contrast':
        return _contrast(scene, detections, quantity, regions)
    try:
        pairs = _followed_in(scene, detections, quantity, regions, masks=True)
    except RuntimeError:  # masks that are made by steps no gradient goes through
        pairs = _followed_in(scene, detections, quantity, regions, masks=False)
    terms, values = [pair[0] for pair in pairs], torch.stack([pair[1] for pair in pairs])
    return Linearized(scene.network, scene.prepared, terms, values, regions)


def _followed_in(
    scene: Scene,
    detections: Sequence[Detection],
    quantity: Quantity,
    regions: Tensor | None,
    masks: bool,
) -> list[tuple[dict[Key, Terms], Tensor]]:
    """Terms and value of each detection, out of one prediction."""
    network, prepared = scene.network, scene.prepared
    with undetached(), recorded(network.model, cut=True) as record, torch.no_grad():
        (found,) = network.predict(prepared.inputs, prepared.meta, regions, masks)
        index = same_objects(
            found,
            torch.tensor([d.box_xyxy for d in detections]),
            torch.tensor([d.label for d in detections]),
            torch.tensor([d.score for d in detections]),
        )
        with torch.enable_grad():
            return [followed(found, int(i), quantity, record) for i in index]


def _contrast(
    scene: Scene, detections: Sequence[Detection], quantity: Quantity, regions: Tensor | None
) -> Linearized:
    """The logit of a class less that of another one, where the detection comes from."""
    network, prepared = scene.network, scene.prepared
    terms = []
    rules, counts = scene.rules(detections), detectors.class_counts(network.model)
    with recorded(network.model, cut=False) as record, torch.no_grad():
        network.predict(prepared.inputs, prepared.meta, regions)
    for detection, rule in zip(detections, rules, strict=True):
        compared = contrasted(quantity.name, network.classes, detection.label)
        if rule is None:
            raise InputError(
                f'target contrast: where the score comes from is unknown: {detection.origin.reason}'
            )
        terms.append(contrast_terms(rule, record.outputs, detection.label, compared, counts))
    return Linearized(network, prepared, terms, None, regions)
