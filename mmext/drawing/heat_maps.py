"""Maps of relevance on photos: one perceptually uniform scale, zero stays the photo."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mmext.drawing.colors import INK, WHITE, Color, Picture
from mmext.drawing.fonts import text_mask
from mmext.drawing.layout import line_width, paint_ink, resized

_SCALE = cv2.COLORMAP_INFERNO
_GRAY_SHARE = 0.75  # of the photo below: its own colors would be read as heat
_LEAST_ALPHA, _MOST_ALPHA = 0.25, 0.9
_BAR_PX = 18


def draw_heat(photo: Picture, heat: npt.NDArray[np.floating[Any]]) -> Picture:
    """A photo with a map over it.

    Args:
        photo: ``[H, W, 3]``.
        heat: ``[h, w]``, 0 to 1; is stretched to the photo.

    Returns:
        ``[H, W, 3]``: gray and dark where the map is 0, bright where it is 1.
    """
    height, width = photo.shape[:2]
    shrinks = height < heat.shape[0] and width < heat.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    fitted = cv2.resize(np.asarray(heat, np.float32), (width, height), interpolation=method)
    fitted = np.clip(fitted, 0, 1)
    gray = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
    ground = _GRAY_SHARE * gray + (1 - _GRAY_SHARE) * photo
    colors = cv2.applyColorMap((fitted * 255).round().astype(np.uint8), _SCALE)[..., ::-1]
    alpha = (_LEAST_ALPHA + (_MOST_ALPHA - _LEAST_ALPHA) * np.sqrt(fitted))[..., None]
    return np.asarray((ground * (1 - alpha) + colors * alpha).round(), np.uint8)


def draw_frame(picture: Picture, box_xyxy: Sequence[float], color: Color) -> Picture:
    """A picture ``[H, W, 3]`` with a box, px, and a thin dark rim around it."""
    drawn = picture.copy()
    width = line_width(picture) + 1
    corners = [(round(float(x)), round(float(y))) for x, y in (box_xyxy[:2], box_xyxy[2:])]
    for edge, thickness in ((INK, width + 2), (color, width)):
        cv2.rectangle(drawn, corners[0], corners[1], edge, thickness, cv2.LINE_AA)
    return drawn


def color_bar(width_px: int, low: str, high: str) -> Picture:
    """The scale of the maps with words at both ends, ``[h, width, 3]``."""
    ramp = np.linspace(0, 255, width_px).round().astype(np.uint8)[None].repeat(_BAR_PX, 0)
    bar = np.asarray(cv2.applyColorMap(ramp, _SCALE)[..., ::-1], np.uint8).copy()
    size = round(_BAR_PX * 0.6)
    for text, color, at_end in ((low, WHITE, False), (high, INK, True)):
        ink = text_mask(text, size, width_px // 2)
        x = width_px - ink.shape[1] - 6 if at_end else 6
        paint_ink(bar, ink, (x, (_BAR_PX - ink.shape[0]) // 2), color)
    return bar


def at_size(picture: Picture, side_px: int) -> tuple[Picture, float]:
    """A picture whose longer side has so many px, and how much larger it is than before."""
    factor = side_px / max(picture.shape[:2])
    size = tuple(max(1, round(n * factor)) for n in picture.shape[:2])
    return resized(picture, (size[0], size[1])), factor
