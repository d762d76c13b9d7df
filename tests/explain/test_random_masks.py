"""RISE's masks and both of its estimates."""

import itertools

import pytest
import torch

from mmext.explain.random_masks import MaskEffects, agreement, mask_blocks


def all_binary(pixels: int) -> torch.Tensor:
    return torch.tensor(list(itertools.product([0.0, 1], repeat=pixels))).view(-1, 1, pixels)


def test_all_masks_of_a_linear_score_give_its_terms() -> None:
    terms, bias = torch.tensor([3.0, -1, 0, 2]), 0.5
    masks = all_binary(4)
    effects = MaskEffects(keep=0.5)
    for block in masks.split(5):
        effects.add(block, (block[:, 0] @ terms + bias)[:, None])
    torch.testing.assert_close(effects.covariance()[0, 0], terms)
    others = (terms.sum() - terms) / 2
    torch.testing.assert_close(effects.weighted_mean()[0, 0], terms + others + bias)


def test_masks_depend_on_the_seed_alone() -> None:
    whole = torch.cat(list(mask_blocks(7, 7, (30, 41), 5, 0.5, seed=3)))
    blocks = torch.cat(list(mask_blocks(7, 2, (30, 41), 5, 0.5, seed=3)))
    other = torch.cat(list(mask_blocks(7, 7, (30, 41), 5, 0.5, seed=4)))
    assert torch.equal(whole, blocks)
    assert not torch.equal(whole, other)
    assert whole.shape == (7, 30, 41)
    assert whole.min() >= 0
    assert whole.max() <= 1


@pytest.mark.parametrize('keep', [0.3, 0.5, 0.8])
def test_masks_keep_the_share_they_are_asked_for(keep: float) -> None:
    masks = torch.cat(list(mask_blocks(300, 50, (24, 32), 4, keep, seed=0)))
    assert masks.mean().item() == pytest.approx(keep, abs=0.03)
    assert (masks.mean(0) - keep).abs().max() < 0.15


@pytest.mark.parametrize(
    'wrong', [dict(count=0), dict(block=0), dict(grid=0), dict(keep=0.0), dict(keep=1.0)]
)
def test_numbers_out_of_range_are_named(wrong: dict[str, float]) -> None:
    arguments = dict(count=1, block=1, size_hw=(8, 8), grid=2, keep=0.5, seed=0) | wrong
    with pytest.raises(ValueError, match=next(iter(wrong))):
        next(mask_blocks(**arguments))  # type: ignore[arg-type]


def test_agreement_of_maps() -> None:
    first = torch.tensor([[[0.0, 1, 2]], [[1, 1, 1]], [[0, 1, 2]]])
    second = torch.tensor([[[5.0, 7, 9]], [[1, 2, 3]], [[2, 1, 0]]])
    torch.testing.assert_close(agreement(first, second), torch.tensor([1.0, 0.0, -1.0]))
