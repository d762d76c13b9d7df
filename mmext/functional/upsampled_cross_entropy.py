"""Cross-entropy of bilinearly upsampled logits that never builds them.

A segmentation head predicts at 1/4 of the image and is trained against the
full-resolution label map (UPSNet, section 3.1). Written plainly, interpolation,
log-softmax and their gradients are four ``N x C x 4h x 4w`` tensors: 570 MB each
for 133 classes at 800x1344. :func:`upsampled_cross_entropy` has the same value
and gradient and needs one strip of a few MB beside two coarse maps.

How: with an integer factor ``s`` the fine pixels ``(s*i + p, s*j + q)`` of one
phase ``(p, q)`` all mix their four coarse neighbors with the same weights. So
the fine map is ``s * s`` maps of coarse size, each a fixed mix of shifted coarse
maps, and the transposed interpolation is the same shifts the other way round.
The gradient is finished while the strip is in cache; backward only scales it.

Shape legend: N images, C classes, ``h x w`` coarse, ``H = s*h``, ``W = s*w`` fine.
"""

from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from mmext.errors import InputError
from mmext.renamed_keys import accept_old_keys

Normalization = Literal['valid', 'all_pixels']

# A strip should stay in the CPU's cache; a GPU wants few large kernels instead.
_STRIP_BYTES_CPU = 2 << 20
_STRIP_BYTES_GPU = 128 << 20


@accept_old_keys(normalisation='normalization')
def upsampled_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    scale_factor: int = 4,
    ignore_index: int = 255,
    normalization: Normalization = 'valid',
) -> Tensor:
    """Mean cross-entropy of logits after bilinear upsampling (half-pixel centers).

    Equals ``cross_entropy(interpolate(logits, scale_factor, mode='bilinear',
    align_corners=False), labels)`` in value and gradient. Computed in float32
    (float64 for float64 logits), also for half precision and under autocast.

    Args:
        logits: ``[N, C, h, w]``, any floating dtype.
        labels: ``[N, s*h, s*w]``, integers in ``0..C-1`` or ``ignore_index``.
        scale_factor: ``s``, an integer of at least 1.
        ignore_index: label of the pixels that add nothing.
        normalization: 'valid' divides by the number of pixels that are not
            ignored, 'all_pixels' by the number of all pixels.

    Returns:
        Scalar. 0 with a zero gradient where no pixel is valid. It can be
        differentiated once.

    Raises:
        ValueError: for shapes that do not fit, a scale below 1, an unknown
            normalization or (CPU only, as a check on a GPU would wait for it;
            there torch's own device assertion fires) a label out of range.
    """
    _check_arguments(logits, labels, scale_factor, ignore_index, normalization)
    if logits.numel() == 0:
        return logits.float().sum()
    valid = labels != ignore_index
    denominator = valid.sum().clamp(min=1) if normalization == 'valid' else valid.numel()
    need_grad = torch.is_grad_enabled() and logits.requires_grad
    safe_labels = labels.long().masked_fill(~valid, 0)
    total: Tensor = _UpsampledCrossEntropy.apply(
        logits, safe_labels, valid, scale_factor, need_grad
    )
    return total / denominator


