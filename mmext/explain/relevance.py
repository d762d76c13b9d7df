"""Maps of relevance from the activations of a layer and the gradients of a score: the CAM family.

Sources: Selvaraju 2017 (Grad-CAM), Draelos 2020 (HiResCAM), Zhao 2023 (ODAM), Jiang 2021
(LayerCAM), Chattopadhay 2018 (Grad-CAM++), Fu 2020 (XGrad-CAM), Muhammad 2020 (EigenCAM).

Deviation: the maps are signed, and relevance is counted per pixel of the input. The maps of
several levels are then added as they are. Division by the maximum and the cut at 0 come last, once:
done for each level, they make a level with a thousandth of the relevance as bright as the others.

Shape legend: K scores, C channels, ``h x w`` cells of a layer, ``H x W`` pixels of the input.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

_TINY = 1e-12


class LevelMap(NamedTuple):
    """The relevance of the cells of one level.

    Attributes:
        cells: ``[K, h, w]``, signed.
        centered: whether cell j of stride s looks at pixels around ``s * (j + 1 / 2)``; else at
            those around ``s * j``, as behind a convolution of odd size with stride.
    """

    cells: Tensor
    centered: bool = True


def odam(activations: Tensor, gradients: Tensor) -> Tensor:
    """The sum over channels of gradient times activation: HiResCAM, ODAM's map.

    Args:
        activations: ``[C, h, w]``.
        gradients: ``[K, C, h, w]`` of each score.

    Returns:
        ``[K, h, w]``. Its sum is the score if the rest of the network is linear without bias.

    >>> odam(torch.tensor([[[1., 2], [3, 4]]]), torch.tensor([[[[1., 0], [0, -1]]]])).tolist()
    [[[1.0, 0.0], [0.0, -4.0]]]
    """
    return (gradients * activations).sum(1)


def gradcam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Grad-CAM: each channel weighted by the mean of its gradient.

    For a detector the mean is taken over an image of which the score sees a small part.

    Args:
        activations: ``[C, h, w]``.
        gradients: ``[K, C, h, w]``.

    Returns:
        ``[K, h, w]``.
    """
    return torch.einsum('kc,chw->khw', gradients.mean((2, 3)), activations)


def layercam(activations: Tensor, gradients: Tensor) -> Tensor:
    """LayerCAM: as :func:`odam`, without negative gradients.

    Args:
        activations: ``[C, h, w]``.
        gradients: ``[K, C, h, w]``.

    Returns:
        ``[K, h, w]``.
    """
    return (gradients.clamp(min=0) * activations).sum(1)


def gradcam_plus_plus(activations: Tensor, gradients: Tensor) -> Tensor:
    """Grad-CAM++: channels weighted by positive gradients, those of small areas more.

    Args:
        activations: ``[C, h, w]``, none negative.
        gradients: ``[K, C, h, w]``.

    Returns:
        ``[K, h, w]``.

    Raises:
        ValueError: an activation is negative; the weights may then divide by 0.
    """
    _check_positive('Grad-CAM++', activations)
    # scaled: the powers of small gradients vanish in float32, and the ratio does not depend on it
    scale = gradients.abs().amax((1, 2, 3), keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
    unit = (gradients / scale).double()
    sums = activations.double().sum((1, 2))[:, None, None] * scale.double()
    denominator = 2 * unit**2 + sums * unit**3
    ratio = torch.where(denominator.abs() > _TINY, unit**2 / denominator, 0.0)
    weights = (ratio * gradients.clamp(min=0).double()).sum((2, 3))
    return torch.einsum('kc,chw->khw', weights, activations.double()).to(activations.dtype)


def xgradcam(activations: Tensor, gradients: Tensor) -> Tensor:
    """XGrad-CAM: channels weighted by their share of gradient times activation.

    Args:
        activations: ``[C, h, w]``, none negative.
        gradients: ``[K, C, h, w]``.

    Returns:
        ``[K, h, w]``.

    Raises:
        ValueError: an activation is negative; a channel's sum may then be about 0.
    """
    _check_positive('XGrad-CAM', activations)
    weights = (gradients * activations).sum((2, 3)) / activations.sum((1, 2)).clamp(min=_TINY)
    return torch.einsum('kc,chw->khw', weights, activations)


def eigencam(activations: Tensor) -> Tensor:
    """EigenCAM: the activations along their first principal direction.

    It knows no score: the same map for every detection, a summary of the layer.

    Args:
        activations: ``[C, h, w]``.

    Returns:
        ``[h, w]``, with the sign that makes its sum positive.
    """
    rows = activations.flatten(1).double()  # [C, hw]
    if rows.shape[0] <= rows.shape[1]:
        _, vectors = torch.linalg.eigh(rows @ rows.T)
        projected = vectors[:, -1] @ rows
    else:
        values, vectors = torch.linalg.eigh(rows.T @ rows)
        projected = vectors[:, -1] * values[-1].clamp(min=0).sqrt()
    if projected.sum() < 0:
        projected = -projected
    return projected.view(activations.shape[1:]).to(activations.dtype)


def _check_positive(name: str, activations: Tensor) -> None:
    if activations.min() < 0:
        raise ValueError(
            f'{name} is defined for activations that are not negative, as behind a ReLU; this '
            f'layer goes down to {activations.min():.3g}'
        )


RULES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    'odam': odam,
    'gradcam': gradcam,
    'layercam': layercam,
    'gradcam++': gradcam_plus_plus,
    'xgradcam': xgradcam,
}


