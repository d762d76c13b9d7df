"""Landmarks as coordinates: expectations of maps, and one vector for each axis.

Sun et al., "Integral Human Pose Regression", ECCV 2018; Nibali et al., "Numerical Coordinate
Regression with Convolutional Neural Networks", arXiv 1801.07372 (DSNT and its regularizers);
Gu et al., "Removing the Bias of Integral Pose Regression", ICCV 2021; Li et al., "SimCC", ECCV
2022.

Shape legend: N crops, K points, ``H x W`` cells, ``B`` bins of an axis.
"""

import torch
from torch import Tensor

from mmext.errors import InputError
from mmext.functional.landmark_heatmaps import Frame, Sizes

_TINY = 1e-24  # inside of logarithms, as released


def soft_argmax(logits: Tensor, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
    """The mean place of each map's softmax.

    Args:
        logits: ``[..., H, W]``.
        temperature: the logits are divided by it.

    Returns:
        x, y ``[..., 2]`` in -1..1, the edges of the map; probabilities ``[..., H, W]``. Both are
        float32.

    >>> soft_argmax(torch.zeros(3, 4))[0].tolist()
    [0.0, 0.0]
    """
    scaled = logits.float().flatten(-2) / temperature
    probs = scaled.softmax(-1).unflatten(-1, logits.shape[-2:])
    return expected_xy(probs), probs


def expected_xy(probs: Tensor) -> Tensor:
    """The mean place of distributions over the cells of maps.

    Args:
        probs: ``[..., H, W]``, each sums to 1.

    Returns:
        x, y ``[..., 2]`` in -1..1, the edges of the map; cell k of n lies at ``(2k + 1) / n - 1``.
    """
    return probs.flatten(-2) @ _cell_grid(probs).flatten(0, 1)


def integral_xy(logits: Tensor, beta: float = 1.0, debias: bool = False) -> Tensor:
    """The mean place as mmpose has it: cell k of n lies at its left edge, ``k / n``.

    Args:
        logits: ``[..., H, W]``.
        beta: the logits are multiplied with it.
        debias: take out the pull to the middle that the softmax of cells far from the peak has
            (Gu et al.). The sum of exponentials is that of the plain logits, so that it makes sense
            for maps near 0 alone; where it overflows nothing is taken out.

    Returns:
        x, y ``[..., 2]``, 0..1.
    """
    height, width = logits.shape[-2:]
    scaled = beta * logits.float()
    mean = soft_argmax(scaled)[0]  # centers, -1..1
    half = 0.5 / mean.new_tensor([width, height])
    edges = (mean + 1) / 2 - half
    if not debias:
        return edges
    total = scaled.flatten(-2).exp().sum(-1)[..., None]
    factor = torch.where(total.isfinite(), total / (total - 1), 1.0)
    return factor * (edges - 1 / (2 * total))


def normalized_gaussians(xy: Tensor, map_hw: Sizes, sigma_cells: float) -> Tensor:
    """Gaussians over the cells of maps, each of sum 1.

    Args:
        xy: ``[..., 2]`` in -1..1.
        map_hw: height and width.
        sigma_cells: standard deviation.

    Returns:
        ``[..., H, W]``; all 0 where the point is far outside.
    """
    height, width = map_hw
    cells = _cell_grid(xy.new_zeros(map_hw))
    along_x = (-0.5 * ((cells[0, :, 0] - xy[..., :1]) * (width / 2 / sigma_cells)) ** 2).exp()
    along_y = (-0.5 * ((cells[:, 0, 1] - xy[..., 1:]) * (height / 2 / sigma_cells)) ** 2).exp()
    maps = along_y[..., :, None] * along_x[..., None, :]
    return maps / (maps.sum((-2, -1), keepdim=True) + _TINY)


def kl_divergence(probs: Tensor, targets: Tensor) -> Tensor:
    """Kullback-Leibler divergence of distributions over cells.

    Args:
        probs: ``[..., H, W]``.
        targets: like ``probs``.

    Returns:
        ``[...]``, ``sum p (log p - log q)``.
    """
    return (probs * ((probs + _TINY).log() - (targets + _TINY).log())).sum((-2, -1))


def jensen_shannon(probs: Tensor, targets: Tensor) -> Tensor:
    """Jensen-Shannon divergence, DSNT's regularizer of choice.

    Args:
        probs: ``[..., H, W]``.
        targets: like ``probs``.

    Returns:
        ``[...]``.
    """
    middle = (probs + targets) / 2
    return (kl_divergence(probs, middle) + kl_divergence(targets, middle)) / 2


def variance_error(probs: Tensor, sigma_cells: float) -> Tensor:
    """DSNT's other regularizer: how far the variances are from that of a Gaussian.

    Args:
        probs: ``[..., H, W]``.
        sigma_cells: of that Gaussian.

    Returns:
        ``[...]``, squared differences of variances in cells, summed over both axes.
    """
    height, width = probs.shape[-2:]
    grid = _cell_grid(probs)
    deviations = (grid - expected_xy(probs)[..., None, None, :]) ** 2
    variances = (probs[..., None] * deviations).sum((-3, -2))
    cells = variances * (probs.new_tensor([width, height]) / 2) ** 2
    return ((cells - sigma_cells**2) ** 2).sum(-1)


def simcc_targets(
    points_xy: Tensor,
    visible: Tensor,
    input_wh: Sizes,
    ratio: float = 2.0,
    sigmas: tuple[float, float] = (5.66, 5.66),
    frame: Frame = 'continuous',
) -> tuple[Tensor, Tensor, Tensor]:
    """A Gaussian for each point and axis, of peak 1 at the nearest bin (SimCC).

    Args:
        points_xy: ``[N, K, 2]`` px of the crop.
        visible: ``[N, K]``, 0 = not annotated.
        input_wh: width and height of the crop, px.
        ratio: bins of a pixel.
        sigmas: along x and y, bins.
        frame: ``'continuous'``: a bin covers its share of the axis; ``'left_aligned'``: bin k lies
            at pixel ``k / ratio``, as released.

    Returns:
        Along x ``[N, K, Bx]``, along y ``[N, K, By]``, and weights ``[N, K]``: 0 for a point that
        is not annotated or further than three sigmas outside. Its vectors are 0.

    Raises:
        ValueError: another frame.
    """
    bins = points_xy * ratio - _first_bin(frame)
    rounded = bins.round()
    sizes = simcc_bins(input_wh, ratio)
    near = [
        (rounded[..., axis] >= -3 * sigmas[axis])
        & (rounded[..., axis] <= sizes[axis] - 1 + 3 * sigmas[axis])
        for axis in range(2)
    ]
    weights = ((visible > 0) & near[0] & near[1]).to(points_xy.dtype)
    rounded = rounded.where(weights[..., None] > 0, 0)
    vectors = []
    for axis, (size, sigma) in enumerate(zip(sizes, sigmas, strict=True)):
        places = torch.arange(size, dtype=points_xy.dtype, device=points_xy.device)
        values = (-0.5 * ((places - rounded[..., axis, None]) / sigma) ** 2).exp()
        vectors.append(values * weights[..., None])
    return vectors[0], vectors[1], weights


def simcc_bins(input_wh: Sizes, ratio: float) -> tuple[int, int]:
    """The number of bins along x and y."""
    return round(input_wh[0] * ratio), round(input_wh[1] * ratio)


def decode_simcc(
    along_x: Tensor, along_y: Tensor, ratio: float = 2.0, frame: Frame = 'continuous'
) -> tuple[Tensor, Tensor]:
    """The place of the largest bins.

    Args:
        along_x: ``[..., Bx]``.
        along_y: ``[..., By]``.
        ratio: bins of a pixel.
        frame: see :func:`simcc_targets`.

    Returns:
        Points ``[..., 2]`` px of the crop, and scores ``[...]``, the smaller of the two maxima;
        0 or less says that there is no point.

    Raises:
        ValueError: another frame.
    """
    (x_values, xs), (y_values, ys) = along_x.float().max(-1), along_y.float().max(-1)
    bins = torch.stack((xs, ys), dim=-1).float()
    return (bins + _first_bin(frame)) / ratio, torch.minimum(x_values, y_values)


def _first_bin(frame: str) -> float:
    """Where the first bin lies, in bins."""
    if frame not in ('continuous', 'left_aligned'):
        raise InputError(f"frame: expected 'continuous' or 'left_aligned', got {frame!r}")
    return 0.5 if frame == 'continuous' else 0.0


def _cell_grid(maps: Tensor) -> Tensor:
    """The centers of the cells of maps ``[..., H, W]``, -1..1 from edge to edge: ``[H, W, 2]``."""
    height, width = maps.shape[-2:]
    ys, xs = (
        (2 * torch.arange(size, dtype=maps.dtype, device=maps.device) + 1) / size - 1
        for size in (height, width)
    )
    return torch.stack(torch.meshgrid(xs, ys, indexing='xy'), dim=-1)
