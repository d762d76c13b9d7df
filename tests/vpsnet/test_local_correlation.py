"""The correlation against one product at a time."""

import pytest
import torch

from mmext.vpsnet.local_correlation import local_correlation

torch.set_num_threads(1)


def oracle(target, reference, near):
    count, _, height, width = target.shape
    side = 2 * near + 1
    result = torch.zeros(count, side * side, height, width, dtype=target.dtype)
    for n in range(count):
        for y in range(height):
            for x in range(width):
                for dy in range(-near, near + 1):
                    for dx in range(-near, near + 1):
                        if 0 <= y + dy < height and 0 <= x + dx < width:
                            product = target[n, :, y, x] * reference[n, :, y + dy, x + dx]
                            result[n, (dy + near) * side + dx + near, y, x] = product.mean()
    return result


@pytest.mark.parametrize(
    ('shape', 'near'),
    [((2, 3, 9, 11), 4), ((1, 2, 8, 16), 1), ((1, 1, 1, 1), 2), ((1, 5, 3, 17), 0)],
)
def test_equals_the_oracle(shape, near):
    generator = torch.Generator().manual_seed(0)
    target, reference = (
        torch.randn(shape, dtype=torch.float64, generator=generator) for _ in range(2)
    )
    before = target.clone(), reference.clone()
    actual = local_correlation(target, reference, near)
    torch.testing.assert_close(actual, oracle(target, reference, near))
    assert torch.equal(target, before[0]) and torch.equal(reference, before[1])


def test_the_best_match_of_a_moved_map_is_its_displacement():
    target = torch.randn(1, 32, 20, 20, generator=torch.Generator().manual_seed(1))
    reference = target.roll((2, -3), dims=(2, 3))  # content at p is at p + (2, -3) there
    best = local_correlation(target, reference)[0].argmax(dim=0)[6:14, 6:14]
    assert (best == (2 + 4) * 9 + (-3 + 4)).all()


def test_gradient():
    generator = torch.Generator().manual_seed(2)
    pair = [
        torch.randn(1, 2, 3, 9, dtype=torch.float64, generator=generator).requires_grad_()
        for _ in range(2)
    ]
    assert torch.autograd.gradcheck(lambda a, b: local_correlation(a, b, 1), pair)


def test_half_precision_is_summed_in_single_precision():
    pair = [
        torch.randn(1, 256, 8, 8, generator=torch.Generator().manual_seed(i)).bfloat16()
        for i in range(2)
    ]
    with torch.autocast('cpu', dtype=torch.bfloat16):
        actual = local_correlation(*pair)
    assert actual.dtype == torch.float32
    torch.testing.assert_close(actual, local_correlation(*(p.float() for p in pair)))


def test_maps_must_have_one_shape():
    with pytest.raises(ValueError, match='reference'):
        local_correlation(torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 5))
