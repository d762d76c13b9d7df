"""Losses that group the corners of an object and place them within their cells.

Duan et al., "CenterNet: Keypoint Triplets", ICCV 2019, equation 1, after Law and Deng,
"CornerNet", 2018, equations 3, 4 and 5. As released: smooth L1 for the offsets, where the triplet
paper writes L1; the diagonal takes part in the push loss, and is subtracted again.

Shapes: B images, M objects (padded).
"""

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from mmext.errors import InputError

Reduction = Literal['sum', 'mean']

EPS = 1e-4  # keeps an image without objects finite


def pull_push_loss(
    top_left_tags: Tensor,
    bottom_right_tags: Tensor,
    is_object: Tensor,
    reduction: Reduction = 'sum',
) -> tuple[Tensor, Tensor]:
    """Makes the tags of an object's corners equal, and those of different objects differ.

    Args:
        top_left_tags: ``[B, M]``.
        bottom_right_tags: ``[B, M]``.
        is_object: ``[B, M]`` bool.
        reduction: over the images. 'sum' is what was released: the weight of these
            losses grows with the batch on one device, which had 6 images.

    Returns:
        Pull and push loss, scalars; 0 for images without objects. The push loss of an
        image with a single object is a constant near 1, as released.

    Raises:
        InputError: unknown reduction.
    """
    if reduction not in get_args(Reduction):
        raise InputError(f'reduction: expected one of {get_args(Reduction)}, got {reduction!r}')
    count = is_object.sum(1).to(top_left_tags.dtype)  # [B]
    mean = (top_left_tags + bottom_right_tags) / 2
    spread = (top_left_tags - mean).square() + (bottom_right_tags - mean).square()
    pull = (spread * is_object).sum(1) / (count + EPS)
    margin = F.relu(1 - (mean[:, :, None] - mean[:, None, :]).abs())  # [B, M, M]
    is_pair = is_object[:, :, None] & is_object[:, None, :]
    excess = (margin - 1 / (count + EPS)[:, None, None]) * is_pair
    push = excess.sum((1, 2)) / (count * (count - 1) + EPS)
    if reduction == 'mean':
        return pull.sum() / max(len(pull), 1), push.sum() / max(len(push), 1)
    return pull.sum(), push.sum()


def offset_loss(offsets: Tensor, targets: Tensor, is_object: Tensor) -> Tensor:
    """Smooth L1 of the places within cells, over the objects of the batch.

    Args:
        offsets: ``[B, M, 2]`` predicted at the cells of the objects.
        targets: ``[B, M, 2]``.
        is_object: ``[B, M]`` bool.

    Returns:
        Scalar: the sum over x and y divided by the number of objects.
    """
    error = F.smooth_l1_loss(offsets, targets, reduction='none').sum(2)
    return torch.where(is_object, error, 0).sum() / (is_object.sum() + EPS)
