"""Predictions and ground truth drawn on pictures.

All pictures are RGB ``[H, W, 3]`` uint8. Every class has one colour in all pictures; the
instances of a class differ in shade, by their number.
"""

import colorsys
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from mmext.functional.panoptic_labels import INSTANCE_OFFSET
from mmext.functional.row_runs import row_runs

Picture = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

_GOLDEN_RATIO = 0.61803399  # steps of this fraction of a circle stay far apart from each other
_SHADE_RANGE = 0.35  # darkest and brightest instance: 35 % towards black or white
_OPACITY = 0.55
_MIN_LABELLED_RATIO = 0.004  # smaller segments, as a part of the picture, get no label
_WHITE: Colour = (255, 255, 255)
_INK: Colour = (24, 24, 24)
_GAP_PX = 4


def class_colours(palette: Any, num_classes: int) -> list[Colour]:
    """One RGB colour per class: those of ``palette`` and, where it has none, generated ones.

    Args:
        palette: a sequence of RGB triples; anything else (None, ``'random'``) counts as empty.
        num_classes: how many are wanted.
    """
    given = [] if palette is None or isinstance(palette, str) else [tuple(c) for c in palette]
    hues = [(index * _GOLDEN_RATIO) % 1.0 for index in range(num_classes)]
    made = [colorsys.hsv_to_rgb(hue, 0.75, 0.5 + 0.45 * (i % 3) / 2) for i, hue in enumerate(hues)]
    scaled = [tuple(round(255 * channel) for channel in colour) for colour in made]
    return [*given, *scaled[len(given) :]][:num_classes]


def draw_panoptic(
    image: Picture,
    panoptic_map: npt.NDArray[np.integer[Any]],
    classes: Sequence[str],
    palette: Any = None,
    numbered: bool = False,
) -> Picture:
    """The image under coloured segments with borders and class names.

    A segment's colour is a matter of its id alone: of a model that keeps ids through a video,
    an object keeps its colour.

    Args:
        image: ``[H, W, 3]``.
        panoptic_map: ``[H, W]``, ``label + instance number * 1000``; labels from
            ``len(classes)`` on are void and stay uncoloured, in grey.
        classes: names in the order of the labels.
        palette: see :func:`class_colours`.
        numbered: write the number behind the name of an instance.

    Returns:
        A new picture of the same size.

    Raises:
        ValueError: image and map differ in size, or ids are negative.
    """
    if panoptic_map.shape != image.shape[:2]:
        raise ValueError(
            f'panoptic_map: expected {list(image.shape[:2])} as the image, '
            f'got {list(panoptic_map.shape)}'
        )
    if not panoptic_map.size:
        return image.copy()
    if panoptic_map.min() < 0:
        raise ValueError(f'panoptic_map: expected ids of 0 or more, got {panoptic_map.min()}')
    starts, lengths = row_runs(panoptic_map)
    ids, groups = np.unique(panoptic_map.ravel()[starts], return_inverse=True)
    areas_px = np.bincount(groups, lengths)
    segments = np.repeat(groups.astype(np.int32), lengths).reshape(panoptic_map.shape)

    colours = class_colours(palette, len(classes))
    known = ids % INSTANCE_OFFSET < len(classes)
    fill = np.zeros((len(ids), 3), np.uint8)
    for index in np.flatnonzero(known):
        number, label = divmod(int(ids[index]), INSTANCE_OFFSET)
        fill[index] = _shade(colours[label], number)
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    blended = cv2.addWeighted(grey, 1 - _OPACITY, fill[segments], _OPACITY, 0)
    drawn = np.where(known[segments][..., None], blended, grey)
    drawn[_borders(segments)] = _WHITE

    labelled = known & (areas_px >= _MIN_LABELLED_RATIO * panoptic_map.size)
    boxes = ndimage.find_objects(segments + 1)
    for index in np.flatnonzero(labelled):
        rows, columns = boxes[index]
        x, y = _inner_point(segments[rows, columns] == index)
        number, label = divmod(int(ids[index]), INSTANCE_OFFSET)
        name = f'{classes[label]} {number}' if numbered and number else classes[label]
        write_text(drawn, name, (columns.start + x, rows.start + y))
    return drawn


