"""Maps of detections by every kind of method but those of layers.

Shape legend: K detections, ``H x W`` input.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mmext.errors import InputError
from mmext.explain import captum_methods, masked_maps
from mmext.explain.attribution import (
    Attribution,
    Options,
    attributions,
    settings_of,
    third_of_box,
)
from mmext.explain.geometry import boxes_to_input
from mmext.explain.gradient_maps import NotDifferentiable
from mmext.explain.named_targets import NamedTarget, named_target
from mmext.explain.quantities import parse_quantity
from mmext.explain.readouts import attention_map, class_map
from mmext.explain.removal import removal_map
from mmext.explain.scene import Detection, Scene, Target
from mmext.explain.segment_maps import segment_maps, segments_of
from mmext.explain.targets import Anchored, Live, Matched
from mmext.failed_statements import first_line

_OF_SCORES = (Anchored, Live, Matched)


def target_of(
    scene: Scene, group: Sequence[Detection], options: Options, perturbed: bool
) -> Target | NamedTarget:
    """What the options name, as a function of the input."""
    quantity = parse_quantity(options.target)
    if quantity.is_score:
        return scene.target(group, perturbed)
    return named_target(scene, group, quantity, perturbed)


def masked(
    scene: Scene, group: list[Detection], method: str, target: Any, options: Options
) -> list[Attribution]:
    """Maps by patches and random masks."""
    if method == 'occlusion':
        settings = settings_of(options)
        maps = torch.stack(
            [
                captum_methods.occlusion(
                    target,
                    scene.prepared,
                    i,
                    options.patch_px or third_of_box(scene, d),
                    settings,
                )
                for i, d in enumerate(group)
            ]
        )
        return attributions(scene, group, options, method, target, maps)
    draw = masked_maps.Draw(options.masks, options.block, options.seed)
    scale = options.scale if isinstance(target, _OF_SCORES) else 'number'
    if method == 'rise-features':
        with masked_maps.on_features(scene.network, scene.prepared, target) as scores:
            found = masked_maps.rise(scores, scene.prepared, draw, scale)
    else:
        scores = masked_maps.on_pixels(target, scene.prepared)
        found = masked_maps.rise(scores, scene.prepared, draw, scale)
    made = attributions(scene, group, options, method, target, found.relevance)
    return [
        replace(a, facts={'agreement': float(r), 'kept': found.keep})
        for a, r in zip(made, found.agreement, strict=True)
    ]


def read_out(
    scene: Scene, group: list[Detection], method: str, options: Options
) -> list[Attribution]:
    """What the network holds already.

    Raises:
        InputError: it is not known where a score comes from, or the detector has no such map.
    """
    read = dict(cam=class_map, attention=attention_map)[method]
    maps = []
    for detection in group:
        if detection.origin.rule is None:
            raise InputError(
                f'{method} needs the place that a score comes from, and that is unknown: '
                f'{detection.origin.reason}'
            )
        maps.append(read(scene.network, scene.prepared, detection.origin.rule))
    target = target_of(scene, group, options, perturbed=False)
    return attributions(scene, group, options, method, target, torch.stack(maps))


def segmented(
    scene: Scene, group: list[Detection], method: str, target: Any, options: Options
) -> list[Attribution]:
    """Maps by segments of the picture."""
    segments = segments_of(scene.network, scene.prepared)
    maps, facts = segment_maps(
        target, scene.prepared, len(group), segments, method == 'shapley', settings_of(options)
    )
    made = attributions(scene, group, options, method, target, maps)
    return [replace(a, facts=f) for a, f in zip(made, facts, strict=True)]


def by_captum(
    scene: Scene, group: list[Detection], method: str, target: Any, options: Options
) -> list[Attribution]:
    """Maps by many derivatives.

    Raises:
        NotDifferentiable: there are none, or they are not finite.
    """
    settings, maps, facts = settings_of(options), [], []
    for number in range(len(group)):
        try:
            if method == 'ig':
                path = captum_methods.integrated_gradients(target, scene.prepared, number, settings)
                maps.append(path.relevance)
                facts.append({'gap': path.gap, 'steps': path.steps})
                continue
            facts.append({})
            if method == 'removal':
                maps.append(_removed(scene, group[number], target, number, options))
                continue
            function = dict(
                smoothgrad=captum_methods.smoothed, gradientshap=captum_methods.gradient_shap
            )[method]
            maps.append(function(target, scene.prepared, number, settings))
        except RuntimeError as error:
            raise NotDifferentiable(first_line(error)) from error
    if not all(bool(m.isfinite().all()) for m in maps):
        raise NotDifferentiable('its derivatives are not finite')
    made = attributions(scene, group, options, method, target, torch.stack(maps))
    return [replace(a, facts=f) for a, f in zip(made, facts, strict=True)]


def _removed(
    scene: Scene, detection: Detection, target: Any, number: int, options: Options
) -> Tensor:
    """See :func:`.removal.removal_map`."""
    frame = scene.prepared.frame
    box = boxes_to_input(torch.tensor([detection.box_xyxy]), frame)[0].tolist()
    return removal_map(
        lambda inputs: target(inputs, options.scale)[:, number], scene.prepared.inputs, box,
        options.steps,
    ).float()  # fmt: skip
