"""Images of people: who stands where, what hides them, and the exact ground truth of every face.

A scene is a landscape with heads and boards before it, back to front. :func:`photograph_people`
draws it and tells of each face its box, landmarks, mesh and attributes, and what can be
seen of them: a point is occluded if another thing, or the head itself, is nearer to the viewer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmext.demo.head_looks import SKIN, Look
from mmext.demo.head_model import head_points
from mmext.demo.scene import Pose, soften, unit_vector
from mmext.demo.shapes import Sprite
from mmext.demo.solids import Placement, View, look, nearest_depth
from mmext.demo.textures import Floats
from mmext.formats.wider_face_files import ATTRIBUTES as WIDER_ATTRIBUTES

MIN_FACE_PX = 15.0
MIN_LANDMARKS_PX = 17.0
MIN_MESH_PX = 20.0
MIN_ATTRIBUTES_PX = 24.0
"""Smallest heights of a face that counts, and at which its parts are annotated."""

MIN_VISIBLE = 0.3
_REACH = 3.6  # of a head with its body, in units of the head
_FINE_BELOW_PX = 40.0  # smaller heads are drawn with four rays per pixel
_SELF_HIDDEN = 0.12  # a point that much behind the surface is on the other side
NOBODY = -1


@dataclass(frozen=True)
class Head:
    """A person in the scene.

    Attributes:
        look: the person.
        placement: of the head.
        angles: yaw, pitch and roll in radians, of which the placement was made.
    """

    look: Look
    placement: Placement
    angles: tuple[float, float, float]

    @property
    def shows_face(self) -> bool:
        """Whether there is a face to be found."""
        return self.look.features is not None and abs(self.angles[0]) < 1.5


@dataclass(frozen=True)
class Board:
    """A thing that hides what is behind it; its pose is in pixels."""

    sprite: Sprite
    pose: Pose


@dataclass(frozen=True)
class PeopleLight:
    """The light on the heads, and the camera.

    Attributes:
        direction: unit vector towards the light, in the frame of the viewer.
        ambient: brightness in the shadow.
        diffuse: what the light adds where it falls straight.
        gain: factor on the whole image.
        is_extreme: whether WIDER would call it so.
        blur_passes: how often the image is softened, 1 or more.
        grain: largest noise in grey levels.
        grain_seed: of the noise.
    """

    direction: tuple[float, float, float]
    ambient: float
    diffuse: float
    gain: float
    is_extreme: bool
    blur_passes: int
    grain: int
    grain_seed: int


@dataclass(frozen=True)
class PeopleScene:
    """All that is to be seen; ``items`` from back to front."""

    background: NDArray[np.uint8]
    items: Sequence[Head | Board]
    light: PeopleLight


@dataclass(frozen=True)
class FaceGroundTruth:
    """One face, in pixels of the image.

    Attributes:
        box_xywh: whole numbers, inside of the image.
        landmarks: ``[5, 2]``.
        visible: ``[5]``, 0 = not annotated, 1 = occluded, 2 = visible.
        mesh: ``[V, 3]``, x, y and depth.
        mesh_valid: whether the mesh is annotated.
        attributes: of :data:`mmext.demo.head_looks.ATTRIBUTES`, -1 = unknown.
        wider: WIDER's six attributes.
        height_px: of the whole face, also where it is outside of the image.
    """

    box_xywh: NDArray[np.float64]
    landmarks: NDArray[np.float64]
    visible: NDArray[np.int64]
    mesh: NDArray[np.float64]
    mesh_valid: bool
    attributes: list[int]
    wider: list[int]
    height_px: float


FaceTruth = FaceGroundTruth  # its name until version 0.2


def photograph_people(scene: PeopleScene) -> tuple[NDArray[np.uint8], list[FaceGroundTruth]]:
    """The image, uint8 RGB ``[h, w, 3]``, and its faces, from back to front."""
    canvas = scene.background.astype(np.float32)
    owner = np.full(canvas.shape[:2], NOBODY, np.int64)
    drawn = []
    for number, item in enumerate(scene.items):
        if isinstance(item, Board):
            draw_board(canvas, owner, item, NOBODY)
            drawn.append(0)
        else:
            drawn.append(_draw_head(canvas, owner, item, number, scene.light))
    faces = []
    for number, item in enumerate(scene.items):
        seen = int((owner == number).sum())
        if isinstance(item, Head) and item.shows_face and seen:
            face = _ground_truth(item, number, owner, seen / drawn[number], scene.light)
            if face.box_xywh[2:].all():  # not just an ear at the border
                faces.append(face)
    return develop(canvas, scene.light), faces


def _draw_head(
    canvas: Floats, owner: NDArray[np.int64], head: Head, number: int, light: PeopleLight
) -> int:
    """Draw a head and claim the pixels of its skin; returns how many they are."""
    place = head.placement
    columns, rows = (
        _span(centre, _REACH * place.scale, length)
        for centre, length in ((place.x, canvas.shape[1]), (place.y, canvas.shape[0]))
    )
    if columns.stop <= columns.start or rows.stop <= rows.start:
        return 0
    fine = 2 if place.scale < _FINE_BELOW_PX else 1
    u = (_centres(columns, fine) - np.float32(place.x)) / np.float32(place.scale)
    v = (_centres(rows, fine) - np.float32(place.y)) / np.float32(place.scale)
    grid = np.broadcast_arrays(u, v[:, None])
    view = look(head.look.parts, place.matrix, *grid)
    colors, share = _pooled(_lit(view, light), (view.tags >= 0).astype(np.float32), fine)
    _, skin = _pooled(view.colors[..., :0], (view.tags == SKIN).astype(np.float32), fine)
    window = rows, columns
    canvas[window] = canvas[window] * (1 - share)[..., None] + colors
    owner[window] = np.where(share > 0.5, np.where(skin > 0.5, number, NOBODY), owner[window])
    return int((skin > 0.5).sum())


def draw_board(canvas: Floats, owner: NDArray[np.int64], board: Board, number: int) -> None:
    """Draw a thing on the canvas ``[h, w, 3]`` and write its number to its pixels' ``[h, w]``."""
    pose = board.pose
    columns, rows = (
        _span(centre, 1.42 * pose.size, length)
        for centre, length in ((pose.x, canvas.shape[1]), (pose.y, canvas.shape[0]))
    )
    cos, sin = unit_vector(pose.angle)
    right = (_centres(columns, 1)[None] - np.float32(pose.x)) / np.float32(pose.size)
    down = (_centres(rows, 1)[:, None] - np.float32(pose.y)) / np.float32(pose.size)
    u, v = right * cos + down * sin, down * cos - right * sin
    covered = board.sprite.covers(u, v)
    canvas[rows, columns][covered] = board.sprite.paint(u[covered], v[covered])
    owner[rows, columns][covered] = number


