"""Sheets of maps: a row for each detection, a column for each method, one scale below.

Shape legend: ``h x w`` picture.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from mmext.drawing.colors import WHITE, Color, Picture, class_colors
from mmext.drawing.heat_maps import at_size, color_bar, draw_frame, draw_heat
from mmext.drawing.layout import joined, side_by_side
from mmext.explain.attribution import KINDS, Attribution
from mmext.explain.scene import Detection, Scene

SCALES = ('per-map', 'shared')
_SHEET_PX, _LEAST_TILE_PX, _MOST_TILE_PX, _LEAST_OVERLAY_PX = 1200, 300, 440, 480
_JPEG_QUALITY = 85
_CONTEXT = 4.0  # sides of a close-up, in those of the object
_CLOSE_UP_BELOW = 0.5  # of the photo: a larger close-up would show nothing new


def detection_sheet(
    scene: Scene, rows: Sequence[Sequence[Attribution]], scale: str = 'per-map'
) -> Picture:
    """Photo and maps of every detection; maps of a small one are close-ups, framed on the photo.

    Args:
        scene: of the picture.
        rows: for each detection its maps; as many in each row.
        scale: 'per-map': each map has its own maximum; 'shared': those of a method have one.

    Returns:
        RGB ``[H', W', 3]``.

    Raises:
        ValueError: there is nothing to draw.
    """
    if not rows or not rows[0]:
        raise ValueError('rows: expected a map at least')
    side = min(max(_SHEET_PX // (1 + len(rows[0])), _LEAST_TILE_PX), _MOST_TILE_PX)
    photo, factor = at_size(_rgb(scene), side)
    drawn = []
    for row in rows:
        detection = row[0].detection
        height, width = scene.image.shape[:2]
        window = close_up(detection.box_xyxy, (height, width))
        tiles, titles = [_marked(photo, detection, factor, scene)], [_title(row[0])]
        if window is not None:
            corners = [factor * edge for edge in window]
            tiles[0] = draw_frame(tiles[0], corners, WHITE)
        for column, attribution in enumerate(row):
            share = 1.0
            if scale == 'shared':
                highest = max(float(other[column].relevance.max()) for other in rows)
                own = float(attribution.relevance.max())
                share = max(own, 0.0) / highest if highest > 0 else 0.0
            tiles.append(_heat_tile(scene, attribution, share, window, side))
            titles.append(map_title(attribution))
        drawn.append(side_by_side(tiles, titles))
    whole = joined(drawn, axis=0)
    high = 'highest of each map' if scale == 'per-map' else 'highest of each column'
    return joined([whole, color_bar(whole.shape[1], 'nothing speaks for it', high)], axis=0)


def close_up(
    box_xyxy: Sequence[float], shape_hw: tuple[int, int]
) -> tuple[int, int, int, int] | None:
    """The part of a photo around a small object; None where the whole photo shows it well.

    Args:
        box_xyxy: of the object, px.
        shape_hw: of the photo.

    Returns:
        x1, y1, x2, y2 in px, in the form of the photo and inside of it.

    >>> close_up((10, 10, 20, 20), (100, 200))
    (0, 0, 80, 40)
    """
    height, width = shape_hw
    x1, y1, x2, y2 = box_xyxy
    share = _CONTEXT * max((x2 - x1) / width, (y2 - y1) / height)
    if not 0 < share < _CLOSE_UP_BELOW:
        return None
    wide, high = max(1, round(share * width)), max(1, round(share * height))
    left = min(max(round((x1 + x2 - wide) / 2), 0), width - wide)
    top = min(max(round((y1 + y2 - high) / 2), 0), height - high)
    return left, top, left + wide, top + high


def _heat_tile(
    scene: Scene,
    attribution: Attribution,
    share: float,
    window: tuple[int, int, int, int] | None,
    side: int,
) -> Picture:
    """A map on the photo, or on a part of it."""
    photo, heat = _rgb(scene), np.asarray(attribution.heat * share)
    height, width = photo.shape[:2]
    left, top, right, bottom = window or (0, 0, width, height)
    if window is not None:
        heat = np.asarray(cv2.resize(heat.astype(np.float32), (width, height)))
        heat = heat[top:bottom, left:right]
    tile, factor = at_size(photo[top:bottom, left:right], side)
    x1, y1, x2, y2 = attribution.detection.box_xyxy
    box = [factor * edge for edge in (x1 - left, y1 - top, x2 - left, y2 - top)]
    return draw_frame(draw_heat(tile, heat), box, _color(scene, attribution.detection))


def overlay(scene: Scene, attribution: Attribution) -> Picture:
    """One map on the whole picture, RGB ``[H, W, 3]``; tiny pictures are enlarged."""
    side = max(_LEAST_OVERLAY_PX, *scene.image.shape[:2])
    photo, factor = at_size(_rgb(scene), side)
    return _marked(draw_heat(photo, attribution.heat), attribution.detection, factor, scene)


def map_title(attribution: Attribution) -> str:
    """The method, and what a reader has to know."""
    if not attribution.relevance.max() > 0:
        return f'{attribution.method}: no positive evidence'
    layer = '' if attribution.layer in ('input', 'neck') else f' @ {attribution.layer}'
    of = '' if attribution.target in KINDS else f' of {attribution.target}'
    marks = ' (smoothed)' if attribution.smooth else ''
    marks += ' (black box)' if attribution.note else ''
    return f'{attribution.method}{of}{layer}{marks}'


def jpeg(picture: Picture, widest_px: int = 0) -> bytes:
    """An RGB picture ``[h, w, 3]`` as a JPEG file, at most so wide; 0: as it is."""
    if widest_px and picture.shape[1] > widest_px:
        height = max(1, round(picture.shape[0] * widest_px / picture.shape[1]))
        resized = cv2.resize(picture, (widest_px, height), interpolation=cv2.INTER_AREA)
        picture = np.asarray(resized, np.uint8)
    bgr = np.ascontiguousarray(picture[..., ::-1])
    return cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()


def _title(attribution: Attribution) -> str:
    detection = attribution.detection
    missed = ', not detected' if detection.missed else ''
    return f'{detection.name} {detection.score:.2f}{missed}'


def _marked(picture: Picture, detection: Detection, factor: float, scene: Scene) -> Picture:
    box = [edge * factor for edge in detection.box_xyxy]
    return draw_frame(picture, box, _color(scene, detection))


def _color(scene: Scene, detection: Detection) -> Color:
    network = scene.network
    palette = getattr(network.predictor, 'palette', None)
    return class_colors(palette, max(len(network.classes), detection.label + 1))[detection.label]


def _rgb(scene: Scene) -> Picture:
    return np.asarray(cv2.cvtColor(scene.image, cv2.COLOR_BGR2RGB), np.uint8)
