"""The focal loss of key point heat-maps, from logits.

Law and Deng, "CornerNet", 2018, equation 1; both CenterNets train with it. Written
plainly it is a dozen maps of the size of the logits (84 MB each for 16 images of
COCO); here the gradient is made together with the value, piece by piece in the
cache. From logits nothing overflows or rounds to log(0), so that no probability
needs to be clamped and a wrong cell keeps its gradient however sure it is.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import softplus

from mmext.functional.gaussian_targets import Heatmaps, SparseMaps

# A piece and its few temporaries should stay in the CPU's cache; a GPU wants few large kernels.
_PIECE_CPU, _PIECE_GPU = 1 << 16, 1 << 26


def gaussian_focal_loss(logits: Tensor, targets: Heatmaps) -> Tensor:
    """Sum over all cells divided by the number of positive cells.

    A cell whose target is exactly 1 is positive and costs ``-(1 - p)^2 log(p)``; any
    other costs ``-(1 - target)^4 p^2 log(1 - p)``. Computed in float32, also for half
    precision and under autocast.

    Args:
        logits: ``[...]``, any shape.
        targets: ``[...]``, the same shape, in 0..1; sparse ones are on a CPU.

    Returns:
        Scalar, differentiable once. Without positive cells the sum itself.

    Raises:
        ValueError: the shapes differ.

    >>> float(gaussian_focal_loss(torch.tensor([20.0, -20.0]), torch.tensor([1.0, 0.0]))) < 1e-8
    True
    """
    if tuple(logits.shape) != tuple(targets.shape):
        raise ValueError(f'targets: expected {list(logits.shape)}, got {list(targets.shape)}')
    need_grad = torch.is_grad_enabled() and logits.requires_grad
    loss: Tensor = _Loss.apply(logits, targets, need_grad)
    return loss


class _Loss(torch.autograd.Function):
    """The gradient is made in forward."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Heatmaps, need_grad: bool) -> Tensor:
        flat = logits.reshape(-1)
        grad = torch.empty_like(flat, dtype=torch.float32) if need_grad else None
        if isinstance(targets, SparseMaps):
            total, positives = _sparse_loss(flat, targets, grad)
        else:
            total, positives = _dense_loss(flat, targets.reshape(-1), grad)
        count = positives.clamp(min=1)
        if grad is not None:
            ctx.save_for_backward(grad.view(logits.shape), count)
            ctx.dtype = logits.dtype
        return total / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        grad, count = ctx.saved_tensors
        return (grad * (grad_output / count)).to(ctx.dtype), None, None


def _dense_loss(logits: Tensor, targets: Tensor, grad: Tensor | None) -> tuple[Tensor, Tensor]:
    """Sum over the cells and how many are positive; arguments [cells], ``grad`` is written."""
    size = _PIECE_CPU if logits.device.type == 'cpu' else _PIECE_GPU
    total = logits.new_zeros((), dtype=torch.float32)
    positives = logits.new_zeros((), dtype=torch.long)
    for start in range(0, len(logits), size):
        piece = slice(start, start + size)
        total += _cells_loss(
            logits[piece].float(), targets[piece].float(), None if grad is None else grad[piece]
        )
        positives += (targets[piece] == 1).sum()
    return total, positives


def _sparse_loss(logits: Tensor, targets: SparseMaps, grad: Tensor | None) -> tuple[Tensor, Tensor]:
    """The same; nearly all cells are negative ones of full weight, which costs half as much."""
    cells, values, _ = targets
    starts = torch.arange(0, len(logits) + _PIECE_CPU, _PIECE_CPU, device=cells.device)
    ends = torch.searchsorted(cells, starts).tolist()
    total = logits.new_zeros((), dtype=torch.float32)
    for number, start in enumerate(range(0, len(logits), _PIECE_CPU)):
        piece = slice(start, start + _PIECE_CPU)
        with_target = cells[ends[number] : ends[number + 1]] - start
        # a logit of -inf costs nothing and has no gradient
        background = logits[piece].float().index_fill(0, with_target, -torch.inf)
        total += _negatives_loss(background, None if grad is None else grad[piece])
    grad_there = torch.empty_like(values)
    total += _cells_loss(logits.index_select(0, cells).float(), values, grad_there)
    if grad is not None:
        grad.index_copy_(0, cells, grad_there)
    return total, (values == 1).sum()


def _negatives_loss(logits: Tensor, grad: Tensor | None) -> Tensor:
    """Sum over some cells with a target of 0; writes their gradient."""
    log_terms, probs = softplus(logits), logits.sigmoid()
    weights = probs.square()
    if grad is not None:
        torch.mul(weights, _slopes(probs, log_terms), out=grad)
    return torch.dot(weights, log_terms)


def _cells_loss(logits: Tensor, targets: Tensor, grad: Tensor | None) -> Tensor:
    """Sum over some cells; writes their gradient.

    A positive cell costs at ``x`` what a negative one of full weight costs at ``-x``:
    with y = x or -x, weight * softplus(y) * sigmoid(y)^2.
    """
    is_positive = targets == 1
    signs = torch.where(is_positive, -1.0, 1.0)
    weights = torch.where(is_positive, 1.0, (1 - targets).square().square())
    wrongness = logits * signs
    log_terms, probs = softplus(wrongness), wrongness.sigmoid()
    weights *= probs.square()
    if grad is not None:
        torch.mul(weights * signs, _slopes(probs, log_terms), out=grad)
    return torch.dot(weights, log_terms)


def _slopes(probs: Tensor, log_terms: Tensor) -> Tensor:
    """The derivative of ``softplus(y) * sigmoid(y)^2`` divided by ``sigmoid(y)^2``."""
    return probs + 2 * (1 - probs) * log_terms
