"""Fields are positive exactly inside their region, up to the roughness of the border."""

import numpy as np

from mmext.demo.regions import Strip, blob, everywhere, half_plane
from mmext.demo.textures import Noise

X, Y = np.meshgrid(np.arange(100, dtype=np.float32), np.arange(80, dtype=np.float32))


def rng() -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(5))


def test_half_plane_differs_from_a_straight_border_by_its_roughness_only() -> None:
    inside = half_plane(rng(), (0.0, 1.0), 40.0, 4.0)(X, Y) > 0
    assert inside[46:].all()
    assert not inside[:34].any()
    assert len(set(inside.sum(axis=0).tolist())) > 3  # ragged


def test_blob_holds_its_centre_and_ends() -> None:
    inside = blob(rng(), (50.0, 40.0), (20.0, 10.0))(X, Y) > 0
    assert inside[38:43, 46:55].all()
    assert not inside[:, :20].any()
    assert not inside[60:].any()


def test_strip_coordinates_by_hand() -> None:
    strip = Strip((10.0, 20.0), (0.0, 1.0), 4.0, 0.5, 0.0, Noise(rng()))
    x, y = np.float32([10, 14, 10, 18]), np.float32([20, 20, 28, 28])
    along, across = strip.coordinates(x, y)
    np.testing.assert_array_equal(along, np.float32([0, 0, 8, 8]))
    np.testing.assert_array_equal(np.abs(across), np.float32([0, 1, 0, 1]))  # half width 4, then 8
    np.testing.assert_array_equal(strip(x, y), np.float32([1, 0, 1, 0]))


def test_everywhere() -> None:
    assert (everywhere(X, Y) > 0).all()