def _span(centre: float, reach: float, length: int) -> slice:
    low, high = int(np.floor(centre - reach)), int(np.ceil(centre + reach))
    return slice(min(max(low, 0), length), min(max(high, 0), length))


def _centres(span: slice, fine: int) -> Floats:
    """Pixel centres of a span, each pixel cut into ``fine`` parts."""
    steps = np.arange((span.stop - span.start) * fine, dtype=np.float32)
    return np.float32(span.start) + (steps + np.float32(0.5)) / np.float32(fine)


def _lit(view: View, light: PeopleLight) -> Floats:
    x, y, z = light.direction
    normals = view.normals
    falls = normals[..., 0] * x + normals[..., 1] * y + normals[..., 2] * z
    brightness = light.ambient + light.diffuse * np.clip(falls, 0, 1)
    lit: Floats = np.clip(view.colors * brightness[..., None], 0, 255)
    return lit * (view.tags >= 0)[..., None]


def _pooled(colors: Floats, share: Floats, fine: int) -> tuple[Floats, Floats]:
    """Mean over the parts of each pixel, added up in one order on every machine."""
    if fine == 1:
        return colors, share
    total_colors, total_share = (
        (a[::2, ::2] + a[1::2, ::2] + a[::2, 1::2] + a[1::2, 1::2]) for a in (colors, share)
    )
    return total_colors / np.float32(4), total_share / np.float32(4)


def develop(canvas: Floats, light: PeopleLight) -> NDArray[np.uint8]:
    """Lens and sensor: gain, blur, noise, 8 bits; ``[h, w, 3]``."""
    exposed = canvas * np.float32(light.gain)
    image = np.clip(np.floor(exposed + np.float32(0.5)), 0, 255).astype(np.int32)
    for _ in range(light.blur_passes):
        image = soften(image)
    rng = np.random.Generator(np.random.PCG64(light.grain_seed))
    image = image + rng.integers(-light.grain, light.grain + 1, image.shape, np.int16)
    developed: NDArray[np.uint8] = np.clip(image, 0, 255).astype(np.uint8)
    return developed


