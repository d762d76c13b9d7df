"""Whole pictures: what is in a scene, ground truth beside prediction, the frames of a clip.

Infer, test and the MLflow panels all paint by :func:`draw_scene`. Shapes: H, W picture; N objects.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mmext.drawing.colors import Color, Picture, read_palette
from mmext.drawing.instances import draw_instances
from mmext.drawing.layout import joined, resized, side_by_side, viewing_size
from mmext.drawing.points import attribute_notes, draw_points
from mmext.drawing.segments import Ids, draw_panoptic
from mmext.drawing.surfaces import draw_iso_lines, stretched, transfer_texture
from mmext.functional.surface_pasting import SurfaceImage

CLIP_FRAME_WIDTH_PX = 240
_META_OF_POINTS = ('skeleton', 'attributes', 'mesh_triangles')
_MIN_NAMED_PX = 30.0  # of objects with points: faces come in crowds


class Classes(NamedTuple):
    """What a data set says of its classes.

    Attributes:
        names: in the order of the labels.
        palette: RGB of each class.
        meta: what :func:`mmext.drawing.points.draw_points` takes, and the table of
            ``attributes``.
    """

    names: Sequence[str]
    palette: Sequence[Color] = ()
    meta: Mapping[str, Any] = MappingProxyType({})

    @classmethod
    def of(cls, metainfo: Mapping[str, Any]) -> 'Classes':
        """The part of a data set's ``metainfo`` that is drawn."""
        names = [str(name) for name in metainfo.get('classes') or ()]
        meta = {key: metainfo[key] for key in _META_OF_POINTS if key in metainfo}
        return cls(names, read_palette(metainfo.get('palette'), len(names)), meta)


@dataclass
class Scene:
    """What is in a picture, as labeled or as predicted. Every part may be missing.

    Attributes:
        frame_hw: height and width of the frame of boxes and points, px.
        labels: ``[N]`` class of each object.
        boxes_xyxy: ``[N, 4]``, px.
        scores: ``[N]`` in 0..1, for predictions.
        masks: ``[N, H, W]`` bool.
        fields: of the objects, as :func:`mmext.drawing.points.draw_points` takes them, and
            ``attributes`` ``[N, A]``, see :func:`mmext.drawing.points.attribute_notes`.
        panoptic_map: ``[H, W]``, see :func:`mmext.drawing.segments.draw_panoptic`; is drawn instead
            of boxes and masks.
        ids: ``[N]`` from 1, numbers that the objects keep in a video; None: they have none.
        tracked: whether instance numbers mean the same in every frame, and are written.
        surface: the surfaces of persons, drawn as iso-lines instead of masks.
        texture: an atlas that is drawn on the surfaces instead, see
            :func:`mmext.drawing.surfaces.transfer_texture`.
    """

    frame_hw: tuple[int, int]
    labels: npt.NDArray[Any] = field(default_factory=lambda: np.zeros(0, int))
    boxes_xyxy: npt.NDArray[Any] | None = None
    scores: npt.NDArray[Any] | None = None
    masks: npt.NDArray[Any] | None = None
    fields: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    panoptic_map: Ids | None = None
    ids: npt.NDArray[Any] | None = None
    tracked: bool = False
    surface: SurfaceImage | None = None
    texture: Picture | None = None


class Frame(NamedTuple):
    """A frame of a clip: its picture, and panoptic maps ``[H, W]`` of any size, or scenes."""

    picture: Picture
    truth_ids: Ids | Scene | None
    ids: Ids | Scene


