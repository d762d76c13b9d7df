"""Points read from small maps: the released values, and the released order of steps."""

import pytest
import torch
from released_densepose import doubled, value_at

from mmext.densepose.point_sampling import (
    compose_samples,
    grid_places,
    plain_samples,
    sample_all_channels,
    sample_channel,
)


def test_places_on_the_grid_are_the_released_ones() -> None:
    x = 10 + torch.tensor([0.0, 64, 128, 200, 255]) * 100 / 256
    points = torch.stack([x, torch.full_like(x, 40.0)], dim=1)
    regions = torch.tensor([[30.0, 30, 110, 50]]).expand(5, 4)
    places = grid_places(points, regions, 112)
    assert places.low[:, 0].tolist() == [0, 7, 42, 81, 111]
    assert places.high[:, 0].tolist() == [1, 8, 43, 82, 111]
    torch.testing.assert_close(places.weight[:, 0], torch.tensor([-28.0, 0, 0, 0.375, 0]))
    assert places.inside.tolist() == [False, True, True, True, True]
    same = torch.tensor([[0.0, 0, 100, 100]]).expand(2, 4)
    points = torch.tensor([[255.0, 255], [255.9, 255.9]]) * 100 / 256
    places = grid_places(points, same, 8)
    assert places.low.tolist() == places.high.tolist() == [[7, 7], [7, 7]]
    assert not places.weight.any()
    assert places.inside.all()


@pytest.mark.parametrize('small', [1, 2, 7, 56])
def test_composed_weights_give_what_the_large_map_gives(small: int) -> None:
    generator = torch.Generator().manual_seed(small)
    maps = torch.randn(3, 25, small, small, generator=generator, requires_grad=True)
    low = torch.rand(40, 2, generator=generator) * 20
    regions = torch.cat([low, low + 5 + 30 * torch.rand(40, 2, generator=generator)], dim=1)
    points = low + (regions[:, 2:] - low) * torch.rand(40, 2, generator=generator) * 0.9999
    index = torch.arange(40) % 3
    channel = torch.randint(25, (40,), generator=generator)
    large = doubled(maps)
    expected = torch.stack(
        [
            value_at(large[i], point, region)
            for i, point, region in zip(
                index.tolist(), points.tolist(), regions.tolist(), strict=True
            )
        ]
    )
    places = grid_places(points, regions, 2 * small)
    assert places.inside.all()
    samples = compose_samples(places, index, small)
    found = sample_all_channels(maps, samples)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    one = sample_channel(maps, samples, channel)
    torch.testing.assert_close(one, expected[torch.arange(40), channel], atol=1e-5, rtol=1e-5)
    plain = sample_all_channels(large, plain_samples(places, index, 2 * small))
    torch.testing.assert_close(plain, expected, atol=1e-5, rtol=1e-5)
    seeds = torch.randn(expected.shape, generator=generator)
    (wanted,) = torch.autograd.grad((expected * seeds).sum(), maps, retain_graph=True)
    (got,) = torch.autograd.grad((found * seeds).sum(), maps)
    torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


def test_no_point_at_all() -> None:
    maps = torch.randn(2, 25, 4, 4, requires_grad=True)
    places = grid_places(torch.zeros(0, 2), torch.zeros(0, 4), 8)
    samples = compose_samples(places, torch.zeros(0, dtype=torch.long), 4)
    assert sample_all_channels(maps, samples).shape == (0, 25)
    sample_channel(maps, samples, torch.zeros(0, dtype=torch.long)).sum().backward()
    assert maps.grad is not None
    assert not maps.grad.any()
