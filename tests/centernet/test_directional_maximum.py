"""Running maxima against plain loops; gradients against finite differences and mmcv."""

import numpy as np
import pytest
import torch
from mmcv.ops import CornerPool

from mmext.centernet.directional_maximum import (
    cross_maximum,
    directional_maximum,
    doubling_maximum,
    shifted_maximum,
)

DIRECTIONS = ['top', 'bottom', 'left', 'right']
SHAPES = [(2, 3, 7, 5), (1, 2, 1, 4), (1, 2, 4, 1), (0, 2, 3, 3)]


def oracle(features: np.ndarray, direction: str) -> np.ndarray:
    result = np.empty_like(features)
    for n, c, i, j in np.ndindex(*features.shape):
        plane = features[n, c]
        seen = {
            'top': plane[i:, j],
            'bottom': plane[: i + 1, j],
            'left': plane[i, j:],
            'right': plane[i, : j + 1],
        }
        result[n, c, i, j] = seen[direction].max()
    return result


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize('direction', DIRECTIONS)
def test_values_and_gradients(shape: tuple[int, ...], direction: str) -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(shape, generator=generator).requires_grad_()
    before = features.detach().clone()
    result = directional_maximum(features, direction)
    np.testing.assert_array_equal(result.detach(), oracle(before.numpy(), direction))
    weights = torch.randn(shape, generator=generator)
    result.backward(weights)
    host = before.clone().requires_grad_()
    CornerPool(direction)(host).backward(weights)
    torch.testing.assert_close(features.grad, host.grad)
    assert torch.equal(features.detach(), before)


@pytest.mark.parametrize('direction', DIRECTIONS)
def test_gradient_numerically(direction: str) -> None:
    features = torch.rand(1, 2, 4, 3, dtype=torch.double).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: directional_maximum(x, direction), features)


@pytest.mark.parametrize('size', [1, 2, 5, 8, 9])
@pytest.mark.parametrize('upwards', [True, False])
def test_doubling_is_what_devices_with_slow_launches_use(size: int, upwards: bool) -> None:
    features = torch.randn(2, 3, size, 4)
    expected = oracle(features.numpy(), 'top' if upwards else 'bottom')
    np.testing.assert_array_equal(doubling_maximum(features, 2, upwards), expected)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_is_exact(dtype: torch.dtype) -> None:
    features = torch.randn(1, 2, 6, 6).to(dtype)
    for direction in DIRECTIONS:
        result = directional_maximum(features, direction)
        assert result.dtype == dtype
        np.testing.assert_array_equal(result.float(), oracle(features.float().numpy(), direction))


def test_equal_values_give_their_gradient_to_the_first_seen() -> None:
    features = torch.tensor([1.0, 1.0, 0.0]).view(1, 1, 1, 3).requires_grad_()
    directional_maximum(features, 'right').sum().backward()
    assert features.grad.flatten().tolist() == [3, 0, 0]


def test_not_contiguous_input() -> None:
    features = torch.randn(2, 5, 4, 3).to(memory_format=torch.channels_last)
    for direction in DIRECTIONS:
        expected = oracle(features.numpy(), direction)
        np.testing.assert_array_equal(directional_maximum(features, direction), expected)


def test_cross_maximum_is_four_corner_poolings() -> None:
    columns, rows = torch.randn(2, 2, 3, 6, 5).unbind()
    columns.requires_grad_()
    rows.requires_grad_()
    weights = torch.randn(2, 3, 6, 5)
    result = cross_maximum(columns, rows)
    grads = torch.autograd.grad(result, (columns, rows), weights)
    expected = CornerPool('bottom')(CornerPool('top')(columns)) + CornerPool('right')(
        CornerPool('left')(rows)
    )
    assert torch.equal(result, expected)
    for actual, by_mmcv in zip(
        grads, torch.autograd.grad(expected, (columns, rows), weights), strict=True
    ):
        torch.testing.assert_close(actual, by_mmcv)


def test_unknown_direction() -> None:
    with pytest.raises(ValueError, match=r"direction: .* got 'up'"):
        directional_maximum(torch.zeros(1, 1, 2, 2), 'up')  # type: ignore[arg-type]


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize('direction', DIRECTIONS)
def test_shifted_wholes_are_the_same(direction: str, shape: tuple[int, ...]) -> None:
    features = torch.randn(shape)
    axis, upwards = 2 if direction in ('top', 'bottom') else 3, direction in ('top', 'left')
    found = shifted_maximum(features, axis, upwards)
    np.testing.assert_array_equal(found.numpy(), oracle(features.numpy(), direction))
