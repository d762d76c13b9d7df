"""Gather and spread: by hand, against a dense matrix, and as transposes of each other."""

import torch

from mmext.functional.row_sampling import (
    gather_rows,
    pixels_to_rows,
    rows_to_pixels,
    spread_rows,
)


def random_bags(seed=0, bags=6, entries=4, num_rows=5):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(num_rows, (bags, entries), generator=generator, dtype=torch.int32)
    weights = torch.randn(bags, entries, generator=generator)
    dense = torch.zeros(bags, num_rows)
    for bag in range(bags):
        for row, weight in zip(ids[bag].tolist(), weights[bag], strict=True):
            dense[bag, row] += weight
    return ids, weights, dense


def test_gather_by_hand_with_an_empty_bag():
    rows = torch.tensor([[1.0, 2.0], [10.0, 20.0]])
    ids = torch.tensor([0, 1, 1])
    weights = torch.tensor([1.0, 0.5, 2.0])
    gathered = gather_rows(rows, ids, weights, torch.tensor([0, 2, 2]))
    assert gathered.tolist() == [[6.0, 12.0], [0.0, 0.0], [20.0, 40.0]]


def test_gather_and_spread_are_a_matrix_and_its_transpose():
    ids, weights, dense = random_bags()
    rows, values = torch.randn(5, 3), torch.randn(6, 3)
    torch.testing.assert_close(gather_rows(rows, ids, weights), dense @ rows)
    expected = dense.T @ values
    torch.testing.assert_close(spread_rows(values, ids, weights, None, 5), expected)
    bag_ids = torch.arange(6).repeat_interleave(4)
    flat = spread_rows(values, ids.flatten(), weights.flatten(), bag_ids, 5)
    torch.testing.assert_close(flat, expected)


def test_unread_rows_get_zero():
    ids, weights, _ = random_bags()
    assert not spread_rows(torch.randn(6, 3), ids, weights, None, 9)[5:].any()


def test_pixels_and_rows_round_trip():
    maps = torch.arange(2 * 3 * 4 * 5.0).view(2, 3, 4, 5)
    rows = pixels_to_rows(maps)
    assert rows.is_contiguous()
    assert rows[1 * 20 + 2 * 5 + 3].tolist() == maps[1, :, 2, 3].tolist()
    assert torch.equal(rows_to_pixels(rows, 2, 4, 5), maps)


def test_gradient_keeps_the_memory_format():
    for memory_format in (torch.contiguous_format, torch.channels_last):
        maps = torch.randn(2, 3, 4, 5).to(memory_format=memory_format).requires_grad_()
        factor = torch.randn(40, 3)
        (grad,) = torch.autograd.grad((pixels_to_rows(maps) * factor).sum(), maps)
        assert torch.equal(grad, rows_to_pixels(factor, 2, 4, 5))
        assert grad.is_contiguous(memory_format=memory_format)
