"""How figures are dressed: fronts and backs are told apart, both sides of a person are alike."""

import numpy as np
import pytest

from mmext.demo.figure_looks import FigureLook, draw_figure_look, paint_figure
from mmext.demo.figure_rays import Surface

BACK, FRONT = 1, 2


def look_of(seed: int) -> FigureLook:
    drawn = draw_figure_look(np.random.Generator(np.random.PCG64(seed)))
    return drawn._replace(
        noise=lambda across, down: np.zeros(np.broadcast(across, down).shape, np.float32),
        rings=np.zeros(25, np.float32),
    )


def painted(look: FigureLook, part: int, u: float, v: float) -> np.ndarray:
    """The color ``[3]`` of a place of the torso, its largest channel 1: without the shade."""
    one, nothing = np.ones(1), np.zeros(1)
    number = np.zeros(1, np.int64)
    seen = Surface(
        *(number, number, number, nothing, (nothing, nothing, nothing)),
        *(np.array([part]), u * one, v * one, np.zeros((3, 1))),
    )
    color = paint_figure(look, seen, number)[0]
    return color / color.max()


@pytest.mark.parametrize('seed', range(40))
def test_fronts_differ_from_backs_in_neckline_opening_and_hair(seed: int) -> None:
    look = look_of(seed)
    skin, shirt, inner, hair = (
        np.asarray(color, float) / np.max(color)
        for color in (look.features.skin, look.colors[FRONT], look.inner, look.hair)
    )
    throat = 0.5 * look.neckline
    np.testing.assert_allclose(painted(look, FRONT, 0.5, throat), skin, atol=0.02)
    beside = 0.5 + 0.9 * look.opening
    np.testing.assert_allclose(painted(look, FRONT, beside, 0.6), inner, atol=0.02)
    np.testing.assert_allclose(painted(look, BACK, beside, 0.6), shirt, atol=0.02)
    if look.locks:
        np.testing.assert_allclose(painted(look, BACK, 0.5, 0.9 * look.locks), hair, atol=0.02)
    contrast = np.abs(np.asarray(look.inner, float) - look.colors[FRONT]).sum()
    assert contrast > 0.2 * 3 * 255


@pytest.mark.parametrize('part', [BACK, FRONT])
def test_but_for_the_pocket_both_sides_are_alike(part: int) -> None:
    for seed in range(10):
        look = look_of(seed)
        for u in (0.05, 0.31, 0.4, 0.48):
            for v in (0.1, 0.2, 0.3, 0.6, 0.8):
                left, right = painted(look, part, u, v), painted(look, part, 1 - u, v)
                np.testing.assert_allclose(left, right, atol=0.02, err_msg=f'{seed} {u} {v}')


def test_some_wear_jackets_and_some_long_hair() -> None:
    looks = [look_of(seed) for seed in range(60)]
    for chosen in ([look.opening > 0.1 for look in looks], [look.locks > 0 for look in looks]):
        assert 0 < sum(chosen) < len(looks)
