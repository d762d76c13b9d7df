"""Clips of figures that walk past each other, with the exact motion of every pixel.

The camera may pan over the landscape by whole pixels; what stands in it moves along. A figure
walks as fast as its feet say. The flow of a pixel is where the very point of the surface that is
seen in it goes to in the next frame.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mmext.demo.face_scene import Board, PeopleLight
from mmext.demo.figure_body import HEIGHT, build_body
from mmext.demo.figure_frames import direction, rotation
from mmext.demo.figure_looks import draw_figure_look
from mmext.demo.figure_people import draw_board_before, draw_shape
from mmext.demo.figure_poses import STEP, walking_pose
from mmext.demo.figure_scene import NOBODY, Figure, FigureScene, SeenFigures
from mmext.demo.people import draw_background, draw_light
from mmext.demo.textures import between, chance

Rng = np.random.Generator
Floats = NDArray[np.float64]

_HEIGHTS = (0.35, 0.8)  # of the walkers, as a part of the height of the image
_PANS = (0, 0, 0, 1, 2, 3)  # pixels a frame
_SAME_DEPTH = 0.04  # metres: a point that much behind what is seen in the next frame is hidden


@dataclass(frozen=True)
class Walker:
    """A figure at the middle of a clip and its gait.

    Attributes:
        figure: there; ``x`` and ``ground`` in pixels of the middle frame.
        phase: of the step there.
        vigor: see :func:`~mmext.demo.figure_poses.walking_pose`.
        rate: steps of two feet a frame.
        arms: swing of the arms.
    """

    figure: Figure
    phase: float
    vigor: float
    rate: float
    arms: float

    def at(self, time: float, shift_px: float) -> Figure:
        """The figure ``time`` frames later, seen by a camera that has moved ``shift_px``."""
        figure = self.figure
        legs = sum(
            2 * bone.solid.half_length
            for bone in figure.bones
            if 'left_' in bone.name and 'leg' in bone.name
        )
        stride = 4 * legs * direction(STEP * self.vigor)[1] * self.rate * time * figure.scale
        return replace(
            figure,
            pose=walking_pose(self.phase + self.rate * time, self.vigor, self.arms),
            x=figure.x - stride * figure.view[0][2] - shift_px,
            ground=figure.ground - stride * figure.view[1][2],
        )


@dataclass(frozen=True)
class FigureClip:
    """Walkers, things before them and the camera.

    Attributes:
        landscape: wider than a frame by what the camera pans, ``[h, W, 3]``.
        items: from back to front, at the middle of the clip.
        light: of all frames.
        width: of a frame, pixels.
        length: number of frames.
        pan: pixels a frame.
    """

    landscape: NDArray[np.uint8]
    items: tuple[Walker | Board, ...]
    light: PeopleLight
    width: int
    length: int
    pan: int

    def frame(self, number: int) -> FigureScene:
        """The scene of one frame."""
        time = number - (self.length - 1) / 2
        start = max(-self.pan, 0) * (self.length - 1) + self.pan * number
        items: list[Figure | Board] = []
        for item in self.items:
            if isinstance(item, Walker):
                items.append(item.at(time, self.pan * time))
            else:
                pose = replace(item.pose, x=item.pose.x - self.pan * time)
                items.append(Board(item.sprite, pose))
        return FigureScene(
            self.landscape[:, start : start + self.width],
            items,
            replace(self.light, grain_seed=self.light.grain_seed + number),
        )


def draw_figure_clip(rng: Rng, width: int, height: int, length: int) -> FigureClip:
    """A random clip of ``length`` frames of ``width`` x ``height`` pixels."""
    pan = _PANS[int(rng.integers(len(_PANS)))] * (1 if chance(rng, 0.5) else -1)
    landscape = draw_background(rng, width + abs(pan) * (length - 1), height)
    light = draw_light(rng, extreme=False)
    walkers = [
        _draw_walker(rng, width, height, number) for number in range(int(rng.integers(2, 5)))
    ]
    walkers.sort(key=lambda walker: walker.figure.ground)
    items: list[Walker | Board] = []
    for walker in walkers:
        items.append(walker)
        if chance(rng, 0.2):
            items.append(draw_board_before(rng, walker.figure))
    return FigureClip(landscape, tuple(items), light, width, length, pan)


def exact_flow(
    clip: FigureClip, number: int, seen: SeenFigures, later: SeenFigures
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The motion from a frame to the next one.

    Args:
        clip: of which they are.
        number: of the frame; there is a next one.
        seen: what is known of it.
        later: and of the next one.

    Returns:
        ``[h, w, 2]``, x and y in pixels, and where the point is hidden or outside in the next
        frame ``[h, w]``.
    """
    height, width = seen.owner.shape
    flow = np.zeros((height * width, 2))
    flow[:, 0] = -clip.pan
    depth = np.zeros(height * width)
    surface = seen.surface
    for index, figure in enumerate(clip.frame(number + 1).figures):
        own = np.flatnonzero(surface.figure == index)
        if not len(own):
            continue
        place = figure.placed
        matrix = np.array([frame.matrix for frame in place.frames])[surface.solid[own]]
        origin = np.array([frame.origin for frame in place.frames])[surface.solid[own]]
        radii = np.array(place.radii)[surface.solid[own]]
        points = [axis[own] * radii[:, i] for i, axis in enumerate(surface.points)]
        x, y, z = (
            matrix[:, i, 0] * points[0]
            + matrix[:, i, 1] * points[1]
            + matrix[:, i, 2] * points[2]
            + origin[:, i]
            for i in range(3)
        )
        row, column = np.divmod(surface.pixel[own], width)
        flow[surface.pixel[own], 0] = x * place.scale + place.x - (column + 0.5)
        flow[surface.pixel[own], 1] = y * place.scale + place.y - (row + 0.5)
        depth[surface.pixel[own]] = z
    hidden = _hidden(flow, depth, seen, later)
    return flow.reshape(height, width, 2).astype(np.float32), hidden


