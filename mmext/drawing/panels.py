"""Truth beside prediction, drawn with numpy and OpenCV on the writer's thread.

Works for every detector that speaks mmdet's data samples: boxes, instance
masks, key points or landmarks, semantic and panoptic maps, whatever a
:class:`Scene` has. Shapes: H, W picture; N objects; K points of an object.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np

Color = tuple[int, int, int]  # RGB, 0..255

LONGEST_SIDE_PX, SMALLEST_SIDE_PX = 640, 256

_MAP_OPACITY, _MASK_OPACITY = 0.6, 0.45
_HEADER_PX, _GAP_PX = 22, 4
_FONT, _FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.42
_GOLDEN_RATIO = 0.618034
_NAMED_AREA_RATIO = 0.01  # smaller segments are coloured but not named


class Classes(NamedTuple):
    """What a data set says of its classes."""

    names: Sequence[str]
    palette: Sequence[Color] = ()
    """Colour of each; classes beyond it get generated ones."""


@dataclass
class Scene:
    """What is in a picture, as labelled or as predicted. Every part may be missing.

    Attributes:
        frame_hw: height and width of the frame of boxes and points, px.
        labels: (N,) class of each object.
        boxes_xyxy: (N, 4), px.
        scores: (N,) in 0..1, for predictions.
        masks: (N, H, W) bool.
        points_xy: (N, K, 2), px; points that are not there are not finite.
        segment_labels: (H, W) class of each pixel; outside the class range: void.
        segment_ids: (H, W) tells instances of one class apart, where known.
    """

    frame_hw: tuple[int, int]
    labels: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    boxes_xyxy: np.ndarray | None = None
    scores: np.ndarray | None = None
    masks: np.ndarray | None = None
    points_xy: np.ndarray | None = None
    segment_labels: np.ndarray | None = None
    segment_ids: np.ndarray | None = None


def draw_panel(
    image: np.ndarray, truth: Scene | None, prediction: Scene, classes: Classes
) -> np.ndarray:
    """One picture: truth left, prediction right; prediction alone without truth.

    Args:
        image: (H, W, 3) RGB uint8; any size, it is scaled to the prediction's
            frame and that to 256 to 640 px.
        truth: the labels.
        prediction: the model's output.
        classes: names and colours.

    Returns:
        (H', W', 3) RGB uint8.
    """
    canvas = _scaled(image, prediction.frame_hw)
    predicted = draw_scene(canvas, prediction, classes)
    if truth is None:
        return _side_by_side(prediction=predicted)
    return _side_by_side(truth=draw_scene(canvas, truth, classes), prediction=predicted)


def draw_question(
    image: np.ndarray, truth: Scene | None, frame_hw: tuple[int, int], classes: Classes
) -> np.ndarray:
    """What there is before any prediction, as large as :func:`draw_panel`: photo and truth."""
    canvas = _scaled(image, frame_hw)
    if truth is None:
        return _side_by_side(photo=canvas)
    return _side_by_side(photo=canvas, truth=draw_scene(canvas, truth, classes))


def draw_sheet(panels: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures of any size below each other, on white."""
    width = max(panel.shape[1] for panel in panels)
    rows = [
        np.pad(panel, ((0, _GAP_PX), (0, width - panel.shape[1]), (0, 0)), constant_values=255)
        for panel in panels
    ]
    return np.vstack(rows)


def draw_scene(image: np.ndarray, scene: Scene, classes: Classes) -> np.ndarray:
    """A copy of an (H, W, 3) RGB picture with the scene on it, stretched to fit."""
    canvas = image.copy()
    if scene.segment_labels is not None:
        _draw_segments(canvas, scene, classes)
    else:
        _draw_masks(canvas, scene, classes.palette)
        _draw_boxes(canvas, scene, classes)
    _draw_points(canvas, scene)
    return canvas


def color_of(label: int, instance: int = 0, palette: Sequence[Color] = ()) -> Color:
    """The colour of the class, the shade of the instance."""
    if 0 <= label < len(palette):
        red, green, blue = palette[label]
    else:
        red, green, blue = from_hsv(int(179 * ((label * _GOLDEN_RATIO) % 1.0)), 200, 255)
    brightness = 1 - 0.18 * (instance % 4)
    return round(red * brightness), round(green * brightness), round(blue * brightness)


def from_hsv(hue: int, saturation: int, value: int) -> Color:
    """A colour by OpenCV's numbers: hue 0..179, the others 0..255."""
    pixel = np.array([[[hue, saturation, value]]], np.uint8)
    red, green, blue = (int(c) for c in cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0])
    return red, green, blue


