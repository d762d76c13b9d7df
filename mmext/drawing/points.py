"""Keypoints, meshes and centers of objects, drawn on pictures, and the words for attributes.

All pictures are RGB ``[H, W, 3]`` uint8. Objects too small to show their points keep their boxes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mmext.drawing.colors import INK, WHITE, Color, Picture, class_colors
from mmext.drawing.layout import line_width

_MIN_MESH_PX, _MIN_POINTS_PX, _MIN_TEXT_PX = 28.0, 10.0, 40.0
_MESH_COLOR: Color = (190, 255, 215)
_MESH_OPACITY = 0.45
_MIN_POINT_SCORE = 0.3
_OCCLUDED = 1  # of ``keypoints_visible``
_UNKNOWN_SIDE_PX = 90.0  # large enough for all
_SUBPIXEL_BITS = 4
_FARTHEST_PX = 1e5  # beyond, coordinates overflow
Floats = npt.NDArray[np.floating[Any]]


def draw_points(
    picture: Picture,
    boxes_xyxy: Floats | None,
    fields: Mapping[str, npt.NDArray[Any]],
    meta: Mapping[str, Any],
) -> Picture:
    """The picture with what is known of each object beyond its box.

    Args:
        picture: ``[H, W, 3]``.
        boxes_xyxy: ``[n, 4]``, pixels; None: of objects of any size.
        fields: any of ``mesh`` ``[n, V, 3]``, ``keypoints`` ``[n, K, 2]`` with
            ``keypoint_scores`` ``[n, K]`` (points below 0.3 are left out) or
            ``keypoints_visible`` ``[n, K]`` (0 is left out, 1, occluded, is a ring), ``centers``
            ``[n, 2]``.
        meta: of the data set: ``mesh_triangles`` and ``skeleton`` (pairs of points to be linked),
            as far as it has them.

    Returns:
        A new picture of the same size.
    """
    drawn = picture.copy()
    sides = _sides(boxes_xyxy, max((len(values) for values in fields.values()), default=0))
    if 'mesh' in fields:
        _draw_meshes(drawn, fields['mesh'][sides >= _MIN_MESH_PX], meta.get('mesh_triangles', ()))
    if 'keypoints' in fields:
        for index in np.flatnonzero(sides >= _MIN_POINTS_PX):
            points = fields['keypoints'][index]
            shown: npt.NDArray[np.bool_] = np.isfinite(points).all(axis=-1)
            if 'keypoint_scores' in fields:
                shown &= fields['keypoint_scores'][index] >= _MIN_POINT_SCORE
            rings: npt.NDArray[np.bool_] = np.zeros(len(points), bool)
            if 'keypoints_visible' in fields:
                shown &= fields['keypoints_visible'][index] > 0
                rings = np.asarray(fields['keypoints_visible'][index] == _OCCLUDED)
            _draw_keypoints(drawn, points, shown, rings, meta.get('skeleton', ()), sides[index])
    for center in _fixed_point(fields['centers']) if 'centers' in fields else ():
        _draw_center(drawn, (int(center[0]), int(center[1])))
    return drawn


def attribute_notes(
    boxes_xyxy: Floats, values: npt.NDArray[Any], attributes: Sequence[Mapping[str, Any]]
) -> list[str]:
    """What is said of each object beside its name; nothing of small ones.

    Args:
        boxes_xyxy: ``[n, 4]``, pixels.
        values: ``[n, A]``; -1: not known.
        attributes: of the data set, dicts with ``name``, ``values`` and ``kind``.
    """
    large = _sides(boxes_xyxy, len(values)) >= _MIN_TEXT_PX
    return [
        ', '.join(attribute_words(row, attributes)) if shown else ''
        for row, shown in zip(values, large, strict=True)
    ]


def attribute_words(
    values: npt.NDArray[np.integer[Any]], attributes: Sequence[Mapping[str, Any]]
) -> list[str]:
    """What to write under an object: the names of binary attributes that hold, values of others.

    >>> table = [{'name': 'hat', 'values': ('no', 'yes'), 'kind': 'binary'},
    ...          {'name': 'age', 'values': ('young', 'old'), 'kind': 'ordinal'}]
    >>> attribute_words(np.array([1, 0]), table), attribute_words(np.array([0, -1]), table)
    (['hat', 'young'], [])
    """
    words = []
    for value, attribute in zip(values.tolist(), attributes, strict=True):
        if attribute['kind'] == 'binary':
            words += [attribute['name']] if value == 1 else []
        elif value >= 0:
            words.append(str(attribute['values'][value]))
    return words


def _sides(boxes_xyxy: Floats | None, count: int) -> Floats:
    """The shorter side of each object."""
    if boxes_xyxy is None:
        return np.full(count, _UNKNOWN_SIDE_PX)
    return np.asarray((boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).min(axis=1))


def _draw_meshes(picture: Picture, meshes: Floats, triangles: Sequence[Sequence[int]]) -> None:
    """Wires of the triangles, half transparent, or dots without triangles; in place."""
    over = picture.copy()
    corners = np.asarray(triangles, np.int64).reshape(-1, 3)
    for mesh in meshes:
        flat = _fixed_point(mesh[:, :2])
        if len(corners):
            lines = list(flat[corners].reshape(-1, 3, 1, 2))
            cv2.polylines(over, lines, True, _MESH_COLOR, 1, cv2.LINE_AA, _SUBPIXEL_BITS)
        for x, y in flat if not len(corners) else ():
            cv2.circle(over, (int(x), int(y)), 8, _MESH_COLOR, -1, cv2.LINE_AA, _SUBPIXEL_BITS)
    cv2.addWeighted(over, _MESH_OPACITY, picture, 1 - _MESH_OPACITY, 0, dst=picture)


def _draw_keypoints(
    picture: Picture,
    points: Floats,
    shown: npt.NDArray[np.bool_],
    rings: npt.NDArray[np.bool_],
    links: Sequence[Sequence[int]],
    side_px: float,
) -> None:
    """Links, then points in a color each, occluded ones as rings; in place."""
    flat = _fixed_point(np.where(shown[:, None], points, 0))
    for first, second in links:
        if shown[first] and shown[second]:
            start, end = (tuple(int(v) for v in flat[i]) for i in (first, second))
            cv2.line(picture, start, end, WHITE, line_width(picture), cv2.LINE_AA, _SUBPIXEL_BITS)
    # on a photo of many megapixels dots of a few pixels cannot be seen
    largest = max(5.0, min(picture.shape[:2]) / 200)
    radius = round(min(max(side_px / 45, 1.0), largest) * (1 << _SUBPIXEL_BITS))
    for index, color in enumerate(class_colors(None, len(points))):
        if shown[index]:
            center = int(flat[index, 0]), int(flat[index, 1])
            thickness = line_width(picture) if rings[index] else -1
            size = round(1.5 * radius) if rings[index] else radius
            cv2.circle(picture, center, size, color, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)


def _draw_center(picture: Picture, point: tuple[int, int]) -> None:
    """A dot in a ring, in fixed point coordinates; in place."""
    radius = max(2, round(min(picture.shape[:2]) / 200)) << _SUBPIXEL_BITS
    for size, color in ((radius, INK), (2 * radius // 3, WHITE)):
        cv2.circle(picture, point, size, color, -1, cv2.LINE_AA, _SUBPIXEL_BITS)


def _fixed_point(points: Floats) -> npt.NDArray[np.int32]:
    """Coordinates as OpenCV takes them with fractions of a pixel.

    Its pixel centers have whole numbers, those of boxes and points halves.
    """
    inner = np.clip(np.nan_to_num(points), -_FARTHEST_PX, _FARTHEST_PX)
    return np.round((inner - 0.5) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