def draw_scene(image: Picture, scene: Scene, classes: Classes) -> Picture:
    """A copy of an ``[H, W, 3]`` picture with the scene on it, stretched to fit."""
    factors = np.array(image.shape[1::-1]) / scene.frame_hw[::-1]  # x, y
    boxes = None if scene.boxes_xyxy is None else scene.boxes_xyxy * np.tile(factors, 2)
    fields = {name: _scaled(name, values, factors) for name, values in scene.fields.items()}
    if scene.panoptic_map is not None:
        ids = _fit(scene.panoptic_map, image)
        drawn = draw_panoptic(image, ids, classes.names, classes.palette, numbered=scene.tracked)
    else:
        masks, notes, table = scene.masks, [], classes.meta.get('attributes')
        if scene.surface is not None:
            image, masks = _with_surface(image, scene), None
        if boxes is not None and table and 'attributes' in fields:
            notes = attribute_notes(boxes, fields['attributes'], table)
        if masks is not None and masks.shape[1:] != image.shape[:2]:
            masks = np.array([_fit(mask, image) for mask in masks], bool)
        drawn = draw_instances(
            image,
            boxes,
            scene.labels,
            scene.scores,
            masks,
            classes.names,
            classes.palette,
            min_named_px=_MIN_NAMED_PX if fields.keys() - {'centers'} else 0.0,
            notes=notes,
            ids=scene.ids,
        )
    return draw_points(drawn, boxes, fields, classes.meta) if fields else drawn


def _with_surface(image: Picture, scene: Scene) -> Picture:
    """A copy under the surfaces of persons, or in another skin."""
    assert scene.surface is not None
    surface = stretched(scene.surface, (image.shape[0], image.shape[1]))
    if scene.texture is not None:
        return transfer_texture(image, surface, scene.texture)
    return draw_iso_lines(image, surface)


def draw_panel(image: Picture, truth: Scene | None, prediction: Scene, classes: Classes) -> Picture:
    """One picture: truth left, prediction right; prediction alone without truth.

    Args:
        image: ``[H, W, 3]``; any size, it is scaled to the prediction's frame and that to 256 to
            640 px.
        truth: the labels.
        prediction: the model's output.
        classes: names and colors.

    Returns:
        ``[H', W', 3]``.
    """
    canvas = resized(image, viewing_size(prediction.frame_hw))
    predicted = draw_scene(canvas, prediction, classes)
    if truth is None:
        return side_by_side([predicted], ['prediction'])
    return side_by_side([draw_scene(canvas, truth, classes), predicted], ['truth', 'prediction'])


def draw_question(
    image: Picture, truth: Scene | None, frame_hw: tuple[int, int], classes: Classes
) -> Picture:
    """What there is before any prediction, as large as :func:`draw_panel`: photo and truth."""
    canvas = resized(image, viewing_size(frame_hw))
    if truth is None:
        return side_by_side([canvas], ['photo'])
    return side_by_side([canvas, draw_scene(canvas, truth, classes)], ['photo', 'truth'])


def draw_clip(frames: Sequence[Frame], classes: Classes) -> Picture:
    """One picture: a column per frame, a row for the truth, if any, and one for the prediction.

    Args:
        frames: of one video.
        classes: labels beyond them are void and stay uncolored.
    """
    height, width = frames[0].picture.shape[:2]
    size = max(1, round(height * CLIP_FRAME_WIDTH_PX / width)), CLIP_FRAME_WIDTH_PX
    columns = []
    for frame in frames:
        picture = resized(frame.picture, size)
        maps = [frame.ids] if frame.truth_ids is None else [frame.truth_ids, frame.ids]
        columns.append(joined([_clip_cell(picture, ids, classes) for ids in maps], axis=0))
    return joined(columns, axis=1)


def _clip_cell(picture: Picture, shown: Ids | Scene, classes: Classes) -> Picture:
    if isinstance(shown, Scene):
        return draw_scene(picture, shown, classes)
    return draw_panoptic(picture, _fit(shown, picture), classes.names, classes.palette, named=False)


def _scaled(name: str, values: npt.NDArray[Any], factors: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if name in ('keypoints', 'centers'):
        return np.asarray(values * factors)
    return np.asarray(values * [*factors, 1.0]) if name == 'mesh' else values


def _fit(grid: npt.NDArray[Any], image: Picture) -> npt.NDArray[Any]:
    """A map ``[H, W]``, stretched to the picture without mixing values."""
    height, width = image.shape[:2]
    if grid.shape == (height, width):
        return grid
    rows = np.arange(height) * grid.shape[0] // height
    columns = np.arange(width) * grid.shape[1] // width
    return np.asarray(grid[rows[:, None], columns])