def _draw_segments(canvas: np.ndarray, scene: Scene, classes: Classes) -> None:
    assert scene.segment_labels is not None
    labels = _fit(scene.segment_labels, canvas)
    ids = labels if scene.segment_ids is None else _fit(scene.segment_ids, canvas)
    # one number for each segment: the class and a running number of its id
    _, ids = np.unique(ids, return_inverse=True)
    segments = np.where((labels >= 0) & (labels < len(classes.names)), labels, -1) * (
        int(ids.max()) + 1
    ) + ids.reshape(labels.shape)
    names: list[tuple[str, tuple[int, int]]] = []
    of_class: dict[int, int] = {}  # so that stuff has one colour in truth and prediction
    for segment in np.unique(segments):
        mask = segments == segment
        label = int(labels[mask][0])
        if not 0 <= label < len(classes.names):
            continue
        of_class[label] = of_class.get(label, -1) + 1
        color = color_of(label, of_class[label], classes.palette)
        _blend(canvas, mask, color, _MAP_OPACITY)
        if mask.mean() >= _NAMED_AREA_RATIO:
            row, column = (int(np.median(axis)) for axis in np.nonzero(mask))
            names.append((classes.names[label], (column, row)))
    for name, corner_xy in names:  # on top of every segment
        _write(canvas, name, corner_xy)


def _draw_masks(canvas: np.ndarray, scene: Scene, palette: Sequence[Color]) -> None:
    if scene.masks is None:
        return
    for index, mask in enumerate(scene.masks):
        fitted = _fit(mask.astype(np.uint8), canvas).astype(bool)
        color = color_of(int(scene.labels[index]), index, palette)
        _blend(canvas, fitted, color, _MASK_OPACITY)
        outline, _ = cv2.findContours(
            fitted.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(canvas, outline, -1, color, 1)


def _draw_boxes(canvas: np.ndarray, scene: Scene, classes: Classes) -> None:
    if scene.boxes_xyxy is None:
        return
    scale = _scale(canvas, scene)
    for index, box in enumerate(scene.boxes_xyxy):
        if not np.isfinite(box).all():
            continue
        label = int(scene.labels[index])
        corners = np.clip(box.reshape(2, 2) * scale, -1e4, 1e4).round().astype(int)
        color = color_of(label, index, classes.palette)
        cv2.rectangle(canvas, corners[0].tolist(), corners[1].tolist(), color, 1)
        name = classes.names[label] if 0 <= label < len(classes.names) else str(label)
        text = name if scene.scores is None else f'{name} {scene.scores[index]:.2f}'
        _write(canvas, text, (int(corners[0, 0]), int(corners[0, 1])))


def _draw_points(canvas: np.ndarray, scene: Scene) -> None:
    if scene.points_xy is None:
        return
    scale = _scale(canvas, scene)
    for points in scene.points_xy:
        for order, point in enumerate(points * scale):
            if np.isfinite(point).all():
                center = np.clip(point, -1e4, 1e4).round().astype(int).tolist()
                cv2.circle(canvas, center, 2, color_of(order), -1)


def _scaled(image: np.ndarray, frame_hw: tuple[int, int]) -> np.ndarray:
    height, width = frame_hw
    scale = min(1.0, LONGEST_SIDE_PX / max(height, width))
    if max(height, width) < SMALLEST_SIDE_PX:  # names would cover the objects
        scale = math.ceil(SMALLEST_SIDE_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    method = cv2.INTER_AREA if scale <= 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=method))


def _side_by_side(**pictures: np.ndarray) -> np.ndarray:
    drawn = [_with_header(picture, title) for title, picture in pictures.items()]
    gap = np.full((drawn[0].shape[0], _GAP_PX, 3), 255, np.uint8)
    return np.hstack([drawn[0], *(part for side in drawn[1:] for part in (gap, side))])


def _scale(canvas: np.ndarray, scene: Scene) -> np.ndarray:
    """Factors (x, y) from the scene's frame to the canvas."""
    height, width = scene.frame_hw
    return np.array([canvas.shape[1] / width, canvas.shape[0] / height])


def _fit(grid: np.ndarray, canvas: np.ndarray) -> np.ndarray:
    """A (H, W) map of integers, stretched to the canvas without mixing values."""
    height, width = canvas.shape[:2]
    rows = np.arange(height) * grid.shape[0] // height
    columns = np.arange(width) * grid.shape[1] // width
    return grid[rows[:, None], columns]


def _blend(canvas: np.ndarray, mask: np.ndarray, color: Color, opacity: float) -> None:
    canvas[mask] = (canvas[mask] * (1 - opacity) + np.array(color) * opacity).astype(np.uint8)


def _write(canvas: np.ndarray, text: str, corner_xy: tuple[int, int]) -> None:
    """Small white letters with a dark rim, kept inside the picture."""
    (width, height), _ = cv2.getTextSize(text, _FONT, _FONT_SCALE, 1)
    x = int(np.clip(corner_xy[0], 0, max(0, canvas.shape[1] - width)))
    y = int(np.clip(corner_xy[1], height + 1, max(height + 1, canvas.shape[0] - 2)))
    for color, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(canvas, text, (x, y), _FONT, _FONT_SCALE, color, thickness, cv2.LINE_AA)


def _with_header(image: np.ndarray, title: str) -> np.ndarray:
    header = np.zeros((_HEADER_PX, image.shape[1], 3), np.uint8)
    cv2.putText(
        header, title, (6, _HEADER_PX - 7), _FONT, _FONT_SCALE, (255, 255, 255), 1, cv2.LINE_AA
    )
    return np.vstack([header, image])
