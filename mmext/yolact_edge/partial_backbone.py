"""A backbone up to its first map, for the frames between key frames."""

from typing import Any

from torch import Tensor

from mmext.errors import InputError


def first_map(backbone: Any, images: Tensor) -> Tensor:
    """What a backbone's first map is, without the stages behind it.

    Args:
        backbone: the host's ``ResNet`` and what derives from it, or a ``MobileNetV2``.
        images: ``[B, 3, H, W]``.

    Returns:
        ``backbone(images)[0]``.

    Raises:
        InputError: it is another backbone.
    """
    stages = getattr(backbone, 'res_layers', None)
    if stages is not None:
        if backbone.deep_stem:
            x = backbone.stem(images)
        else:
            x = backbone.relu(backbone.norm1(backbone.conv1(images)))
        x = backbone.maxpool(x)
    elif hasattr(backbone, 'layers') and hasattr(backbone, 'conv1'):
        stages, x = backbone.layers, backbone.conv1(images)
    else:
        raise InputError(
            f'backbone: between key frames a ResNet or MobileNetV2 can stop early, '
            f'{type(backbone).__name__} cannot; set key_interval=1'
        )
    for name in stages[: min(backbone.out_indices) + 1]:
        x = getattr(backbone, name)(x)
    return x