def _ground_truth(
    head: Head, number: int, owner: NDArray[np.int64], visible: float, light: PeopleLight
) -> FaceGroundTruth:
    features = head.look.features
    assert features is not None
    points = head_points(features.expression)
    outline = head.placement.project(points.outline)[:, :2]
    low, high = outline.min(axis=0), outline.max(axis=0)
    height_px = float(high[1] - low[1])
    size = np.array(owner.shape[::-1], np.float64)
    box_low, box_high = (np.clip(np.floor(c + 0.5), 0, size) for c in (low, high))
    inside = float(np.prod(np.maximum(box_high - box_low, 0)) / np.prod(high - low))
    landmarks = head.placement.project(points.landmarks)
    state = _visibility(head, landmarks, owner, number)
    if height_px < MIN_LANDMARKS_PX:
        state = np.zeros_like(state)
    shown = min(inside, 1.0) * visible
    known = height_px >= MIN_ATTRIBUTES_PX and shown >= 2 * MIN_VISIBLE
    return FaceGroundTruth(
        box_xywh=np.concatenate([box_low, box_high - box_low]),
        landmarks=np.round(landmarks[:, :2], 2),
        visible=state,
        mesh=np.round(head.placement.project(points.mesh), 2),
        mesh_valid=height_px >= MIN_MESH_PX and shown >= MIN_VISIBLE,
        attributes=head.look.labels if known else [-1] * len(head.look.labels),
        wider=_wider_attributes(head, height_px, visible, shown, light),
        height_px=height_px,
    )


def _visibility(
    head: Head, landmarks: NDArray[np.float64], owner: NDArray[np.int64], number: int
) -> NDArray[np.int64]:
    """0, 1 or 2 of each landmark ``[5, 3]``."""
    features, place = head.look.features, head.placement
    assert features is not None
    u, v = ((landmarks[:, i] - centre) / place.scale for i, centre in enumerate((place.x, place.y)))
    nearest = nearest_depth(head.look.parts, place.matrix, u, v)
    hidden = landmarks[:, 2] / place.scale > nearest + _SELF_HIDDEN
    height, width = owner.shape
    inside = (landmarks[:, :2] >= 0).all(axis=1) & (landmarks[:, :2] < (width, height)).all(axis=1)
    columns = np.clip(landmarks[:, 0].astype(np.int64), 0, width - 1)
    rows = np.clip(landmarks[:, 1].astype(np.int64), 0, height - 1)
    hidden |= owner[rows, columns] != number
    if features.glasses == 'dark':
        hidden[:2] = True
    if features.mask is not None:
        hidden[2:] = True
    return np.where(inside, np.where(hidden, 1, 2), 0)


def _wider_attributes(
    head: Head, height_px: float, visible: float, shown: float, light: PeopleLight
) -> list[int]:
    """The six of the original files, by rules near the words of its readme."""
    features = head.look.features
    assert features is not None
    softness = 0.5 * light.blur_passes / (height_px * height_px)  # (sigma / height) squared
    yaw, pitch, roll = (abs(angle) for angle in head.angles)
    covered = features.mask is not None or features.glasses == 'dark'
    values = {
        'blur': int(softness > 0.02 * 0.02) + int(softness > 0.05 * 0.05),
        'expression': int(features.expression == 'surprise'),
        'illumination': int(light.is_extreme),
        'invalid': int(height_px < MIN_FACE_PX or shown < MIN_VISIBLE),
        'occlusion': 2 if visible < 0.6 else int(visible < 0.95 or covered),
        'pose': int(yaw > 0.8 or pitch > 0.45 or roll > 0.6),
    }
    return [values[attribute['name']] for attribute in WIDER_ATTRIBUTES]


def point_light(angle: float, height: float) -> tuple[float, float, float]:
    """A unit vector towards a light above (or at) the viewer's side of the scene."""
    cos, sin = unit_vector(angle)
    rise, level = unit_vector(height)[1], unit_vector(height)[0]
    return sin * level, -rise, -cos * level
