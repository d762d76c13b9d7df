"""Draws scenes of figures: how many, how large, how they stand, and what hides them."""

import numpy as np

from mmext.demo.face_scene import Board
from mmext.demo.figure_body import HEIGHT, Shape, build_body
from mmext.demo.figure_frames import rotation
from mmext.demo.figure_looks import draw_figure_look
from mmext.demo.figure_poses import TURN, draw_pose, walking_pose
from mmext.demo.figure_scene import Figure, FigureScene
from mmext.demo.people import draw_background, draw_light
from mmext.demo.scene import Pose
from mmext.demo.shapes import ball, crate, mushroom, rock, tree
from mmext.demo.solids import Matrix
from mmext.demo.textures import between, chance

Rng = np.random.Generator

KINDS = ('one', 'few', 'group', 'crowd', 'nobody')
NUMBERS = {'one': (1, 1), 'few': (2, 3), 'group': (3, 5), 'crowd': (0, 2), 'nobody': (0, 0)}
HEIGHTS = {'one': (0.5, 1.1), 'few': (0.4, 0.85), 'group': (0.3, 0.7), 'crowd': (0.35, 0.7)}
"""Of somebody who stands straight, as a part of the height of the image."""

_TRIES = 10
_BOARDS = (crate, tree, rock, mushroom, ball)
_DETAILS = ('nothing', 'masks', *('points',) * 8)
_HIDE = 0.14  # how often somebody is hidden by a thing


def draw_figures(rng: Rng, width: int, height: int, kind: str) -> FigureScene:
    """A random scene.

    Args:
        rng: the source of every choice.
        width: of the image in pixels.
        height: of the image in pixels.
        kind: one of ``KINDS``.
    """
    background = draw_background(rng, width, height)
    light = draw_light(rng, extreme=chance(rng, 0.04))
    low, high = NUMBERS[kind]
    figures: list[Figure] = []
    for _ in range(int(rng.integers(low, high + 1))):
        share = rng.random()
        least, most = HEIGHTS[kind]
        tall = (least + (most - least) * share) * height
        figures.append(draw_figure(rng, width, height, tall, figures))
    if kind == 'crowd':
        figures += _draw_crowd(rng, width, height)
    # who stands lower in the image stands nearer
    figures.sort(key=lambda figure: figure.ground)
    items: list[Figure | Board] = []
    for figure in figures:
        items.append(figure)
        if figure.group is None and chance(rng, _HIDE):
            items.append(draw_board_before(rng, figure))
    return FigureScene(background, items, light)


def draw_figure(rng: Rng, width: int, height: int, tall: float, others: list[Figure]) -> Figure:
    """A random person where it does not hide the others much, if a few tries find such a place.

    Args:
        rng: the source of every choice.
        width: of the image in pixels.
        height: of the image in pixels.
        tall: height of somebody who stands straight, pixels.
        others: who is there already.
    """
    scale = tall / HEIGHT
    best, best_room = (0.0, 0.0), -1.0
    for _ in range(_TRIES):
        x = between(rng, 0.08, 0.92) * width
        ground = between(rng, max(0.55 * height, tall), max(1.0 * height, tall + 0.12 * height))
        room = min(
            (abs(x - other.x) / (0.3 * (scale + other.scale)) for other in others), default=9
        )
        if room > best_room:
            best, best_room = (x, ground), room
        if room >= 1:
            break
    pose = draw_pose(rng)
    rise = between(rng, 0.0, 0.25) * scale if chance(rng, 0.12) else 0.0
    return Figure(
        draw_figure_look(rng),
        build_body(draw_shape(rng)),
        pose,
        draw_view(rng),
        scale,
        *best,
        rise=rise,
        detail=_DETAILS[int(rng.integers(len(_DETAILS)))],
    )


def draw_shape(rng: Rng) -> Shape:
    """A random body: tall or short, thin or stout, a child now and then."""
    if chance(rng, 0.15):  # a child: large head, short limbs
        short = between(rng, 0.6, 0.78)
        return Shape(short, short, short, between(rng, 0.68, 0.85), between(rng, 0.88, 1.0))
    legs, torso = between(rng, 0.9, 1.08), between(rng, 0.92, 1.08)
    arms = legs * between(rng, 0.94, 1.06)
    return Shape(legs, arms, torso, between(rng, 0.85, 1.3), between(rng, 0.95, 1.15))


def draw_view(rng: Rng) -> Matrix:
    """From where somebody is seen: mostly from the front, from the sides and behind too."""
    draw = rng.random()
    if draw < 0.5:
        yaw = between(rng, -0.8, 0.8)
    elif draw < 0.75:
        yaw = between(rng, 0.8, 2.0) * (1 if chance(rng, 0.5) else -1)
    else:
        yaw = between(rng, 2.0, 2.0 + TURN / 2 - 0.86)
    roll = between(rng, -1.4, 1.4) if chance(rng, 0.08) else between(rng, -0.1, 0.1)
    return rotation(between(rng, -0.35, 0.1), roll, yaw)


def _draw_crowd(rng: Rng, width: int, height: int) -> list[Figure]:
    """Many small people close together: one crowd."""
    x, ground = between(rng, 0.25, 0.75) * width, between(rng, 0.4, 0.8) * height
    tall = between(rng, 0.1, 0.16) * height
    members = []
    for _ in range(int(rng.integers(7, 13))):
        figure = Figure(
            draw_figure_look(rng),
            build_body(draw_shape(rng)),
            walking_pose(rng.random(), between(rng, 0.1, 0.9)),
            draw_view(rng),
            tall / HEIGHT,
            x + between(rng, -1.2, 1.2) * tall,
            ground + between(rng, -0.2, 0.2) * tall,
            group=0,
        )
        members.append(figure)
    return members


def draw_board_before(rng: Rng, figure: Figure) -> Board:
    """A thing in front of a part of somebody, mostly the legs."""
    sprite = _BOARDS[int(rng.integers(len(_BOARDS)))](rng)
    size = between(rng, 0.22, 0.4) * figure.scale
    x = figure.x + between(rng, -0.35, 0.35) * figure.scale
    y = figure.ground - between(rng, 0.0, 1.1) * figure.scale
    return Board(sprite, Pose(x, y, size, between(rng, -0.5, 0.5)))
