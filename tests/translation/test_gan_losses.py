"""Adversarial losses on maps, and the pool of earlier pictures."""

import pytest
import torch

from mmext.translation.gan_losses import (
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
    verdict_loss,
    verdicts_right,
)
from mmext.translation.image_pool import ImagePool

SCALES = [
    torch.tensor([[1.5, -0.5], [0.2, 0.0]])[None, None],
    torch.tensor([[-2.0, 0.5], [1.0, 0.0]])[None, None],
]


@pytest.mark.parametrize(
    ('kind', 'real', 'fake'),
    [('hinge', 0.975, 1.2125), ('lsgan', 1.79875, 0.97375), ('vanilla', 0.759274, 0.846774)],
)
def test_values_of_two_scales(kind: str, real: float, fake: float) -> None:
    said_real, said_fake = (float(verdict_loss(SCALES, side, kind)) for side in (True, False))
    assert said_real == pytest.approx(real, abs=1e-6)
    assert said_fake == pytest.approx(fake, abs=1e-6)
    share = 1.0 if kind == 'hinge' else 0.5
    both = float(discriminator_loss(SCALES, SCALES, kind))
    assert both == pytest.approx(share * (real + fake), abs=1e-6)
    expected = -0.0875 if kind == 'hinge' else real
    assert float(generator_loss(SCALES, kind)) == pytest.approx(expected, abs=1e-6)


def test_half_precision_maps_are_judged_in_float32() -> None:
    low = [scale.bfloat16() for scale in SCALES]
    loss = discriminator_loss(low, low, 'vanilla')
    assert loss.dtype is torch.float32


def test_chance_is_a_quarter_by_squares() -> None:
    half = [torch.full((2, 1, 3, 3), 0.5)]
    assert float(discriminator_loss(half, half, 'lsgan')) == 0.25


def test_shares_of_right_verdicts() -> None:
    real = [torch.tensor([1.0, 0.6, 0.4, -1.0])]
    fake = [torch.tensor([0.0, 0.5, 0.9, 2.0])]
    assert float(verdicts_right(real, fake, 'lsgan')) == pytest.approx((0.5 + 0.5) / 2)
    assert float(verdicts_right(real, fake, 'hinge')) == pytest.approx((0.75 + 0.25) / 2)


def test_features_are_matched_on_all_layers_but_the_last() -> None:
    ours = [[torch.zeros(1, 2, 2, 2), torch.ones(1, 1, 1, 1)], [torch.zeros(3), torch.ones(1)]]
    real = [[torch.full((1, 2, 2, 2), 3.0), torch.ones(1)], [torch.ones(3), torch.zeros(1)]]
    ours[0][0].requires_grad_(), real[0][0].requires_grad_()
    loss = feature_matching_loss(ours, real)
    assert float(loss.detach()) == pytest.approx((3 + 1) / 2)
    loss.backward()
    assert ours[0][0].grad is not None and real[0][0].grad is None


def test_a_pool_of_none_gives_everything_back() -> None:
    batch = torch.randn(3, 3, 2, 2)
    assert torch.equal(ImagePool(0).exchange(batch), batch)


def numbered(*numbers: int) -> torch.Tensor:
    """Pictures of one gray level each, as they are from -1 to 1."""
    return torch.stack([torch.full((3, 2, 2), n / 127.5 - 1) for n in numbers])


def levels(batch: torch.Tensor) -> list[int]:
    return [round((float(picture[0, 0, 0]) + 1) * 127.5) for picture in batch]


def test_the_pool_follows_its_draws() -> None:
    torch.manual_seed(3)
    pool, kept, expected = ImagePool(2), [10, 20], []
    given = levels(pool.exchange(numbered(10, 20)))
    assert given == [10, 20]
    state = torch.get_rng_state()
    for new in range(30, 200, 10):
        if float(torch.rand(())) < 0.5:
            expected.append(new)
        else:
            place = int(torch.randint(2, ()))
            expected.append(kept[place])
            kept[place] = new
    torch.set_rng_state(state)
    assert levels(pool.exchange(numbered(*range(30, 200, 10)))) == expected
    assert levels(pool.pictures.float() / 127.5 - 1) == kept


def test_half_of_what_a_full_pool_gives_is_old() -> None:
    torch.manual_seed(0)
    pool = ImagePool(50)
    old = 0
    for number in range(1000):
        (given,) = pool.exchange(torch.full((1, 3, 1, 1), number / 500 - 1))
        old += abs(float(given[0, 0, 0]) - (number / 500 - 1)) > 1e-3
    assert 0.44 < old / 950 < 0.56


def test_a_pool_goes_on_from_its_state() -> None:
    torch.manual_seed(1)
    pool = ImagePool(2)
    pool.exchange(numbered(1, 2, 3, 4))
    resumed = ImagePool(2)
    resumed.load_state_dict(pool.state_dict())
    state = torch.get_rng_state()
    first = levels(pool.exchange(numbered(*range(5, 15))))
    torch.set_rng_state(state)
    assert levels(resumed.exchange(numbered(*range(5, 15)))) == first
    assert not pool.exchange(torch.ones(1, 3, 4, 4, requires_grad=True)).requires_grad  # new size
    assert int(pool.filled) == 1
