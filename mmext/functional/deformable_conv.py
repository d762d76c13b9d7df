"""Deformable convolution (v1, modulated v2) from multi-threaded torch operators.

Dai et al., "Deformable Convolutional Networks", 2017, equations 1-5; Zhu et al.,
"Deformable ConvNets v2", 2019, equation 1. Same results as mmcv's kernels, which
run on one thread on a CPU.

A bilinear sample is the weighted sum of four pixel rows (see ``row_sampling``).
The samples of all taps side by side times the weight matrix give the output, as
in a plain convolution. The work goes in chunks of output positions whose samples
fit the cache; they are gathered again in backward instead of being kept, so no
map of ``9 * C`` channels ever exists.

Shape legend: N images, C input and O output channels, K = kh * kw taps,
``H x W`` input and ``h x w`` output positions, P = N * h * w.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmext.functional.row_sampling import gather_rows, pixels_to_rows, rows_to_pixels, spread_rows

Pair = tuple[int, int]

# Samples of one chunk; with their gradient they should fit the last level cache.
_CHUNK_BYTES = 8 << 20
_CORNERS = 4


def deformable_conv2d(
    inputs: Tensor,
    offsets: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
) -> Tensor:
    """2D convolution whose taps are displaced per output position.

    Pixels outside the input count as 0, corner by corner; a sample at or beyond
    one pixel outside is 0 with a zero gradient. Computed in float32 (float64 if
    the inputs are), for one group and one deformable group.

    Args:
        inputs: ``[N, C, H, W]``.
        offsets: ``[N, 2*K, h, w]``, px of the input, (y, x) per tap, taps row-major.
        weight: ``[O, C, kh, kw]``.
        bias: ``[O]`` or None.
        mask: ``[N, K, h, w]`` factor per sample (v2) or None (v1).
        stride: (y, x).
        padding: (y, x).
        dilation: (y, x).

    Returns:
        ``[N, O, h, w]`` in channels-last memory, so that a following layer needs no
        transposition. It can be differentiated once.

    Raises:
        ValueError: for shapes that do not fit.
    """
    kernel = (weight.shape[2], weight.shape[3])
    _check_shapes(inputs, offsets, weight, mask, kernel, stride, padding, dilation)
    dtype = torch.promote_types(inputs.dtype, torch.float32)
    out_channels = weight.shape[0]
    corner_ids, corner_weights = _sampling_corners(
        offsets.to(dtype), (inputs.shape[2], inputs.shape[3]), kernel, stride, padding, dilation
    )
    if mask is not None:
        corner_weights = corner_weights * mask.to(dtype).permute(0, 2, 3, 1).reshape(-1, 1)
    matrix = weight.to(dtype).permute(2, 3, 1, 0).reshape(-1, out_channels)  # [K*C, O]
    outputs: Tensor = _SampleAndMultiply.apply(
        pixels_to_rows(inputs.to(dtype)), corner_ids, corner_weights, matrix
    )
    if bias is not None:
        outputs = outputs + bias.to(dtype)
    return rows_to_pixels(outputs, len(inputs), offsets.shape[2], offsets.shape[3])


def _sampling_corners(
    offsets: Tensor, in_size: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> tuple[Tensor, Tensor]:
    """Row numbers (int32) and bilinear weights of the samples, both ``[P*K, 4]``.

    The weights carry the gradient to the offsets; a corner outside the input
    has weight 0 and some valid row number.
    """
    images, _, height, width = offsets.shape
    taps = kernel[0] * kernel[1]
    displaced = offsets.permute(0, 2, 3, 1).reshape(images, height, width, taps, 2)
    ids, weights = [], []  # per axis [N, h, w, K, 2]
    for axis in range(2):
        cells = torch.arange(offsets.shape[2 + axis], device=offsets.device)
        steps = torch.arange(kernel[axis], device=offsets.device) * dilation[axis]
        steps = steps.repeat_interleave(kernel[1]) if axis == 0 else steps.repeat(kernel[0])
        origin = (cells * stride[axis] - padding[axis])[:, None] + steps  # [h or w, K]
        position = displaced[..., axis] + (origin[:, None] if axis == 0 else origin)
        low = position.detach().floor()
        fraction = position - low
        size = in_size[axis]
        low_weight = (1 - fraction) * ((low >= 0) & (low < size))
        high_weight = fraction * ((position > -1) & (low < size - 1))
        weights.append(torch.stack([low_weight, high_weight], -1))
        # An offset that is not finite gives NaN by its weight, not a wild row number.
        ids.append(torch.stack([low, low + 1], -1).nan_to_num_(0).clamp_(0, size - 1).int())
    first_row = torch.arange(images, dtype=torch.int32, device=offsets.device)
    first_row = first_row * (in_size[0] * in_size[1])
    corner_ids = ids[0][..., :, None] * in_size[1] + ids[1][..., None, :]  # [N, h, w, K, 2, 2]
    corner_ids += first_row.view(-1, 1, 1, 1, 1, 1)
    corner_weights = weights[0][..., :, None] * weights[1][..., None, :]
    return corner_ids.view(-1, _CORNERS), corner_weights.view(-1, _CORNERS)


class _SampleAndMultiply(torch.autograd.Function):
    """``samples @ matrix`` where a sample is a weighted sum of four rows.

    rows ``[R, C]``, corner ids and weights ``[P*K, 4]``, matrix ``[K*C, O]`` -> ``[P, O]``.
    """

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, corner_ids: Tensor, corner_weights: Tensor, matrix: Tensor
    ) -> Tensor:
        taps = matrix.shape[0] // rows.shape[1]
        outputs = rows.new_empty(len(corner_ids) // taps, matrix.shape[1])
        for positions, samples in _chunks(len(outputs), taps, matrix):
            sampled = gather_rows(rows, corner_ids[samples], corner_weights[samples])
            torch.mm(sampled.view(-1, len(matrix)), matrix, out=outputs[positions])
        ctx.save_for_backward(rows, corner_ids, corner_weights, matrix)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        rows, corner_ids, corner_weights, matrix = ctx.saved_tensors
        grad_outputs = grad_outputs.contiguous()
        grad_rows, grad_matrix = torch.zeros_like(rows), torch.zeros_like(matrix)
        grad_weights = torch.empty_like(corner_weights)
        taps = matrix.shape[0] // rows.shape[1]
        for positions, samples in _chunks(len(grad_outputs), taps, matrix):
            grad = grad_outputs[positions]
            grad_sampled = (grad @ matrix.T).view(-1, rows.shape[1])  # [chunk*K, C]
            # Offsets are local: a chunk touches a narrow band of rows.
            lowest, highest = (int(bound) for bound in corner_ids[samples].aminmax())
            band = slice(lowest, highest + 1)
            ids, weights = corner_ids[samples] - lowest, corner_weights[samples]
            sampled, grad_weights[samples] = _resample(rows[band], ids, weights, grad_sampled)
            grad_matrix.addmm_(sampled.view(-1, len(matrix)).T, grad)
            grad_rows[band] += spread_rows(grad_sampled, ids, weights, None, highest + 1 - lowest)
        return grad_rows, None, grad_weights, grad_matrix


def _chunks(positions: int, taps: int, matrix: Tensor) -> list[tuple[slice, slice]]:
    """Slices of the output positions and of their samples, by the byte budget."""
    step = max(1, _CHUNK_BYTES // (matrix.element_size() * len(matrix)))
    starts = range(0, positions, step)
    return [(slice(i, i + step), slice(i * taps, (i + step) * taps)) for i in starts]


def _resample(
    rows: Tensor, ids: Tensor, weights: Tensor, grad_sampled: Tensor
) -> tuple[Tensor, Tensor]:
    """The samples ``[M, C]`` once more and the gradient ``[M, 4]`` of their corner weights."""
    weights = weights.detach().requires_grad_()
    with torch.enable_grad():
        sampled = gather_rows(rows, ids, weights)
    (grad_weights,) = torch.autograd.grad(sampled, weights, grad_sampled)
    return sampled.detach(), grad_weights


def _check_shapes(
    inputs: Tensor,
    offsets: Tensor,
    weight: Tensor,
    mask: Tensor | None,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
) -> None:
    if inputs.dim() != 4 or inputs.shape[1] != weight.shape[1]:
        raise ValueError(f'inputs: expected [N, {weight.shape[1]}, H, W], got {list(inputs.shape)}')
    height, width = (
        (inputs.shape[2 + i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1
        for i in range(2)
    )
    if height < 1 or width < 1:
        raise ValueError(f'inputs: {list(inputs.shape)} is smaller than the kernel {kernel}')
    taps = kernel[0] * kernel[1]
    expected = [len(inputs), 2 * taps, height, width]
    if list(offsets.shape) != expected:
        raise ValueError(f'offsets: expected {expected}, got {list(offsets.shape)}')
    expected[1] = taps
    if mask is not None and list(mask.shape) != expected:
        raise ValueError(f'mask: expected {expected}, got {list(mask.shape)}')
