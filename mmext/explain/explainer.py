"""Why a detector said it: the public class.

Shape legend: ``h x w`` picture, ``H x W`` input, K detections.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmext.errors import InputError
from mmext.explain import captum_methods, gradient_maps, masked_maps
from mmext.explain.attribution import Attribution, Options
from mmext.explain.captum_methods import Settings
from mmext.explain.geometry import to_original
from mmext.explain.gradient_maps import NotDifferentiable
from mmext.explain.layers import INPUT, Layer, cells_are_centered, find_layer
from mmext.explain.methods import FALLBACK, Method, find_method
from mmext.explain.network import Network
from mmext.explain.readouts import attention_map, class_map
from mmext.explain.scene import Detection, Scene, candidate, look
from mmext.explain.segment_maps import segment_maps, segments_of
from mmext.explain.targets import Anchored, Live, Matched


class Explainer:
    """Explains the detections of one model; the model is as before after every call.

    >>> explainer = Explainer(mmext.load('upsnet.pth'))  # doctest: +SKIP
    >>> scene = explainer.detect(image)  # doctest: +SKIP
    >>> maps = explainer.attribute(scene, method='odam')  # doctest: +SKIP

    Args:
        model: a :class:`mmext.Model`, or a predictor (:mod:`mmext.inference.prediction`).
    """

    def __init__(self, model: Any) -> None:
        self._reader = model if hasattr(model, 'predictor') else None
        self.network = Network(getattr(model, 'predictor', model))
        self._centered: dict[Layer, list[bool]] = {}

    @classmethod
    def from_checkpoint(cls, checkpoint: str | Path, config: Any = None, **options: Any) -> Any:
        """An explainer of trained weights; arguments as of :func:`mmext.load`."""
        from mmext.inference.model import load

        return cls(load(checkpoint, config, **{'precision': 'fp32', **options}))

    def detect(self, picture: Any, most: int = 5, min_score: float = 0.3, name: str = '') -> Scene:
        """The best detections of a picture, with their origins.

        Args:
            picture: a path, a PIL image or an array: BGR ``[h, w, 3]`` uint8.
            most: detections at most.
            min_score: of them.
            name: of the picture; None takes that of the file.
        """
        if self._reader is not None:
            image, read_name = self._reader._read(picture)
        else:
            image, read_name = picture, ''
        with self.network.undisturbed():
            prepared = self.network.prepare(image, name or read_name)
            return look(self.network, prepared, most, min_score)

    def missed(self, scene: Scene, box_xyxy: Sequence[float], label: int | str) -> Detection:
        """An object that was not detected, as something to explain: why not?

        Args:
            scene: of the picture.
            box_xyxy: of the object, px of the picture.
            label: its class, by number or by name.

        Raises:
            InputError: there is no such class.
        """
        if isinstance(label, str):
            label = self.label_of(label)
        with self.network.undisturbed():
            return candidate(scene, box_xyxy, label)

    def label_of(self, name: str) -> int:
        """The number of a class.

        Raises:
            InputError: the detector has none of this name.
        """
        if name not in self.network.classes:
            raise InputError(
                f'the detector has no class {name!r}; it has {", ".join(self.network.classes)}'
            )
        return self.network.classes.index(name)

    def target(self, scene: Scene, detections: Sequence[Detection] | None = None) -> Any:
        """The scores of detections as a function: ``[B, 3, H, W]`` to ``[B, K]``.

        For methods of others. The inputs are those of :attr:`Scene.prepared` or like them.
        """
        wanted = scene.detections if detections is None else detections
        parts = [
            (numbers, scene.target([wanted[i] for i in numbers], True))
            for numbers in scene.groups(wanted, perturbed=True)
        ]

        def values(inputs: Tensor, scale: str = 'score') -> Tensor:
            columns: dict[int, Tensor] = {}
            with self.network.undisturbed(), torch.set_grad_enabled(inputs.requires_grad):
                for numbers, target in parts:
                    found = target(inputs, scale)
                    columns |= {number: found[:, i] for i, number in enumerate(numbers)}
            return torch.stack([columns[number] for number in range(len(wanted))], 1)

        return values

    def attribute(
        self,
        scene: Scene,
        detections: Sequence[Detection] | None = None,
        method: str = 'odam',
        options: Options | None = None,
    ) -> list[Attribution]:
        """A map of each detection.

        Where a score cannot be differentiated, its map is made by random masks, and says so.

        Args:
            scene: of a picture.
            detections: of the scene, or missed ones; None: all of the scene.
            method: a key of :data:`mmext.explain.methods.METHODS`.
            options: how.

        Raises:
            InputError: no such method or layer, or one that cannot serve this detector.
        """
        kind, options = find_method(method), options or Options()
        wanted = list(scene.detections if detections is None else detections)
        done: list[Attribution | None] = [None] * len(wanted)
        perturbed = kind.kind not in ('layer', 'input', 'summary', 'readout')
        with self.network.undisturbed():
            for numbers in scene.groups(wanted, perturbed):
                started = time.monotonic()
                group = [wanted[i] for i in numbers]
                made = self._with_fallback(scene, group, method, kind, options)
                seconds = time.monotonic() - started
                for number, attribution in zip(numbers, made, strict=True):
                    done[number] = replace(attribution, seconds=seconds)
        return [attribution for attribution in done if attribution is not None]

    def _with_fallback(
        self, scene: Scene, group: list[Detection], method: str, kind: Method, options: Options
    ) -> list[Attribution]:
        try:
            return self._maps(scene, group, method, kind, options)
        except NotDifferentiable as error:
            reason = next((d.origin.reason for d in group if d.origin.reason), '') or str(error)
            made = self._maps(scene, group, FALLBACK, find_method(FALLBACK), options)
            note = f'no derivative for {method}, made by random masks: {reason}'
            return [replace(attribution, note=note) for attribution in made]

    def _maps(
        self, scene: Scene, group: list[Detection], method: str, kind: Method, options: Options
    ) -> list[Attribution]:
        if kind.kind in ('layer', 'summary'):
            return self._layer_maps(scene, group, method, options)
        if kind.kind == 'input':
            target = scene.target(group, perturbed=False)
            slopes = gradient_maps.differentiate(_differentiable(target), None)
            maps = gradient_maps.input_maps(method, slopes, scene.prepared.inputs)
            return _attributions(scene, group, method, target, maps)
        if kind.kind == 'readout':
            return self._read_out(scene, group, method)
        target = scene.target(group, perturbed=True)
        if kind.kind == 'segments':
            return self._segmented(scene, group, method, target, options)
        if kind.kind == 'masks':
            return self._masked(scene, group, method, target, options)
        return self._by_captum(scene, group, method, target, options)

    def _layer_maps(
        self, scene: Scene, group: list[Detection], method: str, options: Options
    ) -> list[Attribution]:
        name = 'backbone' if method == 'eigencam' and options.layer == 'auto' else options.layer
        if name == INPUT:
            raise InputError(f'{method} is made of the features of a layer; for the input: ig')
        layer = find_layer(self.network.model, name)
        target = scene.target(group, perturbed=False)
        slopes = gradient_maps.differentiate(_differentiable(target), layer)
        may_change = name == 'auto' and layer.module != 'backbone'
        if may_change and not group[0].region_xyxy and gradient_maps.is_confined(slopes):
            layer = Layer('backbone')  # all of its outputs
            slopes = gradient_maps.differentiate(_differentiable(target), layer)
        centered = self._placement(layer)
        maps = gradient_maps.layer_maps(method, slopes, centered, scene.prepared.size_hw)
        made = _attributions(scene, group, method, target, maps, str(layer))
        shares = gradient_maps.shares_of_levels(slopes).tolist()
        return [replace(a, levels=tuple(row)) for a, row in zip(made, shares, strict=True)]

    def _placement(self, layer: Layer) -> list[bool]:
        if layer not in self._centered:
            found = cells_are_centered(self.network, Layer(layer.module))
            if layer.output is not None and found:
                found = found[layer.output :][:1]
            self._centered[layer] = found
        return self._centered[layer]

    def _masked(
        self, scene: Scene, group: list[Detection], method: str, target: Any, options: Options
    ) -> list[Attribution]:
        if method == 'occlusion':
            settings = _settings(options)
            maps = torch.stack(
                [
                    captum_methods.occlusion(
                        target, scene.prepared, i, options.patch_px or _third(scene, d), settings
                    )
                    for i, d in enumerate(group)
                ]
            )
            return _attributions(scene, group, method, target, maps)
        draw = masked_maps.Draw(options.masks, options.block, options.seed)
        if method == 'rise-features':
            with masked_maps.on_features(self.network, scene.prepared, target) as scores:
                found = masked_maps.rise(scores, scene.prepared, draw, options.scale)
        else:
            scores = masked_maps.on_pixels(target, scene.prepared)
            found = masked_maps.rise(scores, scene.prepared, draw, options.scale)
        made = _attributions(scene, group, method, target, found.relevance)
        return [
            replace(a, facts={'agreement': float(r), 'kept': found.keep})
            for a, r in zip(made, found.agreement, strict=True)
        ]

    def _read_out(self, scene: Scene, group: list[Detection], method: str) -> list[Attribution]:
        read = dict(cam=class_map, attention=attention_map)[method]
        maps = []
        for detection in group:
            if detection.origin.rule is None:
                raise InputError(
                    f'{method} needs the place that a score comes from, and that is unknown: '
                    f'{detection.origin.reason}'
                )
            maps.append(read(self.network, scene.prepared, detection.origin.rule))
        target = scene.target(group, perturbed=False)
        return _attributions(scene, group, method, target, torch.stack(maps))

    def _segmented(
        self, scene: Scene, group: list[Detection], method: str, target: Any, options: Options
    ) -> list[Attribution]:
        segments = segments_of(self.network, scene.prepared)
        maps, facts = segment_maps(
            target, scene.prepared, len(group), segments, method == 'shapley', _settings(options)
        )
        made = _attributions(scene, group, method, target, maps)
        return [replace(a, facts=f) for a, f in zip(made, facts, strict=True)]

    def _by_captum(
        self, scene: Scene, group: list[Detection], method: str, target: Any, options: Options
    ) -> list[Attribution]:
        settings, maps, facts = _settings(options), [], []
        for number in range(len(group)):
            try:
                if method == 'ig':
                    path = captum_methods.integrated_gradients(
                        target, scene.prepared, number, settings
                    )
                    maps.append(path.relevance)
                    facts.append({'gap': path.gap})
                    continue
                function = dict(
                    smoothgrad=captum_methods.smoothed, gradientshap=captum_methods.gradient_shap
                )[method]
                maps.append(function(target, scene.prepared, number, settings))
                facts.append({})
            except RuntimeError as error:
                raise NotDifferentiable((str(error).splitlines() or [''])[0]) from error
        if not all(bool(m.isfinite().all()) for m in maps):
            raise NotDifferentiable('its derivatives are not finite')
        made = _attributions(scene, group, method, target, torch.stack(maps))
        return [replace(a, facts=f) for a, f in zip(made, facts, strict=True)]


def _differentiable(target: Any) -> Anchored | Live:
    if isinstance(target, Matched):
        raise NotDifferentiable('its score has no origin')
    return target


def _attributions(
    scene: Scene,
    group: Sequence[Detection],
    method: str,
    target: Any,
    maps: Tensor,
    layer: str = INPUT,
) -> list[Attribution]:
    """Maps of the input ``[K, H, W]`` as attributions of the picture."""
    original = to_original(maps.detach().float().cpu(), scene.prepared.frame)
    kind = type(target).__name__.lower()
    return [
        Attribution(d, method, layer, kind, np.ascontiguousarray(m.numpy()))
        for d, m in zip(group, original, strict=True)
    ]


def _settings(options: Options) -> Settings:
    return Settings(
        steps=options.steps,
        samples=options.samples,
        block=options.block,
        seed=options.seed,
        scale=options.scale,
    )


def _third(scene: Scene, detection: Detection) -> int:
    """A third of the shorter side of the box, px of the input, at least 4."""
    left, top, right, bottom = detection.box_xyxy
    scale_w, scale_h = scene.prepared.frame.scale_wh
    return max(4, round(min((right - left) * scale_w, (bottom - top) * scale_h) / 3))
