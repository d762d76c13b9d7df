"""upsampled_cross_entropy against interpolate + cross_entropy, values and gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from mmext.functional import upsampled_cross_entropy as module
from mmext.functional.upsampled_cross_entropy import upsampled_cross_entropy

IGNORE = 255


def plain(logits: Tensor, labels: Tensor, scale: int, normalization: str = 'valid') -> Tensor:
    fine = F.interpolate(logits, scale_factor=scale, mode='bilinear', align_corners=False)
    total = F.cross_entropy(fine, labels.long(), ignore_index=IGNORE, reduction='sum')
    valid = (labels != IGNORE).sum() if normalization == 'valid' else labels.numel()
    return total / max(int(valid), 1)


def value_and_grad(function, logits: Tensor, *args) -> tuple[Tensor, Tensor]:
    leaf = logits.clone().requires_grad_()
    value = function(leaf, *args)
    value.backward()
    return value.detach(), leaf.grad


def random_case(seed, images=2, classes=5, size=(3, 4), scale=4, spread=3.0, ignored=0.2):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(images, classes, *size, generator=generator) * spread
    shape = (images, size[0] * scale, size[1] * scale)
    labels = torch.randint(classes, shape, generator=generator)
    labels[torch.rand(shape, generator=generator) < ignored] = IGNORE
    return logits, labels


def assert_same(logits, labels, scale=4, normalization='valid'):
    value, grad = value_and_grad(
        lambda x: upsampled_cross_entropy(x, labels, scale, IGNORE, normalization), logits
    )
    expected, expected_grad = value_and_grad(
        lambda x: plain(x, labels, scale, normalization), logits
    )
    relative = 2e-6 if logits.dtype == torch.float32 else 1e-12
    # a small loss is the difference of two large numbers: no better than their last bit
    last_bit = torch.finfo(logits.dtype).eps * float(logits.abs().max())
    torch.testing.assert_close(value, expected, rtol=relative, atol=last_bit)
    limit = relative * float(expected_grad.abs().max()) + last_bit
    torch.testing.assert_close(grad, expected_grad, rtol=0, atol=limit)


@pytest.mark.parametrize('normalization', ['valid', 'all_pixels'])
@pytest.mark.parametrize('scale', [1, 2, 3, 4, 8])
def test_equals_plain_computation(scale, normalization):
    assert_same(*random_case(scale, scale=scale), scale, normalization)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 3),
    st.integers(1, 7),
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    st.integers(1, 5),
    st.sampled_from([0.1, 10.0]),
    st.sampled_from([0.0, 0.9]),
    st.sampled_from([1, 500, 1 << 21]),
)
def test_equals_plain_computation_on_random_shapes(
    seed, images, classes, size, scale, spread, ignored, strip_bytes
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, '_STRIP_BYTES_CPU', strip_bytes)
        logits, labels = random_case(seed, images, classes, size, scale, spread, ignored)
        assert_same(logits.double(), labels, scale)


def test_one_cell_by_hand():
    # One cell: every fine pixel has the logits (0, ln 3), so p = (1/4, 3/4).
    logits = torch.tensor([0.0, 3.0]).clamp(min=1).log().view(1, 2, 1, 1)
    labels = torch.tensor([[[1, 1], [0, IGNORE]]])
    value, grad = value_and_grad(upsampled_cross_entropy, logits, labels, 2)
    quarter, three_quarters = torch.tensor(0.25), torch.tensor(0.75)
    torch.testing.assert_close(value, -(2 * three_quarters.log() + quarter.log()) / 3)
    torch.testing.assert_close(grad.flatten(), torch.tensor([0.25 - 1 / 3, 0.75 - 2 / 3]))


def test_gradient_against_finite_differences():
    logits, labels = random_case(0, images=1, classes=3, size=(2, 3), scale=3)
    leaf = logits.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: upsampled_cross_entropy(x, labels, 3), leaf)


def test_extreme_logits_stay_exact():
    logits, labels = random_case(1, spread=1e4)
    assert_same(logits, labels)


def test_nothing_valid_is_zero_with_zero_gradient():
    logits, labels = random_case(2)
    value, grad = value_and_grad(upsampled_cross_entropy, logits, torch.full_like(labels, IGNORE))
    assert value == 0
    assert torch.equal(grad, torch.zeros_like(logits))


def test_empty_batch_is_zero():
    logits = torch.zeros(0, 3, 2, 2, requires_grad=True)
    value = upsampled_cross_entropy(logits, torch.zeros(0, 8, 8, dtype=torch.long))
    value.backward()
    assert value == 0


def test_batch_of_two_is_the_mean_of_two_batches_of_one():
    logits, labels = random_case(3, ignored=0)
    alone = [upsampled_cross_entropy(logits[i : i + 1], labels[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(upsampled_cross_entropy(logits, labels), sum(alone) / 2)


def test_incoming_gradient_scales_and_inputs_stay():
    logits, labels = random_case(4)
    before = logits.clone(), labels.clone()
    _, grad = value_and_grad(upsampled_cross_entropy, logits, labels)
    _, tripled = value_and_grad(lambda x: 3 * upsampled_cross_entropy(x, labels), logits)
    torch.testing.assert_close(tripled, 3 * grad)
    assert torch.equal(before[0], logits)
    assert torch.equal(before[1], labels)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_logits_are_computed_in_float32(dtype):
    logits, labels = random_case(5)
    half = logits.to(dtype)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        value, grad = value_and_grad(upsampled_cross_entropy, half, labels)
    expected, expected_grad = value_and_grad(plain, half.float(), labels, 4)
    assert value.dtype == torch.float32
    assert grad.dtype == dtype
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(grad, expected_grad.to(dtype))


def test_without_gradient_and_with_narrow_labels():
    logits, labels = random_case(6)
    with torch.no_grad():
        value = upsampled_cross_entropy(logits.requires_grad_(), labels.to(torch.uint8))
    assert not value.requires_grad
    torch.testing.assert_close(value, plain(logits.detach(), labels, 4))


def test_second_derivative_is_refused():
    logits, labels = random_case(7)
    leaf = logits.requires_grad_()
    value = upsampled_cross_entropy(leaf, labels).square()
    (grad,) = torch.autograd.grad(value, leaf, create_graph=True)
    with pytest.raises(RuntimeError, match='once_differentiable'):
        grad.sum().backward()


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(logits=torch.zeros(2, 3, 4)), r'logits: expected float \[N, C, h, w\]'),
        (dict(labels=torch.zeros(1, 8, 9, dtype=torch.long)), r'labels: expected integer'),
        (dict(labels=torch.zeros(1, 8, 8)), r'labels: expected integer'),
        (dict(labels=torch.full((1, 8, 8), 3)), r'expected 0\.\.2 or 255, found \[3\]'),
        (dict(labels=torch.full((1, 8, 8), -1)), r'found \[-1\]'),
        (dict(scale_factor=0), r'scale_factor: expected an integer >= 1, got 0'),
        (dict(scale_factor=1.5), r'scale_factor'),
        (dict(normalization='mean'), r"normalization: .* got 'mean'"),
    ],
)
def test_wrong_arguments_are_named(change, message):
    arguments = dict(logits=torch.zeros(1, 3, 2, 2), labels=torch.zeros(1, 8, 8, dtype=torch.long))
    with pytest.raises(ValueError, match=message):
        upsampled_cross_entropy(**(arguments | change))
