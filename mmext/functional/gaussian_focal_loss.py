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

# A piece and its few temporaries should stay in the CPU's cache; a GPU wants few large kernels.
_PIECE_CPU, _PIECE_GPU = 1 << 16, 1 << 26


def gaussian_focal_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Sum over all cells divided by the number of positive cells.

    A cell whose target is exactly 1 is positive and costs ``-(1 - p)^2 log(p)``; any
    other costs ``-(1 - target)^4 p^2 log(1 - p)``. Computed in float32, also for half
    precision and under autocast.

    Args:
        logits: any shape.
        targets: the same shape, in 0..1.

    Returns:
        Scalar, differentiable once. Without positive cells the sum itself.

    Raises:
        ValueError: the shapes differ.

    >>> float(gaussian_focal_loss(torch.tensor([20.0, -20.0]), torch.tensor([1.0, 0.0]))) < 1e-8
    True
    """
    if logits.shape != targets.shape:
        raise ValueError(f'targets: expected {list(logits.shape)}, got {list(targets.shape)}')
    need_grad = torch.is_grad_enabled() and logits.requires_grad
    loss: Tensor = _Loss.apply(logits, targets, need_grad)
    return loss


class _Loss(torch.autograd.Function):
    """The gradient is made in forward."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, need_grad: bool) -> Tensor:
        flat_logits, flat_targets = logits.reshape(-1), targets.reshape(-1)
        grad = torch.empty_like(flat_logits, dtype=torch.float32) if need_grad else None
        size = _PIECE_CPU if logits.device.type == 'cpu' else _PIECE_GPU
        total = targets.new_zeros((), dtype=torch.float32)
        positives = targets.new_zeros((), dtype=torch.long)
        for start in range(0, len(flat_logits), size):
            piece = slice(start, start + size)
            is_positive = flat_targets[piece] == 1
            positives += is_positive.sum()
            total += _piece_loss(
                flat_logits[piece].float(),
                flat_targets[piece].float(),
                is_positive,
                None if grad is None else grad[piece],
            )
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


def _piece_loss(
    logits: Tensor, targets: Tensor, is_positive: Tensor, grad: Tensor | None
) -> Tensor:
    """Sum over some cells; writes their gradient.

    A positive cell costs at ``x`` what a negative one of full weight costs at ``-x``:
    with y = x or -x, weight * softplus(y) * sigmoid(y)^2.
    """
    signs = torch.where(is_positive, -1.0, 1.0)
    weights = torch.where(is_positive, 1.0, (1 - targets).square().square())
    wrongness = logits * signs
    log_terms, probs = softplus(wrongness), wrongness.sigmoid()
    weights *= probs.square()
    if grad is not None:
        slopes = probs + 2 * (1 - probs) * log_terms
        torch.mul(weights * signs, slopes, out=grad)
    return torch.dot(weights, log_terms)
