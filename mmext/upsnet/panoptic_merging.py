"""From the panoptic head's channels to the published panoptic map.

Source: the released evaluation of UPSNet (Xiong et al., CVPR 2019; the paper mentions the area
limit only). All of it happens at the resolution of the original image:

* Each pixel of an instance votes for its semantic label. If the label with the most votes is a
  **stuff** class and has at least half of the votes (the paper says more than half), the instance
  becomes that stuff; otherwise it keeps its detected class. On ties the first class in the paper's
  channel order wins, stuff before things.
* Instances that own a pixel are numbered in the order of their channels. Those that become stuff
  are counted too, so numbers may have gaps.
* Then every stuff class with less area than a limit becomes void (4096 pixels on COCO, 2048 on
  Cityscapes). Things have no limit. Unknown becomes void.

One joint histogram of (channel, semantic label) decides everything; one table lookup applies it.

Shapes: C = T + S classes (things first), k instances, H x W the original image.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mmext.errors import InputError
from mmext.functional.panoptic_labels import INSTANCE_OFFSET


def resize_ids_nearest(ids: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Nearest-neighbor resize of an integer map to an explicit size.

    Output pixel p reads the input pixel in which its center lies, ``floor((p + 1/2) * input size /
    output size)`` per axis. This is exact for every dtype and size. (The released code reads
    ``floor(p * input size / output size)``, which shifts the map by up to half a pixel of the
    larger grid.)

    Args:
        ids: ``[H, W]``.
        size_hw: new height and width.

    Returns:
        ``[*size_hw]``, dtype of ``ids``; ``ids`` itself if the size is the same.
    """
    if tuple(ids.shape) == tuple(size_hw):
        return ids
    rows, columns = (
        (2 * torch.arange(new, device=ids.device) + 1) * old // (2 * new)
        for old, new in zip(ids.shape, size_hw, strict=True)
    )
    return ids.index_select(0, rows).index_select(1, columns)


def merge_by_vote(
    channels: Tensor,
    semantic_labels: Tensor,
    instance_labels: Tensor,
    num_things: int,
    num_stuff: int,
    stuff_area_limit: int = 4096,
    instance_numbers: Tensor | None = None,
) -> Tensor:
    """Panoptic map from channels, by the vote of the semantic labels inside each instance.

    Args:
        channels: ``[H, W]``, integers: 0..S-1 stuff, S..S+k-1 instances, S+k unknown.
        semantic_labels: ``[H, W]``, integers 0..C-1, label order.
        instance_labels: ``[k]``, integers 0..T-1.
        num_things: T.
        num_stuff: S.
        stuff_area_limit: smallest area of a stuff class in pixels of this map.
        instance_numbers: ``[k]``, integers over 0, to be used as they are: the ids of objects that
            are tracked through a video. Without them instances are numbered from 1.

    Returns:
        int32 ``[H, W]``: label + 1000 * instance number, number 0 for stuff, void = C.

    Raises:
        InputError: if the maps differ in size.
    """
    if channels.shape != semantic_labels.shape:
        raise InputError(
            f'semantic_labels: expected shape {tuple(channels.shape)} like channels, '
            f'got {tuple(semantic_labels.shape)}'
        )
    num_classes = num_things + num_stuff
    num_channels = num_stuff + len(instance_labels) + 1
    pairs = channels.int() * num_classes + semantic_labels.int()
    votes = torch.bincount(pairs.flatten(), minlength=num_channels * num_classes)
    votes = votes.view(num_channels, num_classes).roll(num_stuff, dims=1)  # stuff before things
    if instance_numbers is None:
        instance_numbers = (votes[num_stuff:-1].sum(dim=1) > 0).cumsum(dim=0)
    instance_ids = instance_labels.long() + INSTANCE_OFFSET * instance_numbers.long()
    return _ids_of_channels(votes, instance_ids, num_things, num_stuff, stuff_area_limit)[
        channels.int()
    ]


def _ids_of_channels(
    votes: Tensor, instance_ids: Tensor, num_things: int, num_stuff: int, stuff_area_limit: int
) -> Tensor:
    """Panoptic id of each channel, int32 ``[S + k + 1]``.

    Args:
        votes: ``[S + k + 1, C]``, pixels of each channel with each semantic label.
        instance_ids: ``[k]``, the panoptic ids of instances that do not become stuff.
        num_things: T.
        num_stuff: S.
        stuff_area_limit: in pixels.
    """
    void = votes.shape[1]
    areas = votes.sum(dim=1)
    instance_areas = areas[num_stuff:-1]
    counts, winners = votes[num_stuff:-1].max(dim=1)  # the first on ties
    is_stuff = (winners < num_stuff) & (2 * counts >= instance_areas) & (instance_areas > 0)
    stuff = winners.where(is_stuff, num_stuff)  # [k], S where it stays an instance

    stuff_areas = areas[: num_stuff + 1].index_add(0, stuff, instance_areas)
    stuff_ids = torch.arange(num_things, void + 1, device=votes.device)  # [S + 1], the last is void
    stuff_ids = stuff_ids.where(stuff_areas >= stuff_area_limit, void)

    instance_ids = stuff_ids[stuff].where(is_stuff, instance_ids)
    unknown_id = stuff_ids.new_full((1,), void)
    return torch.cat((stuff_ids[:num_stuff], instance_ids, unknown_id)).int()
