"""Images of figures: who stands where, what hides them, and what is known of every pixel.

A scene is a landscape with figures and boards before it, back to front.
:func:`photograph_figures` draws it; part, U, V and whose surface it is are known in every pixel,
and the key points are those of the very skeleton that carries the solids.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mmext.demo.face_scene import Board, PeopleLight, develop, draw_board
from mmext.demo.figure_body import SOLIDS, Bone, landmarks, place_body, place_solids
from mmext.demo.figure_frames import Frame
from mmext.demo.figure_looks import FigureLook, paint_figure
from mmext.demo.figure_poses import Pose
from mmext.demo.figure_rays import PlacedFigure, Surface, see_figures
from mmext.demo.solids import Matrix, Row
from mmext.demo.textures import Floats, smoothstep
from mmext.functional.keypoints import OCCLUDED, UNKNOWN, VISIBLE

Points = NDArray[np.float64]
Ints = NDArray[np.int64]
NOBODY = -1


@dataclass(frozen=True)
class Figure:
    """A person in the scene.

    Attributes:
        look: its paint.
        bones: its body.
        pose: angles of the bones.
        view: how the whole body is turned.
        scale: pixels per metre.
        x: of the middle of the hips, pixels.
        ground: where the lowest solid ends below, pixels.
        rise: how far that is above the ground, pixels.
        group: figures of one group are annotated as one crowd; None: on its own.
        detail: what is annotated of the surface: ``'points'`` and masks, ``'masks'`` alone or
            ``'nothing'``.
    """

    look: FigureLook
    bones: tuple[Bone, ...]
    pose: Pose
    view: Matrix
    scale: float
    x: float
    ground: float
    rise: float = 0.0
    group: int | None = None
    detail: str = 'points'

    @cached_property
    def placed_bones(self) -> Mapping[str, Frame]:
        """The frames of the bones in the frame of the viewer, metres from the hips."""
        return place_body(self.bones, self.pose, self.view)

    @cached_property
    def placed(self) -> PlacedFigure:
        """The solids in the image."""
        frames = place_solids(self.bones, self.placed_bones)
        of_name = {bone.name: bone.solid for bone in self.bones}
        solids = [of_name[name] for name in SOLIDS]
        lowest = max(
            frame.origin[1] + _reach(frame.matrix[1], solid.half_length, solid.radii)
            for frame, solid in zip(frames, solids, strict=True)
        )
        return PlacedFigure(
            frames,
            [solid.half_length for solid in solids],
            [solid.radii for solid in solids],
            self.scale,
            self.x,
            self.ground - self.rise - self.scale * lowest,
        )

    @cached_property
    def keypoints(self) -> Points:
        """COCO's 17 points ``[17, 3]``: x and y in pixels, depth in metres."""
        found = landmarks(self.bones)
        own = np.array([self.placed_bones[point.bone].point(point.point) for point in found])
        place = self.placed
        x, y = own[:, 0] * place.scale + place.x, own[:, 1] * place.scale + place.y
        return np.stack([x, y, own[:, 2]], axis=1)

    @cached_property
    def head_box(self) -> tuple[float, float, float, float]:
        """x, y, width and height of the whole head in the image, seen or not, pixels."""
        place, number = self.placed, SOLIDS.index('head')
        frame, radii = place.frames[number], place.radii[number]
        half = [place.scale * _reach(frame.matrix[axis], 0.0, radii) for axis in (0, 1)]
        x, y = place.scale * frame.origin[0] + place.x, place.scale * frame.origin[1] + place.y
        return x - half[0], y - half[1], 2 * half[0], 2 * half[1]


@dataclass(frozen=True)
class FigureScene:
    """All that is to be seen; ``items`` from back to front."""

    background: NDArray[np.uint8]
    items: Sequence[Figure | Board]
    light: PeopleLight

    @property
    def figures(self) -> list[Figure]:
        """From back to front."""
        return [item for item in self.items if isinstance(item, Figure)]


