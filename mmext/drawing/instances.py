"""Boxes and masks of objects, drawn on pictures."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mmext.drawing.colors import Color, Picture, class_colors, ranks, rim_for, shade
from mmext.drawing.labels import Label, class_name, draw_labels
from mmext.drawing.layout import line_width
from mmext.drawing.segments import borders, tinted

_FARTHEST_PX = 1e5  # OpenCV draws nothing right with coordinates of many digits
_SAMPLED = 4  # every fourth pixel along a box tells how bright its ground is

Floats = npt.NDArray[np.floating[Any]]


def draw_instances(
    image: Picture,
    boxes_xyxy: Floats | None,
    labels: npt.NDArray[np.integer[Any]],
    scores: Floats | None,
    masks: npt.NDArray[np.bool_] | None,
    classes: Sequence[str],
    palette: Any = None,
    min_named_px: float = 0.0,
    notes: Sequence[str] = (),
    ids: npt.NDArray[np.integer[Any]] | None = None,
) -> Picture:
    """The image with boxes, masks, class names and scores.

    Small objects lie on top of large ones, of two equal ones the better scored.

    Args:
        image: ``[H, W, 3]``.
        boxes_xyxy: ``[n, 4]`` in pixels; what is not finite is not drawn. None: masks alone.
        labels: ``[n]``.
        scores: ``[n]`` in 0..1; None: of the ground truth.
        masks: ``[n, H, W]`` or None.
        classes: names in the order of the labels.
        palette: see :func:`mmext.drawing.colors.class_colors`.
        min_named_px: boxes with a shorter side are counted in the legend.
        notes: ``[n]``, what is said of each beside name and score; empty: nothing.
        ids: ``[n]`` from 1, numbers that objects keep in a video: they decide about the shade, and
            are said where there are no notes. None: the rank in the class decides.

    Returns:
        A new picture of the same size.
    """
    if not len(labels):
        return image.copy()
    colors = class_colors(palette, max(len(classes), labels.max() + 1))
    shades = _shades(labels, scores, colors, ids)
    if ids is not None and not notes:
        notes = [f'#{number}' for number in ids.tolist()]
    by_score = np.arange(len(labels)) if scores is None else np.argsort(-scores, kind='stable')
    extents = _mask_boxes(masks, len(labels)) if boxes_xyxy is None else boxes_xyxy
    sizes = extents[:, 2:] - extents[:, :2]
    areas = sizes.prod(axis=1) if masks is None else masks.sum(axis=(1, 2))
    below_first = by_score[::-1][np.argsort(-areas[by_score[::-1]], kind='stable')]
    drawn = image.copy() if masks is None else _with_masks(image, masks, shades, below_first)
    corners = np.clip(np.nan_to_num(extents), -_FARTHEST_PX, _FARTHEST_PX).round().astype(int)
    finite = np.asarray(np.isfinite(extents).all(axis=1))
    for index in below_first[finite[below_first]] if boxes_xyxy is not None else ():
        _draw_box(drawn, corners[index], shades[index])
    named: dict[bool, list[Label]] = {True: [], False: []}
    for index in by_score[finite[by_score]]:
        left, top, right, bottom = corners[index].tolist()
        score = '' if scores is None else f'{scores[index]:.2f} '
        note = score + (notes[index] if notes else '')
        name = class_name(classes, int(labels[index]))
        large = bool(sizes[index].min() >= min_named_px)
        named[large].append(Label(name, shades[index], (left, top, right, bottom), note))
    draw_labels(drawn, named[True], named[False])
    return drawn


def _shades(
    labels: npt.NDArray[np.integer[Any]],
    scores: Floats | None,
    colors: Sequence[Color],
    ids: npt.NDArray[np.integer[Any]] | None,
) -> list[Color]:
    """``[n]``: the color of the class, in the shade of the object's number or rank in it."""
    numbers = ranks(labels, scores) if ids is None else [number - 1 for number in ids.tolist()]
    numbered = zip(labels.tolist(), numbers, strict=True)
    return [shade(colors[label], number) for label, number in numbered]


def _mask_boxes(masks: npt.NDArray[np.bool_] | None, count: int) -> Floats:
    """Boxes around masks, ``[n, 4]``; not finite where there is none."""
    boxes = np.full((count, 4), np.nan)
    for index, mask in enumerate(() if masks is None else masks):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if len(rows):
            boxes[index] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return boxes


def _with_masks(
    image: Picture,
    masks: npt.NDArray[np.bool_],
    shades: Sequence[Color],
    below_first: npt.NDArray[np.integer[Any]],
) -> Picture:
    """A copy under the masks, each with a line in its own color along its border."""
    index_map = np.zeros(image.shape[:2], np.int32)  # 0: none
    for index in below_first:
        index_map[masks[index]] = index + 1
    drawn = tinted(image, index_map, [None, *shades])
    edges = borders(index_map, line_width(image)) & (index_map > 0)
    fill = np.array([(0, 0, 0), *shades], np.uint8)
    drawn[edges] = fill[index_map[edges]]
    return drawn


def _draw_box(picture: Picture, corners_xyxy: npt.NDArray[Any], color: Color) -> None:
    """A box, rimmed where its color is too much like the photo; in place."""
    left, top, right, bottom = corners_xyxy.tolist()
    height, width = picture.shape[:2]
    rows, columns = (np.clip([low, high], 0, end - 1) for low, high, end in
                     ((top, bottom, height), (left, right, width)))  # fmt: skip
    ground = [
        picture[rows, columns[0] : columns[1] + 1 : _SAMPLED].reshape(-1, 3),
        picture[rows[0] : rows[1] + 1 : _SAMPLED, columns].reshape(-1, 3),
    ]
    rim = rim_for(color, np.concatenate(ground))
    step = line_width(picture)
    if rim is not None:  # outside of the line
        cv2.rectangle(
            picture, (left - step, top - step), (right + step, bottom + step), rim, step + 1
        )
    cv2.rectangle(picture, (left, top), (right, bottom), color, step + 1)
