"""Pictures from spectra, and what is asked of them."""

import torch

from mmext.explain.imagination import FourierPicture, moved, roughness, strength


def test_a_picture_is_one_of_colors_and_of_a_seed() -> None:
    pictures = [FourierPicture((30, 41), seed, spread=1.0).rgb() for seed in (0, 0, 1)]
    assert pictures[0].shape == (3, 30, 41)
    assert pictures[0].min() >= 0
    assert pictures[0].max() <= 1
    assert torch.equal(pictures[0], pictures[1])
    assert not torch.equal(pictures[0], pictures[2])


def test_gray_is_where_it_begins() -> None:
    assert (FourierPicture((16, 16), 0, spread=1e-4).rgb() - 0.5).abs().max() < 1e-2


def test_low_frequencies_are_stronger_as_in_photos() -> None:
    picture = FourierPicture((64, 64), 0, spread=0.1).rgb().detach()
    spectrum = torch.fft.rfft2(picture[0] - picture[0].mean()).abs()
    assert spectrum[1:4, 1:4].mean() > 3 * spectrum[20:30, 20:30].mean()


def test_a_target_is_reached_by_ascent() -> None:
    picture = FourierPicture((16, 16), 0)
    optimizer = torch.optim.Adam([picture.spectrum], lr=0.05)
    red = torch.tensor([1.0, 0, 0])[:, None, None]
    for _ in range(60):
        loss = (picture.rgb() - red).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    final = picture.rgb().mean((1, 2))
    assert final[0] > 0.8
    assert final[1:].max() < 0.3


def test_movements_are_small_and_of_the_seed() -> None:
    point = torch.zeros(1, 1, 65, 65)
    point[0, 0, 32, 32] = 1
    places = []
    for seed in range(20):
        shifted = moved(point, torch.Generator().manual_seed(seed))
        assert torch.equal(shifted, moved(point, torch.Generator().manual_seed(seed)))
        place = divmod(int(shifted.argmax()), 65)
        places.append(place)
        assert max(abs(place[0] - 32), abs(place[1] - 32)) <= 9
    assert len(set(places)) > 10


def test_priors_by_hand() -> None:
    steps = torch.tensor([[[0.0, 1], [0, 1]]])
    assert roughness(steps) == 1
    assert strength(steps) == 0.25
    assert roughness(torch.ones(3, 4, 4)) == 0
