"""Detectors taken apart into networks of tensors alone, which another runtime can run.

A room that can be exported has a file ``deployment.py`` with two functions::

    network_parts(detector, size_hw, meta) -> {name: NetworkPart}    # what is exported
    use_parts(detector, runners) -> None                             # what runs in its place

``network_parts`` cuts the detector, ``use_parts`` lets it predict with the parts run elsewhere. All
that is around the parts (proposals, suppression, composition) stays the code that it is. Parts that
several rooms share are in ``two_stage_parts.py``, both functions for mmdet's own detectors in
``host_parts.py``.

Shape legend: N images ``[N, 3, H, W]``, C channels.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn


@dataclass
class NetworkPart:
    """A network of tensors alone.

    Attributes:
        module: takes the inputs in their order, returns a tuple of tensors.
        inputs: an example, by name. Axes 0, 2 and 3 of maps and axis 0 of lists may be of any size.
        output_names: in the order of the outputs.
        divisor: sides of the image are multiples of it.
        jumps: whether a last bit may move an output, for example from one maximum to another.
        opens: whether axes may be of any size; else they are those of the example.
    """

    module: nn.Module
    inputs: dict[str, Tensor]
    output_names: tuple[str, ...]
    divisor: int = 1
    jumps: bool = False
    opens: bool = True


class Runner(Protocol):
    """A part that runs somewhere."""

    output_names: tuple[str, ...]

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The outputs, in the order of their names."""


class ImageInput(nn.Module):
    """What a data preprocessor does to the pixels, and back.

    Args:
        preprocessor: of the detector.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, preprocessor: Any) -> None:
        super().__init__()
        normalizes = getattr(preprocessor, '_enable_normalize', False)
        mean, std = (preprocessor.mean, preprocessor.std) if normalizes else (0.0, 1.0)
        self.swaps_channels = bool(getattr(preprocessor, '_channel_conversion', False))
        self.register_buffer('mean', torch.as_tensor(mean).clone().view(-1, 1, 1))
        self.register_buffer('std', torch.as_tensor(std).clone().view(-1, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """The network's input from BGR 0..255, ``[N, 3, H, W]`` both."""
        image = image.flip(1) if self.swaps_channels else image
        return (image - self.mean) / self.std

    def pixels(self, batch_inputs: Tensor) -> Tensor:
        """BGR 0..255 from the network's input, ``[N, 3, H, W]`` both; its padding has the mean."""
        pixels = batch_inputs.float() * self.std + self.mean
        return pixels.flip(1) if self.swaps_channels else pixels


class Backbone(nn.Module):
    """Images to feature maps.

    Args:
        detector: with ``backbone`` and perhaps ``neck``.
    """

    def __init__(self, detector: Any) -> None:
        super().__init__()
        self.image_input = ImageInput(detector.data_preprocessor)
        self.backbone = detector.backbone
        self.neck = detector.neck if detector.with_neck else None

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Maps ``[N, C, h_i, w_i]`` from BGR 0..255 ``[N, 3, H, W]``."""
        maps = self.backbone(self.image_input(image))
        return tuple(maps if self.neck is None else self.neck(maps))


def image_example(size_hw: tuple[int, int]) -> dict[str, Tensor]:
    """Two images, as an example: a batch of one would be taken for a constant."""
    return dict(image=torch.rand(2, 3, *size_hw) * 255)