def _hidden(
    flow: Floats, depth: Floats, seen: SeenFigures, later: SeenFigures
) -> NDArray[np.bool_]:
    """Whether the point of each pixel cannot be seen in the next frame ``[h, w]``."""
    height, width = seen.owner.shape
    row, column = np.divmod(np.arange(height * width), width)
    column = np.floor(column + 0.5 + flow[:, 0]).astype(np.int64)
    row = np.floor(row + 0.5 + flow[:, 1]).astype(np.int64)
    outside = (column < 0) | (row < 0) | (column >= width) | (row >= height)
    place = np.clip(row, 0, height - 1) * width + np.clip(column, 0, width - 1)
    owner = seen.owner.ravel()
    behind = depth - later.depth.ravel()[place] > _SAME_DEPTH
    covered = (later.owner.ravel()[place] != owner) | (behind & (owner != NOBODY))
    hidden: NDArray[np.bool_] = outside | covered
    return hidden.reshape(height, width)


def _draw_walker(rng: Rng, width: int, height: int, number: int) -> Walker:
    """Somebody who walks to the left or to the right; every other one the other way."""
    side = 1 if (number + int(chance(rng, 0.2))) % 2 else -1
    yaw = side * between(rng, 0.5, 2.4)
    scale = between(rng, *_HEIGHTS) * height / HEIGHT
    figure = Figure(
        draw_figure_look(rng),
        build_body(draw_shape(rng)),
        {},
        rotation(between(rng, -0.25, 0.0), 0.0, yaw),
        scale,
        between(rng, 0.2, 0.8) * width,
        between(rng, 0.72, 1.0) * height,
    )
    vigor, rate = between(rng, 0.5, 1.1), between(rng, 0.04, 0.09)
    return Walker(figure, between(rng, 0, 1), vigor, rate, between(rng, 0.5, 1.2))