@dataclass(frozen=True)
class SeenFigures:
    """What is known of an image of figures.

    Attributes:
        surface: what is seen in the pixels that figures cover.
        owner: number of the figure in each pixel, ``NOBODY`` elsewhere ``[h, w]``.
        solid: number of the solid in each pixel, ``NOBODY`` elsewhere ``[h, w]``.
        depth: metres behind the figure's origin ``[h, w]``.
    """

    surface: Surface
    owner: Ints
    solid: Ints
    depth: Points

    def keypoints(self, figure: Figure, number: int) -> tuple[Points, Ints]:
        """A figure's points in pixels ``[17, 2]``, and what can be seen of them ``[17]``.

        A joint is visible if one of the two solids that it joins is seen there, and no more of
        the body lies before it than such a joint is thick.
        """
        points, found = figure.keypoints, landmarks(figure.bones)
        height, width = self.owner.shape
        column, row = (np.floor(points[:, i]).astype(np.int64) for i in (0, 1))
        inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
        column, row = np.clip(column, 0, width - 1), np.clip(row, 0, height - 1)
        seen = self.owner[row, column] == number
        seen &= points[:, 2] - self.depth[row, column] <= [point.flesh for point in found]
        solid = self.solid[row, column].tolist()
        seen &= [own in point.solids for own, point in zip(solid, found, strict=True)]
        return points[:, :2], np.where(inside, np.where(seen, VISIBLE, OCCLUDED), UNKNOWN)


def photograph_figures(scene: FigureScene) -> tuple[NDArray[np.uint8], SeenFigures]:
    """The image, uint8 RGB ``[h, w, 3]``, and what is known of it."""
    canvas = scene.background.astype(np.float32)
    seen = look_at_figures(scene, canvas)
    _draw_figures(canvas, scene, seen.surface)
    return develop(canvas, scene.light), seen


def look_at_figures(scene: FigureScene, canvas: Floats | None = None) -> SeenFigures:
    """What is seen of the figures; shadows and boards are drawn on ``canvas`` ``[h, w, 3]``."""
    height, width = scene.background.shape[:2]
    canvas = np.zeros((height, width, 3), np.float32) if canvas is None else canvas
    limits = np.zeros((height, width), np.int64)
    figures = scene.figures
    for figure in figures:
        _cast_shadow(canvas, figure)
    number = 0
    for item in scene.items:
        if isinstance(item, Board):
            draw_board(canvas, limits, item, number)
        else:
            number += 1
    surface = see_figures([figure.placed for figure in figures], (width, height), limits)
    owner, solid = np.full((2, height * width), NOBODY)
    depth = np.zeros(height * width)
    owner[surface.pixel], solid[surface.pixel] = surface.figure, surface.solid
    depth[surface.pixel] = surface.depth
    shape = height, width
    return SeenFigures(surface, owner.reshape(shape), solid.reshape(shape), depth.reshape(shape))


def _draw_figures(canvas: Floats, scene: FigureScene, surface: Surface) -> None:
    light, flat = scene.light, canvas.reshape(-1, 3)
    for number, figure in enumerate(scene.figures):
        chosen = np.flatnonzero(surface.figure == number)
        if not len(chosen):
            continue
        colors = paint_figure(figure.look, surface, chosen)
        normals = surface.normals[:, chosen].astype(np.float32)
        x, y, z = light.direction
        falls = normals[0] * x + normals[1] * y + normals[2] * z
        brightness = light.ambient + light.diffuse * np.clip(falls, 0, 1)
        flat[surface.pixel[chosen]] = np.clip(colors * brightness[:, None], 0, 255)


def _cast_shadow(canvas: Floats, figure: Figure) -> None:
    """Darken the ground at the feet."""
    reach_x, reach_y = 0.34 * figure.scale, 0.09 * figure.scale
    low = [int(np.floor(figure.x - reach_x)), int(np.floor(figure.ground - reach_y))]
    high = [int(np.ceil(figure.x + reach_x)), int(np.ceil(figure.ground + reach_y))]
    columns, rows = (
        np.arange(max(a, 0), min(b, length), dtype=np.float32) + np.float32(0.5)
        for a, b, length in zip(low, high, canvas.shape[1::-1], strict=True)
    )
    if not len(columns) or not len(rows):
        return
    right, down = (columns - figure.x) / reach_x, (rows - figure.ground) / reach_y
    shade = smoothstep(1 - right[None] * right - (down * down)[:, None])
    window = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    canvas[window] *= (1 - 0.5 * shade)[..., None]


def _reach(row: Row, half_length: float, radii: Row) -> float:
    """From the middle of a solid to its end along an axis of the viewer, a row of its matrix."""
    turned = [a * b for a, b in zip(row, radii, strict=True)]
    squares = sum(a * a for a in turned)
    return float(np.sqrt(squares)) + abs(row[1]) * half_length
