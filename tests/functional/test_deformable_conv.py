"""deformable_conv2d against a plain-loop restatement and finite differences."""

from itertools import product
from math import floor

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mmext.functional import deformable_conv as module
from mmext.functional.deformable_conv import deformable_conv2d


def sample(plane: Tensor, y: float, x: float) -> Tensor:
    """Bilinear sample [C] of [C, H, W]; every corner outside counts as zero."""
    height, width = plane.shape[1:]
    result = torch.zeros(len(plane), dtype=plane.dtype)
    for row, column in product((floor(y), floor(y) + 1), (floor(x), floor(x) + 1)):
        if 0 <= row < height and 0 <= column < width:
            result += plane[:, row, column] * (1 - abs(y - row)) * (1 - abs(x - column))
    return result


def loop_oracle(inputs, offsets, weight, bias, mask, stride, padding, dilation) -> Tensor:
    outputs = torch.zeros(len(inputs), len(weight), *offsets.shape[2:], dtype=inputs.dtype)
    kernel_height, kernel_width = weight.shape[2:]
    for n, row, column in product(*(range(outputs.shape[i]) for i in (0, 2, 3))):
        value = bias.clone()
        for i, j in product(range(kernel_height), range(kernel_width)):
            tap = i * kernel_width + j
            dy, dx = offsets[n, 2 * tap : 2 * tap + 2, row, column].tolist()
            y = row * stride[0] - padding[0] + i * dilation[0] + dy
            x = column * stride[1] - padding[1] + j * dilation[1] + dx
            value += weight[:, :, i, j] @ sample(inputs[n], y, x) * mask[n, tap, row, column]
        outputs[n, :, row, column] = value
    return outputs


def random_case(seed=0, images=2, size=(5, 6), kernel=(3, 3), out_size=(5, 6), spread=2.0):
    generator = torch.Generator().manual_seed(seed)

    def randn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    taps = kernel[0] * kernel[1]
    return dict(
        inputs=randn(images, 3, *size),
        offsets=randn(images, 2 * taps, *out_size) * spread,
        weight=randn(4, 3, *kernel),
        bias=randn(4),
        mask=randn(images, taps, *out_size),
    )


GEOMETRIES = [
    ((3, 3), (1, 1), (1, 1), (1, 1), (5, 6)),
    ((3, 3), (2, 2), (1, 1), (1, 1), (3, 3)),
    ((3, 3), (1, 1), (2, 2), (2, 2), (5, 6)),
    ((3, 3), (1, 1), (0, 0), (1, 1), (3, 4)),
    ((2, 3), (2, 1), (0, 2), (1, 2), (2, 6)),
    ((1, 1), (1, 1), (0, 0), (1, 1), (5, 6)),
]


@pytest.mark.parametrize(('kernel', 'stride', 'padding', 'dilation', 'out_size'), GEOMETRIES)
@pytest.mark.parametrize('chunk_bytes', [1, 8 << 20])
def test_equals_plain_loops(monkeypatch, kernel, stride, padding, dilation, out_size, chunk_bytes):
    monkeypatch.setattr(module, '_CHUNK_BYTES', chunk_bytes)
    case = random_case(kernel=kernel, out_size=out_size)
    geometry = dict(stride=stride, padding=padding, dilation=dilation)
    expected = loop_oracle(**case, **geometry)
    torch.testing.assert_close(deformable_conv2d(**case, **geometry), expected)


def test_zero_offsets_are_a_plain_convolution():
    case = random_case()
    case['offsets'].zero_()
    case['mask'] = None
    expected = F.conv2d(case['inputs'], case['weight'], case['bias'], padding=1)
    torch.testing.assert_close(deformable_conv2d(**case, padding=(1, 1)), expected)


@pytest.mark.parametrize('chunk_bytes', [500, 8 << 20])
def test_gradients_against_finite_differences(monkeypatch, chunk_bytes):
    monkeypatch.setattr(module, '_CHUNK_BYTES', chunk_bytes)
    case = random_case(size=(3, 4), kernel=(2, 2), out_size=(2, 3), spread=1.3)
    leaves = [tensor.requires_grad_() for tensor in case.values()]
    assert torch.autograd.gradcheck(deformable_conv2d, leaves)


def test_far_samples_are_zero_with_zero_gradient():
    case = random_case()
    case['offsets'].fill_(1e9)
    leaf = case['offsets'].requires_grad_()
    outputs = deformable_conv2d(**case, padding=(1, 1))
    outputs.sum().backward()
    torch.testing.assert_close(outputs, case['bias'].view(1, -1, 1, 1).expand_as(outputs))
    assert not leaf.grad.any()


@pytest.mark.parametrize('value', [torch.nan, torch.inf, -torch.inf])
def test_offsets_that_are_not_finite_give_nan_there_only(value):
    case = random_case()
    case['offsets'][1, 3, 2, 4] = value
    outputs = deformable_conv2d(**case, padding=(1, 1))
    assert outputs[1, :, 2, 4].isnan().all()
    assert outputs.isnan().sum() == 4


def test_batch_of_two_is_two_batches_of_one():
    case = random_case()
    alone = []
    for i in range(2):
        per_image = {name: case[name][i : i + 1] for name in ('inputs', 'offsets', 'mask')}
        alone.append(deformable_conv2d(**(case | per_image), padding=(1, 1)))
    torch.testing.assert_close(deformable_conv2d(**case, padding=(1, 1)), torch.cat(alone))


def test_empty_batch():
    case = random_case(images=0)
    case['inputs'].requires_grad_()
    outputs = deformable_conv2d(**case, padding=(1, 1))
    outputs.sum().backward()
    assert outputs.shape == (0, 4, 5, 6)
    assert case['inputs'].grad.shape == case['inputs'].shape


def test_result_is_channels_last_and_inputs_stay():
    case = random_case()
    before = {name: tensor.clone() for name, tensor in case.items()}
    outputs = deformable_conv2d(**case, padding=(1, 1))
    assert outputs.is_contiguous(memory_format=torch.channels_last)
    assert all(torch.equal(case[name], before[name]) for name in case)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(inputs=torch.zeros(2, 5, 5, 6)), r'inputs: expected \[N, 3, H, W\]'),
        (dict(inputs=torch.zeros(2, 3, 1, 1)), 'smaller than the kernel'),
        (dict(offsets=torch.zeros(2, 18, 5, 5)), r'offsets: expected \[2, 18, 3, 4\], got'),
        (dict(mask=torch.zeros(2, 9, 5, 5)), r'mask: expected \[2, 9, 3, 4\], got'),
    ],
)
def test_wrong_shapes_are_named(change, message):
    case = random_case(out_size=(3, 4))
    with pytest.raises(ValueError, match=message):
        deformable_conv2d(**(case | change))
