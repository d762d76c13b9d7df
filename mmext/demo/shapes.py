"""The things of the little world: rigid sprites with a shape and a surface.

A sprite lives in its own frame: ``u`` to the right, ``v`` down, all of it
within [-1, 1] x [-1, 1]. Shape and surface are functions of (u, v) alone, so
an object keeps its look in any pose. Each factory draws one individual:
proportions, colors, markings.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mmext.demo.textures import (
    Bools,
    Floats,
    Noise,
    Paint,
    between,
    blend,
    chance,
    mix,
    rgb,
    smoothstep,
    tone,
    wave,
)


class Sprite(NamedTuple):
    """``covers(u, v)`` -> bool, and ``paint(u, v)`` -> RGB wherever it covers."""

    covers: Callable[[Floats, Floats], Bools]
    paint: Paint


VIVID = ((215, 45, 40), (40, 90, 200), (240, 200, 40), (150, 50, 160), (235, 120, 35))
WOOD = (125, 85, 50)


def ball(rng: np.random.Generator) -> Sprite:
    """A beach ball: six sectors in two colors, a highlight."""
    first = _vivid(rng)
    second = tone(rng, (240, 240, 235), (225, 215, 190))
    squeeze = between(rng, 0.85, 0.95)

    def covers(u: Floats, v: Floats) -> Bools:
        return u * u + v * v < squeeze * squeeze

    def paint(u: Floats, v: Floats) -> Floats:
        # Three lines through the pole; the sign of the product alternates by sector.
        p, q = u + 0.2, v - 0.1
        sectors = p * (0.5 * p + 0.866 * q) * (0.5 * p - 0.866 * q) > 0
        button = p * p + q * q < 0.02
        colors = np.where((sectors | button)[..., None], rgb(first), rgb(second))
        shine = smoothstep(1 - 6 * ((u + 0.35) * (u + 0.35) + (v + 0.4) * (v + 0.4)))
        return mix(colors, rgb((255, 255, 255)), 0.7 * shine[..., None])

    return Sprite(covers, paint)


def crate(rng: np.random.Generator) -> Sprite:
    """A wooden or painted box: planks in a frame with a brace."""
    plank = tone(rng, (165, 115, 65), (200, 155, 95))
    if chance(rng, 0.2):
        plank = _vivid(rng)
    frame = tuple(0.62 * channel for channel in plank)
    width, height = between(rng, 0.75, 0.95), between(rng, 0.6, 0.95)
    noise, planks, mirror = Noise(rng), int(rng.integers(2, 5)), 1 - 2 * int(rng.integers(2))

    def covers(u: Floats, v: Floats) -> Bools:
        return (np.abs(u) < width) & (np.abs(v) < height)

    def paint(u: Floats, v: Floats) -> Floats:
        a, b = mirror * u / width, v / height
        gaps = wave(0.5 + planks * b / 2) > 0.86
        bars = (np.maximum(np.abs(a), np.abs(b)) > 0.76) | (np.abs(a - b) < 0.2)
        grain = noise(2 * u, 14 * v) * 16
        colors = np.where((gaps & ~bars)[..., None], 0.4 * rgb(plank), rgb(plank))
        colors = np.where(bars[..., None], rgb(frame), colors)
        return colors + grain[..., None]

    return Sprite(covers, paint)


def tree(rng: np.random.Generator) -> Sprite:
    """A trunk below a leafy crown of discs or the tiers of a fir."""
    crown = _fir(rng) if chance(rng, 0.4) else _leafy_crown(rng)
    leaf = tone(rng, (25, 70, 40), (85, 110, 35))
    bark = tone(rng, WOOD, (85, 65, 50))
    noise, girth = Noise(rng), between(rng, 0.1, 0.16)

    def covers(u: Floats, v: Floats) -> Bools:
        return crown(u, v) | ((np.abs(u) < girth) & (v > 0) & (v < 0.98))

    def paint(u: Floats, v: Floats) -> Floats:
        clumps = noise(4 * u, 4 * v) * 26 + noise(9 * u + 5, 9 * v) * 22
        leaves = rgb(leaf) + (clumps - 22 * v)[..., None]
        trunk = rgb(bark) + (noise(16 * u, 3 * v) * 22)[..., None]
        return np.where(crown(u, v)[..., None], leaves, trunk)

    return Sprite(covers, paint)


def mushroom(rng: np.random.Generator) -> Sprite:
    """A domed cap with pale spots on a stem."""
    cap = tone(
        rng, *((190, 40, 35), (210, 75, 45)) if chance(rng, 0.75) else (WOOD, (155, 110, 70))
    )
    stem = tone(rng, (235, 225, 200), (210, 195, 165))
    rim, height = between(rng, -0.1, 0.2), between(rng, 0.8, 0.95)
    spots = [
        (between(rng, -0.8, 0.8), between(rng, -0.8, 0.1), between(rng, 0.1, 0.19))
        for _ in range(9)
    ]
    noise, girth = Noise(rng), between(rng, 0.2, 0.32)

    def in_cap(u: Floats, v: Floats) -> Bools:
        p, q = u / 0.97, (v - rim) / (height + rim)
        return (p * p + q * q < 1) & (v < rim + 0.12 * (1 - p * p))

    def covers(u: Floats, v: Floats) -> Bools:
        return in_cap(u, v) | ((np.abs(u) < girth * (0.8 + 0.3 * v)) & (v > 0) & (v < 0.97))

    def paint(u: Floats, v: Floats) -> Floats:
        dotted = _discs(u, v, spots) & (v < rim - 0.08)
        top = blend(cap, (245, 240, 225), dotted.astype(np.float32))
        foot = rgb(stem) + (noise(9 * u, 2 * v) * 18 + 30 * (rim - v))[..., None]
        return np.where(in_cap(u, v)[..., None], top, foot)

    return Sprite(covers, paint)


def fish(rng: np.random.Generator) -> Sprite:
    """An oval body with stripes, an eye, a forked tail and a back fin."""
    scales = tone(rng, (235, 130, 50), (240, 170, 90))
    if chance(rng, 0.5):
        scales = tone(rng, (150, 165, 185), (205, 195, 210))
    stripe = tone(rng, (60, 45, 60), (150, 50, 60))
    height, stripes = between(rng, 0.46, 0.6), between(rng, 1.6, 2.8)
    noise, facing = Noise(rng), 1 - 2 * int(rng.integers(2))

    def in_body(u: Floats, v: Floats) -> Bools:
        p, q = (facing * u - 0.2) / 0.75, v / height
        return p * p + q * q < 1

    def covers(u: Floats, v: Floats) -> Bools:
        ahead = facing * u
        tail = (ahead > -0.95) & (ahead < -0.3) & (np.abs(v) < -0.2 - 0.8 * ahead)
        notch = (ahead < -0.68) & (np.abs(v) < -0.68 - ahead)
        fin = (v < 0) & (v > -height - 0.25) & (ahead > -0.1) & (ahead < 0.15 - 0.7 * (v + height))
        return in_body(u, v) | (tail & ~notch) | (fin & (ahead < 0.45))

    def paint(u: Floats, v: Floats) -> Floats:
        ahead = facing * u
        bands = (wave(stripes * ahead + 0.15 * v + 0.2) > 0.55) & (ahead < 0.5)
        colors = blend(scales, stripe, (bands & in_body(u, v)).astype(np.float32))
        colors = colors + (noise(7 * u, 7 * v) * 16 + 34 * v)[..., None]
        distance = (ahead - 0.62) * (ahead - 0.62) + (v + 0.1) * (v + 0.1)
        colors = np.where((distance < 0.025)[..., None], np.float32(245), colors)
        return np.where((distance < 0.008)[..., None], np.float32(20), colors)

    return Sprite(covers, paint)


def rock(rng: np.random.Generator) -> Sprite:
    """A boulder: belongs to no category and stays unlabelled."""
    grey = tone(rng, (95, 90, 90), (165, 155, 150))
    noise, flatness = Noise(rng), between(rng, 1, 1.5)

    def covers(u: Floats, v: Floats) -> Bools:
        reach = 0.75 + 0.2 * noise(1.5 * u, 1.5 * v)
        return u * u + flatness * v * v < reach * reach

    def paint(u: Floats, v: Floats) -> Floats:
        facets = np.floor(3 * noise(2 * u, 2 * v)) * 16 + noise(8 * u, 8 * v) * 10 - 45 * v
        return rgb(grey) + facets[..., None]

    return Sprite(covers, paint)


def post(rng: np.random.Generator) -> Sprite:
    """A dark post close to the camera, across the whole image; stays unlabelled."""
    dark, width = tone(rng, (25, 25, 30), (60, 45, 40)), between(rng, 0.04, 0.07)
    noise = Noise(rng)

    def covers(u: Floats, v: Floats) -> Bools:
        return np.abs(u) < width

    def paint(u: Floats, v: Floats) -> Floats:
        return rgb(dark) + (noise(40 * u, 6 * v) * 12)[..., None]

    return Sprite(covers, paint)


def _vivid(rng: np.random.Generator) -> tuple[float, float, float]:
    color = VIVID[int(rng.integers(len(VIVID)))]
    return tone(rng, color, color)


def _discs(u: Floats, v: Floats, discs: list[tuple[float, float, float]]) -> Bools:
    """Union of discs (centre u, centre v, radius)."""
    covered = np.zeros(u.shape, np.bool_)
    for centre_u, centre_v, radius in discs:
        du, dv = u - centre_u, v - centre_v
        covered |= du * du + dv * dv < radius * radius
    return covered


def _leafy_crown(rng: np.random.Generator) -> Callable[[Floats, Floats], Bools]:
    sides = [
        (side * between(rng, 0.35, 0.5), between(rng, -0.35, 0.05), between(rng, 0.34, 0.44))
        for side in (-1, 1)
    ]
    discs = [(0.0, -0.4, between(rng, 0.45, 0.55)), (0.0, 0.05, 0.4), *sides]
    return lambda u, v: _discs(u, v, discs)


def _fir(rng: np.random.Generator) -> Callable[[Floats, Floats], Bools]:
    slope, tiers = between(rng, 0.5, 0.7), 3

    def covers(u: Floats, v: Floats) -> Bools:
        covered = np.zeros(u.shape, np.bool_)
        for tier in range(tiers):
            below_tip = v + 0.98 - 0.4 * tier
            covered |= (below_tip > 0) & (below_tip < 0.75) & (np.abs(u) < slope * below_tip)
        return covered & (v < 0.55)

    return covers