def draw_instances(
    image: Picture,
    boxes_xyxy: npt.NDArray[np.floating[Any]],
    labels: npt.NDArray[np.integer[Any]],
    scores: npt.NDArray[np.floating[Any]] | None,
    masks: npt.NDArray[np.bool_] | None,
    classes: Sequence[str],
    palette: Any = None,
    min_named_px: float = 0.0,
) -> Picture:
    """The image with boxes, masks, class names and scores; the best scored on top.

    Ground truth has no scores: there the smallest is on top.

    Args:
        image: ``[H, W, 3]``.
        boxes_xyxy: ``[n, 4]`` in pixels.
        labels: ``[n]``.
        scores: ``[n]`` in 0..1; None for ground truth.
        masks: ``[n, H, W]`` or None.
        classes: names in the order of the labels.
        palette: see :func:`class_colours`.
        min_named_px: boxes with a shorter side get no name and score.

    Returns:
        A new picture of the same size.
    """
    drawn = image.copy()
    colours = class_colours(palette, len(classes))
    areas_px = np.prod(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], axis=1)
    order = np.argsort(-areas_px if scores is None else scores, kind='stable')
    for number, index in enumerate(order):
        colour = _shade(colours[labels[index]], number)
        if masks is not None:
            inside = masks[index]
            tinted = (1 - _OPACITY) * drawn[inside] + _OPACITY * np.array(colour)
            drawn[inside] = tinted.astype(np.uint8)
        left, top, right, bottom = (round(float(edge)) for edge in boxes_xyxy[index])
        cv2.rectangle(drawn, (left, top), (right, bottom), colour, _line_width(drawn))
    for index in order:
        left, top, right, bottom = boxes_xyxy[index]
        if min(right - left, bottom - top) < min_named_px:
            continue
        score = '' if scores is None else f' {scores[index]:.2f}'
        text = f'{classes[labels[index]]}{score}'
        write_text(drawn, text, (round(float(left + right) / 2), round(float(top))))
    return drawn


def side_by_side(pictures: Sequence[Picture], titles: Sequence[str] | None = None) -> Picture:
    """Pictures in one row, from left to right, with a title above each.

    Args:
        pictures: of any sizes; scaled to the height of the first.
        titles: one per picture, or None for no titles.

    Raises:
        ValueError: no pictures, or not as many titles.
    """
    if not pictures or (titles is not None and len(titles) != len(pictures)):
        raise ValueError(
            f'titles: expected one for each of {len(pictures)} (at least 1) pictures, got {titles}'
        )
    height = pictures[0].shape[0]
    columns: list[Picture] = []
    for index, picture in enumerate(pictures):
        width = max(1, round(picture.shape[1] * height / picture.shape[0]))
        column = picture
        if picture.shape[0] != height:
            column = np.asarray(cv2.resize(picture, (width, height)), np.uint8)
        if titles is not None:
            column = np.vstack([_title_bar(titles[index], column.shape[1], height), column])
        columns += [column, np.full((column.shape[0], _GAP_PX, 3), 255, np.uint8)]
    return np.hstack(columns[:-1])


def _shade(colour: Colour, number: int) -> Colour:
    """The colour of the ``number``-th instance of a class; number 0 is the colour itself."""
    if number == 0:
        return colour
    shift = _SHADE_RANGE * (2 * ((number * _GOLDEN_RATIO) % 1.0) - 1)
    towards = 255 if shift > 0 else 0
    red, green, blue = (round(c + abs(shift) * (towards - c)) for c in colour)
    return red, green, blue


def _borders(segments: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Pixels whose right or lower neighbour is of another segment."""
    border = np.zeros(segments.shape, bool)
    border[:, :-1] |= segments[:, :-1] != segments[:, 1:]
    border[:-1] |= segments[:-1] != segments[1:]
    return border


def _inner_point(mask: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """The pixel (x, y) of a mask that is farthest from its border."""
    padded = np.pad(mask.astype(np.uint8), 1)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, 3)
    y, x = np.unravel_index(int(distance.argmax()), distance.shape)
    return int(x) - 1, int(y) - 1


def _line_width(picture: Picture) -> int:
    return max(1, round(min(picture.shape[:2]) / 400))


def write_text(
    picture: Picture, text: str, centre_xy: tuple[int, int], scale: float | None = None
) -> None:
    """Text on a dark plate around a point, inside the picture, in place."""
    font = cv2.FONT_HERSHEY_SIMPLEX
    scale = scale or max(0.3, min(picture.shape[:2]) / 1200)
    (width, height), below = cv2.getTextSize(text, font, scale, 1)
    left = min(max(centre_xy[0] - width // 2, 0), max(picture.shape[1] - width, 0))
    base = min(max(centre_xy[1] + height // 2, height), max(picture.shape[0] - below, height))
    plate = picture[max(base - height - 1, 0) : base + below, left : left + width]
    plate[:] = plate // 3
    cv2.putText(picture, text, (left, base), font, scale, _WHITE, 1, cv2.LINE_AA)


def _title_bar(title: str, width: int, picture_height: int) -> Picture:
    bar = np.full((max(16, picture_height // 14), width, 3), _INK, np.uint8)
    write_text(bar, title, (width // 2, bar.shape[0] // 2), scale=bar.shape[0] / 45)
    return bar
