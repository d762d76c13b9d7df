"""The picture that a class, or a channel, of a detector likes best.

Shape legend: ``h x w`` picture, ``H x W`` input.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from mmext.errors import InputError
from mmext.explain.explainer import Explainer
from mmext.explain.imagination import FourierPicture, moved, roughness, strength
from mmext.explain.layers import captured, chosen, find_layer
from mmext.explain.network import Network, Prepared
from mmext.functional.boxes import pairwise_iou

_ROUGHNESS, _STRENGTH = 40.0, 10.0
_LEARNING_RATE = 0.01

Objective = Callable[[Tensor], Tensor]


class Imagined(NamedTuple):
    """A picture and what the detector says of it.

    Attributes:
        image: BGR ``[h, w, 3]`` uint8.
        values: the objective at every step.
        score: of the best detection of the class in the picture as it is saved; 0 without.
        iou: of its box with the wanted one.
    """

    image: npt.NDArray[np.uint8]
    values: list[float]
    score: float = 0.0
    iou: float = 0.0


def imagine_class(
    explainer: Explainer,
    name: str,
    box_xyxy: Sequence[float],
    size_hw: tuple[int, int],
    steps: int = 128,
    seed: int = 0,
) -> Imagined:
    """The picture in which a detector sees an object best, at a place.

    The log-odds of the class at the origin of the box are raised; a probability would stop at 1,
    and be raised by taking from other classes.

    Args:
        explainer: of the detector.
        name: of the class.
        box_xyxy: where, px of the picture.
        size_hw: of the picture.
        steps: of the ascent.
        seed: of noise and movements.

    Raises:
        InputError: there is no such class, or no place of the detector for such a box.
    """
    label = explainer.label_of(name)
    left, top, right, bottom = box_xyxy
    if not (0 <= left < right <= size_hw[1] and 0 <= top < bottom <= size_hw[0]):
        raise InputError(f'--box {list(box_xyxy)} is not inside of a picture of {size_hw[::-1]} px')
    noise = np.random.default_rng(seed).integers(90, 160, (*size_hw, 3)).astype(np.uint8)
    scene = explainer.detect(noise, 20, 0.0)
    wanted = explainer.missed(scene, box_xyxy, label)
    if wanted.origin.rule is None or not wanted.stable:
        raise InputError(
            f'the detector has no fixed place for a {name} in that box ({wanted.origin.reason}); '
            'another --box, or --layer and --channel'
        )
    network = explainer.network
    with network.undisturbed():
        target = scene.target([wanted], perturbed=False)
        image, values = _ascend(
            network, scene.prepared, lambda x: target(x, 'logit')[0, 0], steps, seed
        )
    found = explainer.detect(image, 100, 0.05)
    same = [d for d in found.detections if d.label == label]
    if not same:
        return Imagined(image, values)
    boxes = torch.tensor([d.box_xyxy for d in same])
    overlap = pairwise_iou(torch.tensor([list(box_xyxy)], dtype=boxes.dtype), boxes)[0]
    best = int((overlap * torch.tensor([d.score for d in same])).argmax())
    return Imagined(image, values, same[best].score, float(overlap[best]))


def imagine_channel(
    explainer: Explainer,
    layer: str,
    channel: int,
    size_hw: tuple[int, int],
    steps: int = 128,
    seed: int = 0,
) -> Imagined:
    """The picture that a channel of a layer answers to most, in the mean over its cells.

    Args:
        explainer: of the detector.
        layer: see :func:`.layers.find_layer`; with one output.
        channel: of the layer.
        size_hw: of the picture.
        steps: of the ascent.
        seed: of noise and movements.

    Raises:
        InputError: there is no such layer or channel.
    """
    network = explainer.network
    place = find_layer(network.model, layer)
    noise = np.random.default_rng(seed).integers(90, 160, (*size_hw, 3)).astype(np.uint8)

    def objective(inputs: Tensor) -> Tensor:
        with captured(network.model, place) as outputs:
            network.features(inputs)
        output = chosen(outputs, place)[0]
        if not 0 <= channel < output.shape[1]:
            raise InputError(
                f'--channel {channel}: layer {place} has channels 0 to {output.shape[1] - 1}'
            )
        return output[0, channel].mean()

    with network.undisturbed():
        prepared = network.prepare(noise)
        image, values = _ascend(network, prepared, objective, steps, seed)
    return Imagined(image, values)


def _ascend(
    network: Network, prepared: Prepared, objective: Objective, steps: int, seed: int
) -> tuple[npt.NDArray[np.uint8], list[float]]:
    """The picture at the end, and the objective at every step."""
    frame = prepared.frame
    picture = FourierPicture(frame.inner_hw, seed)
    optimizer = torch.optim.Adam([picture.spectrum], lr=_LEARNING_RATE)
    generator = torch.Generator().manual_seed(seed)
    values = []
    for _ in range(steps):
        rgb = picture.rgb()
        value = objective(_as_input(network, prepared, moved(rgb[None], generator)))
        if not value.isfinite():
            raise InputError('the objective is not finite: nothing can be imagined for it')
        values.append(float(value.detach()))
        loss = _ROUGHNESS * roughness(rgb) + _STRENGTH * strength(rgb) - value.float().cpu()
        (picture.spectrum.grad,) = torch.autograd.grad(loss, [picture.spectrum])
        optimizer.step()
    with torch.no_grad():
        final = picture.rgb()
        if frame.inner_hw != frame.original_hw:
            final = interpolate(
                final[None], frame.original_hw, mode='bilinear', align_corners=False, antialias=True
            )[0]
    pixels = final.clamp(0, 1).mul(255).round().permute(1, 2, 0).numpy()
    return np.ascontiguousarray(pixels[..., ::-1].astype(np.uint8)), values


def _as_input(network: Network, prepared: Prepared, rgb: Tensor) -> Tensor:
    """A picture ``[1, 3, h, w]``, 0 to 1, as the preprocessor hands it on, ``[1, 3, H, W]``."""
    preprocessor, frame = network.model.data_preprocessor, prepared.frame
    # pictures are read as BGR; the preprocessor may make them RGB
    pixels = rgb if getattr(preprocessor, '_channel_conversion', False) else rgb.flip(1)
    pixels = (pixels * 255).to(network.device)
    if getattr(preprocessor, '_enable_normalize', False):
        pixels = (pixels - preprocessor.mean) / preprocessor.std
    height, width = prepared.size_hw
    bottom = height - frame.top - frame.inner_hw[0]
    right = width - frame.left - frame.inner_hw[1]
    return pad(pixels, (frame.left, right, frame.top, bottom))
