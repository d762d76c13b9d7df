"""Why a detector said it: the public class.

Shape legend: ``h x w`` picture, ``H x W`` input, K detections.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmext.errors import InputError
from mmext.explain import detectors, gradient_maps
from mmext.explain.attribution import Attribution, Options, attributions
from mmext.explain.channel_maps import channel_maps, replay
from mmext.explain.class_targets import class_detection
from mmext.explain.gradient_maps import NotDifferentiable
from mmext.explain.layers import INPUT, Layer, cells_are_centered, find_layer
from mmext.explain.making import by_captum, masked, read_out, segmented, target_of
from mmext.explain.map_targets import segment_detection
from mmext.explain.methods import FALLBACK, Method, find_method
from mmext.explain.network import Network
from mmext.explain.quantities import WHOLES, parse_quantity
from mmext.explain.scene import Detection, Scene, candidate, look
from mmext.explain.targets import Matched


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

    def whole(self, scene: Scene, kind: str, name: str) -> Detection:
        """What is no single detection as something to explain.

        Args:
            scene: of the picture.
            kind: 'segment', see :func:`.segment_detection`, or 'class', see
                :func:`.class_detection`.
            name: ``road``, ``car 2``; of a class.

        Raises:
            InputError: the picture has no such one.
        """
        make = segment_detection if kind == 'segment' else class_detection
        with self.network.undisturbed():
            return make(scene, name)

    def segment(self, scene: Scene, name: str) -> Detection:
        """A segment of the panoptic map as something to explain, see :meth:`whole`."""
        return self.whole(scene, 'segment', name)

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
            detections: of the scene, or missed ones; None: all of the scene, or the segment or
                class that the options name.
            method: a key of :data:`mmext.explain.methods.METHODS`.
            options: how.

        Raises:
            InputError: no such method or layer, or one that cannot serve this detector.
        """
        kind, options = find_method(method), options or Options()
        quantity = parse_quantity(options.target)
        if detections is None and quantity.kind in WHOLES:
            detections = [self.whole(scene, quantity.kind, quantity.name)]
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
                    done[number] = replace(attribution, seconds=seconds).smoothed(options.smooth)
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
        if kind.kind == 'channels':
            return self._channel_maps(scene, group, method, options)
        if kind.kind == 'input':
            target = target_of(scene, group, options, perturbed=False)
            slopes = gradient_maps.differentiate(_differentiable(target), None)
            maps = gradient_maps.input_maps(method, slopes, scene.prepared.inputs)
            return attributions(scene, group, options, method, target, maps)
        if kind.kind == 'readout':
            return read_out(scene, group, method, options)
        target = target_of(scene, group, options, perturbed=True)
        if kind.kind == 'segments':
            return segmented(scene, group, method, target, options)
        if kind.kind == 'masks':
            return masked(scene, group, method, target, options)
        return by_captum(scene, group, method, target, options)

    def _layer_maps(
        self, scene: Scene, group: list[Detection], method: str, options: Options
    ) -> list[Attribution]:
        name = 'backbone' if method == 'eigencam' and options.layer == 'auto' else options.layer
        layer = self._layer(method, name)
        target = target_of(scene, group, options, perturbed=False)
        slopes = gradient_maps.differentiate(_differentiable(target), layer)
        may_change = name == 'auto' and layer.module != 'backbone'
        if may_change and not group[0].region_xyxy and gradient_maps.is_confined(slopes):
            layer = Layer('backbone')  # all of its outputs
            slopes = gradient_maps.differentiate(_differentiable(target), layer)
        centered = self._placement(layer)
        maps = gradient_maps.layer_maps(method, slopes, centered, scene.prepared.size_hw)
        made = attributions(scene, group, options, method, target, maps, str(layer))
        shares = gradient_maps.shares_of_levels(slopes).tolist()
        return [replace(a, levels=tuple(row)) for a, row in zip(made, shares, strict=True)]

    def _layer(self, method: str, name: str) -> Layer:
        if detectors.sees_crops(self.network.model):
            raise InputError(
                f'{method}: the features of this detector are of crops, not of the picture; '
                'take saliency, ig or rise'
            )
        if name == INPUT:
            raise InputError(f'{method} is made of the features of a layer; for the input: ig')
        return find_layer(self.network.model, name)

    def _channel_maps(
        self, scene: Scene, group: list[Detection], method: str, options: Options
    ) -> list[Attribution]:
        layer = self._layer(method, options.layer)
        target = target_of(scene, group, options, perturbed=True)
        run = replay(self.network.model, layer, target, options.block)
        placed = self._placement(Layer(layer.module))
        maps = channel_maps(method, run, options.channels, placed, scene.prepared.size_hw)
        return attributions(scene, group, options, method, target, maps, str(layer))

    def _placement(self, layer: Layer) -> list[bool]:
        if layer not in self._centered:
            found = cells_are_centered(self.network, Layer(layer.module))
            if layer.output is not None and found:
                found = found[layer.output :][:1]
            self._centered[layer] = found
        return self._centered[layer]


def _differentiable(target: Any) -> Any:
    if isinstance(getattr(target, 'target', target), Matched):
        raise NotDifferentiable('its score has no origin')
    return target