def on_input(levels: Sequence[LevelMap], size_hw: tuple[int, int]) -> Tensor:
    """Relevance per pixel of the input from that of the cells of several levels.

    Args:
        levels: at least one.
        size_hw: of the input with its padding, px.

    Returns:
        ``[K, H, W]``, signed. A cell's relevance is spread over the pixels it stands for.
    """
    total = torch.zeros((), device=levels[0].cells.device)
    for cells, centered in levels:
        height, width = cells.shape[1:]
        area_px = (size_hw[0] / height) * (size_hw[1] / width)
        total = total + enlarged(cells / area_px, size_hw, centered)
    return total


def enlarged(cells: Tensor, size_hw: tuple[int, int], centered: bool = True) -> Tensor:
    """Cells ``[K, h, w]`` at the pixels of the input, linearly between them: ``[K, H, W]``.

    Args:
        cells: any values.
        size_hw: height and width of the result.
        centered: see :class:`LevelMap`.

    >>> enlarged(torch.tensor([[[0., 4]]]), (1, 4)).tolist()
    [[[0.0, 1.0, 3.0, 4.0]]]
    >>> enlarged(torch.tensor([[[0., 4]]]), (1, 4), centered=False).tolist()
    [[[0.0, 2.0, 4.0, 4.0]]]
    """
    rows, columns = (
        _weights(length, size, centered).to(cells)
        for length, size in zip(cells.shape[1:], size_hw, strict=True)
    )
    return rows @ cells @ columns.T


def _weights(length: int, size: int, centered: bool) -> Tensor:
    """``[size, length]``: how much each cell counts at each pixel."""
    shift = 0.5 if centered else 0.0
    place = ((torch.arange(size, dtype=torch.float64) + shift) * length / size - shift).clamp(
        0, length - 1
    )
    cells = torch.arange(length, dtype=torch.float64)
    return (1 - (place[:, None] - cells).abs()).clamp(min=0)


def smoothed(maps: Tensor, sigma_px: float) -> Tensor:
    """Maps ``[K, H, W]`` spread by a Gaussian; what a pixel has is shared out inside of the map.

    Args:
        maps: any values; their sums stay.
        sigma_px: standard deviation, above 0.

    >>> smoothed(torch.tensor([[[0., 9, 0]]]), 1.0).sum().item()
    9.0
    """
    rows, columns = (_spread(length, sigma_px).to(maps) for length in maps.shape[1:])
    return rows @ maps @ columns.T


def _spread(length: int, sigma_px: float) -> Tensor:
    """``[length, length]``: how much of each pixel (column) goes to each (row)."""
    places = torch.arange(length, dtype=torch.float64)
    bell = torch.exp(-(((places[:, None] - places) / sigma_px) ** 2) / 2)
    return bell / bell.sum(0)


def heat(relevance: Tensor) -> Tensor:
    """The positive part of maps ``[K, H, W]``, each divided by its maximum, 0 to 1.

    A map without positive relevance is 0 everywhere.
    """
    positive = relevance.clamp(min=0)
    highest = positive.amax((1, 2), keepdim=True)
    return torch.where(
        highest > 0, positive / highest.clamp(min=torch.finfo(highest.dtype).tiny), 0.0
    )
