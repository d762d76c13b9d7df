"""Surfaces of persons, drawn on pictures: colors of parts, iso-lines of U and V, textures.

Shapes: H, W picture. An atlas of textures has 24 square tiles, 6 rows of 4: part p in column
(p - 1) // 6 and row (p - 1) % 6, U to the right, V up; that of the published texture transfer.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from mmext.drawing.colors import Color, Picture, class_colors
from mmext.drawing.layout import line_width
from mmext.functional.surface_pasting import SurfaceImage

NUM_PARTS = 24
ATLAS_ROWS, ATLAS_COLUMNS = 6, 4
LEVELS = 8
"""Iso-lines of a chart are so many, less one, of U and of V."""

_PART_OPACITY, _DIMMED = 0.35, 0.6


def part_colors() -> list[Color]:
    """A color for each part 1 to 24; the first is that of part 1."""
    return class_colors(None, NUM_PARTS)


def draw_parts(image: Picture, surface: SurfaceImage, opacity: float = 0.6) -> Picture:
    """The image under the colors of the parts.

    Args:
        image: ``[H, W, 3]``.
        surface: of the same size.
        opacity: of the colors, 0 to 1.

    Returns:
        A new picture.
    """
    table = np.array([(0, 0, 0), *part_colors()], np.float32)
    seen = surface.part > 0
    drawn = image.astype(np.float32)
    drawn[seen] += opacity * (table[surface.part[seen]] - drawn[seen])
    return np.asarray(drawn.round(), np.uint8)


def draw_iso_lines(image: Picture, surface: SurfaceImage, levels: int = LEVELS) -> Picture:
    """The image, a little dimmed, under lines of equal U and of equal V, colored by their value.

    Args:
        image: ``[H, W, 3]``.
        surface: of the same size.
        levels: into how many steps U and V are divided.

    Returns:
        A new picture.
    """
    drawn = draw_parts(image, surface, _PART_OPACITY)
    if not surface.part.any():
        return drawn
    seen = surface.part > 0
    drawn[seen] = drawn[seen] * _DIMMED
    for values, ramp in ((surface.u, cv2.COLORMAP_AUTUMN), (surface.v, cv2.COLORMAP_WINTER)):
        steps = np.minimum((values * levels).astype(np.int32), levels - 1)
        lines = _widened(_crossings(steps, surface, levels), line_width(image)) & seen
        shades = cv2.applyColorMap((255 * steps / levels).astype(np.uint8), ramp)[..., ::-1]
        drawn[lines] = shades[lines]
    return drawn


def transfer_texture(image: Picture, surface: SurfaceImage, atlas: Picture) -> Picture:
    """The image with the persons in another skin.

    Args:
        image: ``[H, W, 3]``.
        surface: of the same size.
        atlas: ``[6 s, 4 s, 3]`` RGB, see the head of this file.

    Returns:
        A new picture.

    Raises:
        ValueError: the atlas has other proportions.
    """
    side, rest = divmod(atlas.shape[0], ATLAS_ROWS)
    if rest or atlas.shape[1] != side * ATLAS_COLUMNS or not side:
        raise ValueError(
            f'texture: expected {ATLAS_ROWS} rows of {ATLAS_COLUMNS} square tiles, one for each '
            f'part, got {atlas.shape[1]} x {atlas.shape[0]} pixels'
        )
    seen = surface.part > 0
    column, row = np.divmod(surface.part[seen].astype(np.int64) - 1, ATLAS_ROWS)
    u, v = surface.u[seen], surface.v[seen]
    x = column * side + np.minimum((u * side).astype(np.int64), side - 1)
    y = row * side + np.minimum(((1 - v) * side).astype(np.int64), side - 1)
    drawn = image.copy()
    drawn[seen] = atlas[y, x]
    return drawn


def stretched(surface: SurfaceImage, size_hw: tuple[int, int]) -> SurfaceImage:
    """The same for a picture of another size, without mixing values."""
    if surface.part.shape == size_hw:
        return surface
    rows, columns = (
        np.arange(now) * before // now
        for now, before in zip(size_hw, surface.part.shape, strict=True)
    )
    return SurfaceImage(*(values[rows[:, None], columns] for values in surface))


def _crossings(steps: NDArray[np.int32], surface: SurfaceImage, levels: int) -> NDArray[np.bool_]:
    """Where the next pixel of the same part of the same person has another step, ``[H, W]``."""
    chart = surface.part.astype(np.int32) + (NUM_PARTS + 1) * surface.person
    lines = np.zeros(steps.shape, bool)
    for a, b in (
        ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
        ((slice(None, -1), slice(None)), (slice(1, None), slice(None))),
    ):
        # a seam of the chart, from 1 to 0, is no line
        apart = np.abs(steps[a] - steps[b])
        lines[a] |= (chart[a] == chart[b]) & (apart > 0) & (2 * apart <= levels)
    return lines


def _widened(lines: NDArray[np.bool_], width_px: int) -> NDArray[np.bool_]:
    if width_px < 2:
        return lines
    kernel = np.ones((width_px, width_px), np.uint8)
    return np.asarray(cv2.dilate(lines.astype(np.uint8), kernel), bool)
