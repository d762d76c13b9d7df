"""How a figure looks: skin, hair, face and clothes, painted on its charts.

What is painted is tied to the charts, so that (U, V) can be seen: seams run along the sides, hems
and cuffs around the ends. Fronts differ from backs as those of people do, also where a face has few
pixels: a neckline shows skin, a jacket is open or a shirt has a placket with buttons, a pocket
is on the left of the chest; behind are hair down to the nape or the shoulders, and a yoke.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmext.demo.figure_rays import Surface
from mmext.demo.head_looks import HAIRS, Features, draw_features, face_paint
from mmext.demo.shapes import VIVID
from mmext.demo.textures import Color, Floats, Noise, between, chance, mix, rgb, tone

Rng = np.random.Generator

_HEAD_UNITS = (0.72, 0.92, 0.9)
"""Radii of a figure's head in units of the model of the faces."""

_SHIRT, _SLEEVES = (1, 2), (15, 16, 17, 18)
_FOREARMS, _HANDS, _FEET = (19, 20, 21, 22), (3, 4), (5, 6)
_THIGHS, _SHINS, _HEAD = (7, 8, 9, 10), (11, 12, 13, 14), (23, 24)
_FRONTS = (2, 9, 10, 13, 14, 17, 18, 21, 22)
_BACKS = (1, 7, 8, 11, 12, 15, 16, 19, 20)
_DARK, _PALE = (45, 42, 52), (222, 218, 208)
_CONTRAST, _MIDDLE = 180, 380  # of the sums of three channels of 255


class FigureLook(NamedTuple):
    """One person's paint.

    Attributes:
        colors: of each part ``[25, 3]``.
        trims: of seams, hems and cuffs of each part ``[25, 3]``.
        rings: stripes around, from one end of a part to the other ``[25]``.
        cloth: 1 where a part is covered by cloth ``[25]``.
        pocket: its color.
        inner: color of what an open jacket shows, or of the placket.
        opening: half of its width, in U.
        neckline: how low the skin is seen in front, in V.
        locks: how far hair falls down the back, in V.
        features: what is painted on the face.
        hair: its color.
        hairline: how low the hair begins, in units of the head.
        noise: of skin and cloth.
    """

    colors: Floats
    trims: Floats
    rings: Floats
    cloth: Floats
    pocket: Color
    inner: Color
    opening: float
    neckline: float
    locks: float
    features: Features
    hair: Color
    hairline: float
    noise: Noise


def draw_figure_look(rng: Rng) -> FigureLook:
    """A random person."""
    features = draw_features(rng)
    colors, trims = np.zeros((25, 3), np.float32), np.zeros((25, 3), np.float32)
    rings, cloth = np.zeros(25, np.float32), np.zeros(25, np.float32)

    def dress(parts: tuple[int, ...], color: Color, trim: Color, stripes: float) -> None:
        colors[list(parts)], trims[list(parts)] = rgb(color), rgb(trim)
        rings[list(parts)], cloth[list(parts)] = stripes, 1

    colors[:] = rgb(features.skin)
    trims[:] = rgb(features.skin) * np.float32(0.8)
    shirt, trim = _cloth(rng), _cloth(rng)
    stripes = float(rng.integers(4, 9)) if chance(rng, 0.35) else 0.0
    dress(_SHIRT, shirt, trim, stripes)
    dress(_SLEEVES, trim if chance(rng, 0.2) else shirt, trim, stripes * 0.6)
    if chance(rng, 0.5):
        dress(_FOREARMS, shirt, trim, stripes * 0.6)
    trousers, seam = _cloth(rng), _cloth(rng)
    dress(_THIGHS, trousers, seam, 0)
    if chance(rng, 0.7):
        dress(_SHINS, trousers, seam, 0)
    dress(_FEET, _cloth(rng), _PALE, 0)
    is_jacket = chance(rng, 0.6)
    return FigureLook(
        colors,
        trims,
        rings,
        cloth,
        pocket=_cloth(rng),
        inner=_apart(_cloth(rng), shirt),
        opening=between(rng, 0.12, 0.22) if is_jacket else 0.06,
        neckline=between(rng, 0.12, 0.28),
        locks=between(rng, 0.12, 0.3) if chance(rng, 0.35) else 0.0,
        features=features,
        hair=tone(rng, HAIRS[int(rng.integers(len(HAIRS)))], (60, 40, 30), 10),
        hairline=between(rng, -0.62, -0.4),
        noise=Noise(rng),
    )


