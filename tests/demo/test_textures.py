"""Surfaces: ranges, the same color at the same place, classes that color alone does not tell."""

import numpy as np
import pytest

from mmext.demo import textures
from mmext.demo.regions import Strip
from mmext.demo.textures import Noise, smoothstep, wave


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def test_noise_is_the_lattice_value_at_nodes_and_stays_between_its_neighbours() -> None:
    noise = Noise(rng())
    nodes = np.arange(-40, 40, dtype=np.float32)
    at_nodes = noise(nodes, np.zeros_like(nodes))
    np.testing.assert_array_equal(at_nodes[:32], at_nodes[32:64])  # wraps after 32 cells
    half_way = noise(nodes[:-1] + 0.5, np.zeros(79, np.float32))
    np.testing.assert_allclose(half_way, (at_nodes[:-1] + at_nodes[1:]) / 2, atol=1e-6)
    assert np.abs(at_nodes).max() <= 1
    assert at_nodes.std() > 0.3


def test_wave_and_smoothstep_by_hand() -> None:
    t = np.float32([-1, -0.75, 0, 0.25, 0.5, 1, 1.5])
    np.testing.assert_array_equal(wave(t), np.float32([0, 0.5, 0, 0.5, 1, 0, 1]))
    np.testing.assert_array_equal(smoothstep(t), np.float32([0, 0, 0, 0.15625, 0.5, 1, 1]))


@pytest.mark.parametrize('name', ['sky', 'grass', 'water', 'sand', 'road'])
def test_a_texture_is_a_function_of_the_place(name: str) -> None:
    strip = Strip((20.0, 20.0), (1.0, 0.0), 30.0, 0.0, 0.0, Noise(rng(1)))
    extra = (strip,) if name == 'road' else ()
    paint = getattr(textures, name)(rng(2), *extra)
    x, y = np.meshgrid(np.arange(40, dtype=np.float32), np.arange(30, dtype=np.float32))
    whole = paint(x, y)
    assert whole.shape == (30, 40, 3)
    np.testing.assert_array_equal(paint(x[5:9, 3:7], y[5:9, 3:7]), whole[5:9, 3:7])
    assert whole.std(axis=(0, 1)).max() > 4  # not flat
    other = getattr(textures, name)(rng(3), *extra)(x, y)
    assert np.abs(other - whole).max() > 1
