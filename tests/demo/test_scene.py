"""Scenes: exact masks in depth order, rigid motion, and light that changes no truth."""

from dataclasses import replace

import numpy as np
import pytest

from mmext.demo import shapes, textures
from mmext.demo.regions import everywhere
from mmext.demo.scene import (
    FIRST_THING_KEY,
    VOID_KEY,
    Light,
    Pose,
    Scene,
    Stuff,
    Thing,
    photograph,
    segment,
    unit_vector,
)
from mmext.demo.shapes import Sprite
from mmext.demo.textures import Floats, Noise

KINDS = ('ball', 'crate', 'tree', 'mushroom', 'fish')


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def square(red: float) -> Sprite:
    def paint(u: Floats, v: Floats) -> Floats:
        return np.stack([np.full_like(u, red), np.zeros_like(u), np.zeros_like(u)], axis=-1)

    return Sprite(lambda u, v: (np.abs(u) <= 1) & (np.abs(v) <= 1), paint)


def make_scene(*things: Thing, unit_px: float = 1.0) -> Scene:
    light = Light((1, 1, 1), (0, 0), (0, 0), Noise(rng()), 0.0, 0, 0)
    ground = Stuff(everywhere, textures.sand(rng(1)), 8)
    side = round(32 * unit_px)
    return Scene(side, side, unit_px, [ground], things, light)


def thing(x: float, y: float, number: int = 0, **changes: object) -> Thing:
    plain = Thing(square(200), Pose(x, y, 4.0), FIRST_THING_KEY + number, 0)
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_later_things_hide_earlier_ones_to_the_pixel() -> None:
    keys = segment(make_scene(thing(10, 10, 0), thing(14, 10, 1)))
    expected = np.full((32, 32), 9)
    expected[6:14, 6:14] = FIRST_THING_KEY
    expected[6:14, 10:18] = FIRST_THING_KEY + 1
    np.testing.assert_array_equal(keys, expected)


def test_unlabelled_things_and_hidden_stuff_are_void() -> None:
    scene = make_scene(thing(10, 10), thing(14, 10, key=VOID_KEY, label=None))
    scene = replace(scene, hidden=frozenset({8}))
    keys = segment(scene)
    assert set(np.unique(keys).tolist()) == {VOID_KEY, FIRST_THING_KEY}
    assert (keys == FIRST_THING_KEY).sum() == 8 * 4


@pytest.mark.parametrize('position', [(-1.0, 5.0), (31.0, 31.0), (16.0, -2.0)])
def test_things_are_cut_by_the_border(position: tuple[float, float]) -> None:
    x, y = position
    keys = segment(make_scene(thing(x, y)))
    rows, columns = np.meshgrid(np.arange(32) + 0.5, np.arange(32) + 0.5, indexing='ij')
    np.testing.assert_array_equal(
        keys == FIRST_THING_KEY, (np.abs(columns - x) <= 4) & (np.abs(rows - y) <= 4)
    )


def test_things_outside_leave_no_trace() -> None:
    assert (segment(make_scene(thing(-50, 90))) == 9).all()


def test_a_quarter_turn_is_clockwise() -> None:
    upper_half = Sprite(lambda u, v: (np.abs(u) <= 1) & (v < 0) & (v >= -1), square(9).paint)
    half = thing(16, 16, sprite=upper_half, pose=Pose(16, 16, 4, np.pi / 2))
    rows, columns = np.nonzero(segment(make_scene(half)) == FIRST_THING_KEY)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (12, 19, 16, 19)


@pytest.mark.parametrize('kind', KINDS)
def test_a_moved_thing_keeps_mask_and_surface(kind: str) -> None:
    sprite = getattr(shapes, kind)(rng(4))
    here = thing(12, 12, sprite=sprite, pose=Pose(12, 12, 9, 0.3))
    there = replace(here, pose=replace(here.pose, x=19.0, y=17.0))
    masks = [segment(make_scene(placed)) == FIRST_THING_KEY for placed in (here, there)]
    np.testing.assert_array_equal(masks[0][:-5, :-7], masks[1][5:, 7:])
    photos = [photograph(make_scene(placed)) for placed in (here, there)]
    # the lens blurs by one pixel: compare where all neighbours are of the thing
    core = np.ones((30, 30), bool)
    for row in range(3):
        for column in range(3):
            core &= masks[0][row : row + 30, column : column + 30]
    core = np.pad(core, 1)[:-5, :-7]
    assert core.sum() > 15
    difference = photos[0][:-5, :-7][core].astype(int) - photos[1][5:, 7:][core]
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize('kind', [*KINDS, 'rock'])
def test_sprites_fit_their_frame_and_individuals_differ(kind: str) -> None:
    u, v = np.meshgrid(*[np.linspace(-1.4, 1.4, 141, dtype=np.float32)] * 2)
    first, second = (getattr(shapes, kind)(rng(seed)) for seed in (1, 2))
    covered = first.covers(u, v)
    assert covered.any()
    assert not covered[(np.abs(u) > 1) | (np.abs(v) > 1)].any()
    assert np.abs(first.paint(u, v) - second.paint(u, v)).max() > 5


def test_light_changes_the_picture_only() -> None:
    scene = make_scene(thing(10, 10))
    dim = replace(scene, light=replace(scene.light, gain=(0.5, 0.5, 0.5), grain=3))
    np.testing.assert_array_equal(segment(scene), segment(dim))
    assert photograph(dim).mean() < 0.6 * photograph(scene).mean()


def test_sensor_noise_follows_its_seed() -> None:
    scene = make_scene()
    noisy = replace(scene, light=replace(scene.light, grain=4, grain_seed=1))
    np.testing.assert_array_equal(photograph(noisy), photograph(noisy))
    difference = photograph(noisy).astype(int) - photograph(scene)
    assert difference.min() == -4
    assert difference.max() == 4


def test_scenes_scale_with_the_unit() -> None:
    small, large = segment(make_scene(thing(10, 10))), segment(make_scene(thing(10, 10), unit_px=3))
    np.testing.assert_array_equal(np.kron(small, np.ones((3, 3), int)), large)


def test_unit_vector_is_on_a_grid_that_library_errors_cannot_cross() -> None:
    for angle in np.linspace(-7, 7, 50).tolist():
        cos, sin = unit_vector(angle)
        assert (cos * 65536).is_integer()
        assert (sin * 65536).is_integer()
        assert abs(cos * cos + sin * sin - 1) < 1e-4