class _UpsampledCrossEntropy(torch.autograd.Function):
    """Sum over the valid fine pixels; the gradient is made in forward."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, labels: Tensor, valid: Tensor, scale: int, need_grad: bool
    ) -> Tensor:
        dtype = torch.promote_types(logits.dtype, torch.float32)
        # One replicated cell on each side is what clamped source coordinates read.
        padded = pad(logits.detach().to(dtype), (1, 1, 1, 1), mode='replicate')
        grad = torch.zeros_like(padded) if need_grad else None
        loss = padded.new_zeros(())
        for rows in _strips(logits):
            padded_rows = slice(rows.start, rows.stop + 2)
            fine_rows = slice(rows.start * scale, rows.stop * scale)
            loss += _strip_loss(
                padded[:, :, padded_rows],
                labels[:, fine_rows],
                valid[:, fine_rows],
                scale,
                None if grad is None else grad[:, :, padded_rows],
            )
        if grad is not None:
            ctx.save_for_backward(_fold_border(grad))
            ctx.dtype = logits.dtype
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = ctx.saved_tensors
        return (grad * grad_output).to(ctx.dtype), None, None, None, None


def _strip_loss(
    padded: Tensor, labels: Tensor, valid: Tensor, scale: int, grad: Tensor | None
) -> Tensor:
    """Loss of one strip of rows, phase by phase; adds its gradient to ``grad``.

    Args:
        padded: ``[N, C, rows+2, w+2]``, the strip with a halo of one cell.
        labels: ``[N, s*rows, s*w]``, in range everywhere.
        valid: ``[N, s*rows, s*w]`` bool.
        scale: ``s``.
        grad: like ``padded``, added to in place; None: not wanted.

    Returns:
        Scalar, the sum over the strip's valid pixels.
    """
    height, width = padded.shape[2] - 2, padded.shape[3] - 2
    loss = padded.new_zeros(())
    for q, (x, x_weight) in enumerate(_phases(scale)):
        left, right = slice(x, x + width), slice(x + 1, x + 1 + width)
        columns = padded[..., left].lerp(padded[..., right], x_weight)  # [N, C, rows+2, w]
        columns_grad = None if grad is None else torch.zeros_like(columns)
        for p, (y, y_weight) in enumerate(_phases(scale)):
            upper, lower = slice(y, y + height), slice(y + 1, y + 1 + height)
            phase_logits = columns[:, :, upper].lerp(columns[:, :, lower], y_weight)
            phase_labels = labels[:, None, p::scale, q::scale]  # [N, 1, rows, w]
            phase_valid = valid[:, None, p::scale, q::scale]
            phase_logits -= phase_logits.amax(1, keepdim=True)
            label_logits = phase_logits.gather(1, phase_labels)
            exps = phase_logits.exp_()
            total = exps.sum(1, keepdim=True)
            loss += ((total.log() - label_logits) * phase_valid).sum()
            if columns_grad is not None:
                # d loss / d logits = (exps - total * one_hot) / total on valid pixels
                exps.scatter_add_(1, phase_labels, -total)
                factor = phase_valid / total
                columns_grad[:, :, upper].addcmul_(exps, factor, value=1 - y_weight)
                columns_grad[:, :, lower].addcmul_(exps, factor, value=y_weight)
        if grad is not None and columns_grad is not None:
            grad[..., left].add_(columns_grad, alpha=1 - x_weight)
            grad[..., right].add_(columns_grad, alpha=x_weight)
    return loss


def _phases(scale: int) -> Iterator[tuple[int, float]]:
    """Per phase: shift of its first neighbor on the padded axis, weight of its second."""
    for phase in range(scale):
        offset = (phase + 0.5) / scale - 0.5  # in cells, from the cell's center
        yield (0, offset + 1) if offset < 0 else (1, offset)


def _strips(logits: Tensor) -> Iterator[slice]:
    """Cuts the coarse rows so that one strip of phase logits keeps the byte budget."""
    images, classes, height, width = logits.shape
    budget = _STRIP_BYTES_CPU if logits.device.type == 'cpu' else _STRIP_BYTES_GPU
    rows = max(1, budget // (4 * images * classes * width))
    for start in range(0, height, rows):
        yield slice(start, min(start + rows, height))


def _fold_border(grad: Tensor) -> Tensor:
    """Transposed replicate padding: ``[N, C, h+2, w+2]`` -> ``[N, C, h, w]`` (in place)."""
    grad[:, :, 1] += grad[:, :, 0]
    grad[:, :, -2] += grad[:, :, -1]
    grad[..., 1] += grad[..., 0]
    grad[..., -2] += grad[..., -1]
    return grad[:, :, 1:-1, 1:-1].contiguous()


def _check_arguments(
    logits: Tensor, labels: Tensor, scale: int, ignore_index: int, normalization: str
) -> None:
    if logits.dim() != 4 or not logits.is_floating_point():
        raise ValueError(f'logits: expected float [N, C, h, w], got {_describe(logits)}')
    if int(scale) != scale or scale < 1:
        raise ValueError(f'scale_factor: expected an integer >= 1, got {scale}')
    images, classes, height, width = logits.shape
    expected = (images, height * scale, width * scale)
    if tuple(labels.shape) != expected or labels.is_floating_point():
        raise ValueError(f'labels: expected integer {list(expected)}, got {_describe(labels)}')
    if normalization not in ('valid', 'all_pixels'):
        raise ValueError(f"normalization: expected 'valid' or 'all_pixels', got {normalization!r}")
    if labels.device.type == 'cpu' and labels.numel():
        _check_label_range(labels, classes, ignore_index)


def _check_label_range(labels: Tensor, classes: int, ignore_index: int) -> None:
    wrong = ((labels < 0) | (labels >= classes)) & (labels != ignore_index)
    if wrong.any():
        found = sorted(set(labels[wrong].tolist()))[:5]
        raise InputError(f'labels: expected 0..{classes - 1} or {ignore_index}, found {found}')


def _describe(tensor: Tensor) -> str:
    return f'{tensor.dtype} {list(tensor.shape)}'