def paint_figure(look: FigureLook, seen: Surface, chosen: NDArray[np.int64]) -> Floats:
    """The colors of chosen points of the surface without light, ``[n, 3]``."""
    part, u, v = seen.part[chosen], seen.u[chosen], seen.v[chosen]
    u, v = u.astype(np.float32), v.astype(np.float32)
    base, trim, is_cloth = look.colors[part], look.trims[part], look.cloth[part]
    stripe = np.floor(look.rings[part] * v * 2) % 2 > 0
    colors = np.where(stripe[:, None], 0.55 * base + 0.45 * trim, base)
    halved = ~np.isin(part, (*_HANDS, *_FEET))
    rim = np.minimum(u, 1 - u)
    seam = halved & (rim < 0.09) & (is_cloth > 0)
    hem = ((v < 0.07) | (v > 0.9)) & (is_cloth > 0)
    colors = np.where((seam | hem)[:, None], trim, colors)
    colors = _paint_shirt(look, colors, part, u, v)
    knee = np.isin(part, (9, 10, 13, 14)) & (np.abs(v - np.where(part < 11, 0.9, 0.08)) < 0.07)
    colors = np.where((knee & (is_cloth > 0))[:, None], 0.7 * colors, colors)
    shade = np.float32(1.08) - np.float32(0.24) * v  # along the limb
    shade = shade - 0.16 * np.isin(part, _BACKS) + 0.05 * np.isin(part, _FRONTS)
    shade = shade + np.float32(0.1) * (u - np.float32(0.5))
    weave = look.noise(9 * u + part, 23 * v) * np.where(is_cloth > 0, 11, 5)
    colors = colors * shade[:, None] + weave[:, None]
    head = np.flatnonzero(np.isin(part, _HEAD))
    if len(head):
        points = [axis[chosen][head].astype(np.float32) for axis in seen.points]
        colors[head] = _paint_head(look, points[0], points[1], points[2])
    painted: Floats = np.clip(colors, 0, 255)
    return painted


def _paint_shirt(
    look: FigureLook, colors: Floats, part: NDArray[np.int64], u: Floats, v: Floats
) -> Floats:
    """In front neckline, opening with buttons and pocket; behind a yoke and the ends of hair."""
    front, back, aside = part == 2, part == 1, np.abs(u - 0.5)
    opening = front & (aside < look.opening)
    button = opening & (aside < 0.035) & (np.floor(14 * v) % 2 > 0)
    # U runs from the left side of the person to the right one
    pocket = front & (u > 0.13) & (u < 0.27) & (v > 0.3) & (v < 0.46)
    neck = front & (aside < 0.24 * (1 - v / look.neckline))
    yoke = back & (np.abs(v - 0.3) < 0.03)
    locks = back & (v < look.locks) & (aside < 0.25)
    for chosen, color in (
        (opening, rgb(look.inner)),
        (pocket, rgb(look.pocket)),
        (button, rgb(_DARK)),
        (neck, rgb(look.features.skin)),
        (yoke, look.trims[1]),
        (locks, rgb(look.hair)),
    ):
        colors = np.where(chosen[:, None], color, colors)
    return colors


def _paint_head(look: FigureLook, x: Floats, y: Floats, z: Floats) -> Floats:
    units = x * _HEAD_UNITS[0], y * _HEAD_UNITS[1], z * _HEAD_UNITS[2]
    face = face_paint(look.features, look.noise)(units)
    strands = look.noise(9 * x + 3 * z, 2 * y) * 20
    hair: Floats = rgb(look.hair) + strands[:, None]
    line = look.hairline + 0.35 * x * x
    covered = (y < line) | ((z > 0.1 + 0.2 * y) & (y < 0.85))
    ear = (np.abs(x) > 0.93) & (np.abs(y - 0.05) < 0.2)
    skin = mix(face, rgb(look.features.skin) * np.float32(0.8), np.float32(0.6) * ear[:, None])
    return np.where((covered & ~ear)[:, None], hair, skin)


def _cloth(rng: Rng) -> tuple[float, float, float]:
    """A vivid, dark or pale color."""
    choice = int(rng.integers(4))
    near = VIVID[int(rng.integers(len(VIVID)))] if choice < 2 else (_DARK, _PALE)[choice - 2]
    return tone(rng, near, (70, 80, 110), 22)


def _apart(color: Color, other: Color) -> Color:
    """The color, or a pale or dark one if it is hard to tell from the other."""
    if sum(abs(a - b) for a, b in zip(color, other, strict=True)) >= _CONTRAST:
        return color
    return _PALE if sum(other) < _MIDDLE else _DARK
