"""A label map as what a generator sees: one channel for each class, unknown, edges of instances."""

import torch
from torch import Tensor
from torch.nn import functional

VOID = 255
"""In maps of labels, as everywhere in the house."""


def instance_edges(numbers: Tensor) -> Tensor:
    """Places that have another instance above, below, left or right; both sides are marked.

    Args:
        numbers: ``[N, H, W]`` of any integers that tell instances and stuff apart.

    Returns:
        ``[N, H, W]`` bool.
    """
    edges = torch.zeros_like(numbers, dtype=torch.bool)
    beside = numbers[:, :, 1:] != numbers[:, :, :-1]
    edges[:, :, 1:] |= beside
    edges[:, :, :-1] |= beside
    below = numbers[:, 1:] != numbers[:, :-1]
    edges[:, 1:] |= below
    edges[:, :-1] |= below
    return edges


def condition_channels(num_labels: int) -> int:
    """Channels of :func:`condition_of_maps`: classes, unknown, edge."""
    return num_labels + 2


def condition_of_maps(maps: Tensor, num_labels: int) -> Tensor:
    """The condition of pix2pix and SPADE from label maps.

    Args:
        maps: ``[N, 2, H, W]``, of labels from 0 (what is no class is unknown) and of edges, 0 or 1.
        num_labels: C.

    Returns:
        ``[N, C + 2, H, W]`` of 0 and 1, float32.
    """
    labels, edges = maps[:, 0].long(), maps[:, 1]
    labels = torch.where((labels < 0) | (labels >= num_labels), num_labels, labels)
    hot = functional.one_hot(labels, num_labels + 1).permute(0, 3, 1, 2)
    return torch.cat((hot, (edges != 0)[:, None].to(hot.dtype)), 1).float()
