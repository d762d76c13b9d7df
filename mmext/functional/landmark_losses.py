"""Losses of landmarks: of coordinates, of heat-maps, and of bins.

Feng et al., "Wing Loss for Robust Facial Landmark Localisation", CVPR 2018; Lin et al.,
"Structure-Coherent Deep Feature Learning", TIP 2021 (soft wing); Wang et al., "Adaptive Wing Loss",
ICCV 2019; Li et al., "Human Pose Regression with Residual Log-likelihood Estimation", ICCV 2021;
Li et al., "SimCC", ECCV 2022.

All are element by element; :func:`masked_mean` makes a number of them.

Shape legend: N crops, K points, B bins.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def masked_mean(values: Tensor, weights: Tensor) -> Tensor:
    """The mean of the values that count.

    Args:
        values: ``[N, K, ...]``; those that do not count may be anything, also NaN.
        weights: ``[N, K]``, 0 or 1.

    Returns:
        A scalar. Without any that counts 0, whose gradient is 0 for all values.
    """
    extra = values.dim() - weights.dim()
    shaped = weights.view(*weights.shape, *[1] * extra)
    counted = values.where(shaped > 0, 0)
    per_weight = values[0, 0].numel() if values.numel() else 1
    return (counted * shaped).sum() / (weights.sum() * per_weight).clamp(min=1)


def wing(differences: Tensor, omega: float = 10.0, epsilon: float = 2.0) -> Tensor:
    """Wing loss: logarithmic below ``omega``, linear above.

    Args:
        differences: ``[...]``; the defaults are for pixels of the input.
        omega: where the logarithm ends.
        epsilon: curvature of the logarithm.

    Returns:
        ``[...]``.
    """
    distances = differences.abs()
    constant = omega * (1 - math.log1p(omega / epsilon))
    curved = omega * (distances / epsilon).log1p()
    return torch.where(distances < omega, curved, distances - constant)


def soft_wing(
    differences: Tensor, omega1: float = 2.0, omega2: float = 20.0, epsilon: float = 0.5
) -> Tensor:
    """Linear below ``omega1``, logarithmic above: errors that are small already pull little.

    Args:
        differences: ``[...]``, px.
        omega1: where the logarithm begins.
        omega2: its height.
        epsilon: its curvature.

    Returns:
        ``[...]``.
    """
    distances = differences.abs()
    constant = omega1 - omega2 * math.log1p(omega1 / epsilon)
    curved = omega2 * (distances / epsilon).log1p() + constant
    return torch.where(distances < omega1, distances, curved)


def adaptive_wing(
    predicted: Tensor,
    targets: Tensor,
    omega: float = 14.0,
    alpha: float = 2.1,
    epsilon: float = 1.0,
    theta: float = 0.5,
) -> Tensor:
    """Adaptive wing loss of heat-maps: a wing near peaks, squared on the ground.

    Args:
        predicted: ``[...]``.
        targets: like ``predicted``, 0..1.
        omega: height of the logarithm.
        alpha: exponent on the ground; at peaks it is ``alpha - 1``.
        epsilon: curvature.
        theta: where the linear part begins.

    Returns:
        ``[...]``.
    """
    distances = (predicted - targets).abs()
    power = alpha - targets
    at_theta = (theta / epsilon) ** power
    slope = omega / (1 + at_theta) * power * (theta / epsilon) ** (power - 1) / epsilon
    constant = theta * slope - omega * at_theta.log1p()
    # a power below 1 has an infinite slope at 0, and the other branch must not see it
    near = (distances / epsilon).clamp(max=theta / epsilon)
    curved = omega * (near**power).log1p()
    return torch.where(distances < theta, curved, slope * distances - constant)


def adaptive_wing_weights(targets: Tensor, weight: float = 10.0, threshold: float = 0.2) -> Tensor:
    """How much more the cells at and beside a peak count than the ground (section 4.3).

    A cell counts ``1 + weight`` if one of its 3 x 3 neighbors is at least ``threshold``, else 1.

    Args:
        targets: ``[N, K, H, W]``, 0..1.
        weight: of the paper.
        threshold: of the paper.

    Returns:
        ``[N, K, H, W]``.
    """
    if not targets.numel():
        return torch.ones_like(targets)
    highest = F.max_pool2d(targets, 3, stride=1, padding=1)
    return 1 + weight * (highest >= threshold).to(targets.dtype)


def smooth_l1(differences: Tensor, beta: float = 1.0) -> Tensor:
    """Squared below ``beta``, linear above.

    Args:
        differences: ``[...]``.
        beta: 0 is the plain absolute value.

    Returns:
        ``[...]``.
    """
    distances = differences.abs()
    if beta <= 0:
        return distances
    return torch.where(distances < beta, 0.5 * distances**2 / beta, distances - 0.5 * beta)


def simcc_kl(logits: Tensor, labels: Tensor, beta: float = 10.0) -> Tensor:
    """Kullback-Leibler divergence of the softmax of labels from that of outputs.

    Args:
        logits: ``[N, K, B]``.
        labels: like ``logits``, Gaussians of peak 1.
        beta: both are multiplied with it.

    Returns:
        ``[N, K]``, the mean over the bins. The released loss sums this over crops, points and
        both axes, and divides by K.
    """
    log_probs = (beta * logits).log_softmax(-1)
    log_targets = (beta * labels).log_softmax(-1)
    return (log_targets.exp() * (log_targets - log_probs)).mean(-1)


def residual_log_likelihood(
    points: Tensor,
    targets: Tensor,
    raw_sigmas: Tensor,
    log_density: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """RLE: the negative log-likelihood under a density whose shape is learned.

    The density is a Laplace distribution times what ``log_density`` adds to it.

    Args:
        points: ``[N, K, 2]``.
        targets: like ``points``.
        raw_sigmas: like ``points``; the sigmoid makes them deviations.
        log_density: from errors in deviations ``[M, 2]`` to log-densities ``[M]``; None leaves the
            Laplace distribution alone.

    Returns:
        ``[N, K, 2]``. The released loss sums all and divides by N; the log-density is in both
        coordinates of a point.
    """
    sigmas = raw_sigmas.sigmoid()
    errors = (points - targets) / (sigmas + 1e-9)
    losses = sigmas.log() + (2 * sigmas).log() + errors.abs()
    if log_density is None:
        return losses
    return losses - log_density(errors.flatten(0, -2)).view(*errors.shape[:-1], 1)
