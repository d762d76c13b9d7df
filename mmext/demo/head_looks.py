"""How a generated head looks: skin, eyes, mouth, age, hair, glasses, hat, mask, body.

The shape is :mod:`mmext.demo.head_model`'s for all of them; a look paints it and adds parts.
Everything that an attribute names can be seen.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mmext.demo.head_model import CRANIUM, EARS, EXPRESSIONS, EYES, FACE, MOUTHS, NOSE
from mmext.demo.shapes import VIVID
from mmext.demo.solids import Keep, PaintSolid, Part, Vector
from mmext.demo.textures import Bools, Color, Floats, Noise, between, chance, mix, rgb, tone

Rng = np.random.Generator

AGES = ('child', 'young', 'middle', 'old')
ATTRIBUTES = (
    {'name': 'glasses', 'values': ('no', 'yes'), 'kind': 'binary'},
    {'name': 'hat', 'values': ('no', 'yes'), 'kind': 'binary'},
    {'name': 'expression', 'values': EXPRESSIONS, 'kind': 'categorical'},
    {'name': 'age', 'values': AGES, 'kind': 'ordinal'},
)
"""What is known of every face that is large enough to see it."""

SKINS = (
    *((247, 214, 190), (232, 190, 160), (205, 155, 120), (170, 118, 82)),
    *((128, 84, 56), (88, 58, 42)),
)
HAIRS = ((35, 28, 25), (75, 48, 30), (125, 80, 40), (205, 165, 95), (150, 65, 35))
GREY_HAIR = (196, 194, 190)

OTHER, SKIN = 0, 1
"""Tags of the parts: face or anything else."""


class Features(NamedTuple):
    """Choices that paint the face."""

    skin: Color
    iris: Color
    brow: Color
    lips: Color
    expression: str
    age: str
    gaze: tuple[float, float]
    beard: bool
    glasses: str
    mask: Color | None


@dataclass(frozen=True)
class Look:
    """One person.

    Attributes:
        parts: the solid, faces tagged ``SKIN``.
        features: what is painted on the face; None for a head without a face (a dummy).
        has_hat: whether it wears one.
    """

    parts: tuple[Part, ...]
    features: Features | None
    has_hat: bool

    @property
    def labels(self) -> list[int]:
        """Values of ``ATTRIBUTES``; -1 for an expression behind a mask."""
        assert self.features is not None
        expression = EXPRESSIONS.index(self.features.expression)
        return [
            int(self.features.glasses != 'none'),
            int(self.has_hat),
            -1 if self.features.mask is not None else expression,
            AGES.index(self.features.age),
        ]


def draw_look(rng: Rng, **wanted: Any) -> Look:
    """A random person.

    Args:
        rng: the source of every choice.
        wanted: features that are not left to chance; the rest of the person stays the same.
    """
    features = draw_features(rng)._replace(**wanted)
    paint = face_paint(features, Noise(rng))
    plain = _plain(features.skin, Noise(rng))
    parts = [Part(*CRANIUM, paint, tag=SKIN), Part(*FACE, paint, tag=SKIN)]
    parts += [Part(*NOSE, paint, tag=SKIN), *(Part(*ear, plain) for ear in EARS)]
    parts += _hair(rng, features.age)
    has_hat = chance(rng, 0.25)
    if has_hat:
        parts += _hat(rng)
    if chance(rng, 0.85):
        parts += _body(rng, plain)
    return Look(tuple(parts), features, has_hat)


def draw_dummy(rng: Rng) -> Look:
    """A head without a face: smooth, of skin color, painted or with stripes."""
    color = tone(rng, SKINS[int(rng.integers(len(SKINS)))], (200, 180, 170), 20)
    noise = Noise(rng)
    stripes = between(rng, 2, 6) if chance(rng, 0.4) else 0.0

    def paint(points: Vector) -> Floats:
        x, y, _ = points
        shade: Floats = noise(4 * x, 4 * y) * 9 + (np.floor(stripes * y) % 2) * 45 * (stripes > 0)
        return rgb(color) + shade[..., None]

    parts = [Part(*CRANIUM, paint), Part(*FACE, paint)]
    if chance(rng, 0.4):
        parts += _hair(rng, 'young')
    if chance(rng, 0.5):
        parts += _body(rng, _plain(color, noise))
    return Look(tuple(parts), None, False)


def draw_features(rng: Rng) -> Features:
    """What is painted on the face of a random person."""
    skin = tone(rng, SKINS[int(rng.integers(len(SKINS)))], (190, 140, 110), 8)
    age = AGES[int(rng.choice((0, 1, 1, 2, 2, 3, 3)))]
    glasses = ('none', 'none', 'none', 'clear', 'dark')[int(rng.integers(5))]
    return Features(
        skin=skin,
        iris=tone(rng, (60, 40, 25), (80, 125, 165), 15),
        brow=tone(rng, (30, 22, 18), (110, 75, 40), 8) if age != 'old' else (205, 203, 200),
        lips=tone(rng, (190, 80, 80), (150, 70, 65), 15),
        expression=EXPRESSIONS[int(rng.integers(len(EXPRESSIONS)))],
        age=age,
        gaze=(between(rng, -0.03, 0.03), between(rng, -0.015, 0.015)),
        beard=age in AGES[2:] and chance(rng, 0.35),
        glasses=glasses,
        mask=tone(rng, (160, 205, 225), (235, 240, 240), 10) if chance(rng, 0.06) else None,
    )


def _plain(color: Color, noise: Noise) -> PaintSolid:
    def paint(points: Vector) -> Floats:
        x, y, _ = points
        return rgb(color) + (noise(5 * x, 5 * y) * 6)[..., None]

    return paint


def face_paint(features: Features, noise: Noise) -> PaintSolid:
    """Skin with all that lies in it; features only on the front half."""

    def paint(points: Vector) -> Floats:
        x, y, z = points
        front = z < 0
        colors: Floats = rgb(features.skin) + (noise(6 * x, 6 * y) * 7)[..., None]
        colors = _skin_marks(features, colors, x, y)
        colors = _mouth(features, colors, x, y)
        colors = _eyes(features, colors, x, y)
        if features.mask is not None:
            covered = (y > 0.16 - 0.1 * (1 - x * x)) & (y < 0.94)
            folds = 14 * (np.floor(9 * y) % 2)
            colors = np.where(covered[..., None], rgb(features.mask) - folds[..., None], colors)
        plain: Floats = rgb(features.skin) + (noise(6 * x, 6 * y) * 7)[..., None]
        return np.where(front[..., None], colors, plain)

    return paint


def _skin_marks(features: Features, colors: Floats, x: Floats, y: Floats) -> Floats:
    """Cheeks, nostrils, wrinkles of the old, a beard."""
    side = np.abs(x)
    cheek = _spot(side - 0.42, y - 0.26, 0.2, 0.16)
    colors = mix(colors, rgb(features.skin) * rgb((1.03, 0.8, 0.78)), (0.5 * cheek)[..., None])
    nostril = (side - 0.06) * (side - 0.06) + 2.5 * (y - 0.33) * (y - 0.33) < 0.0016
    if features.beard:
        jaw = (y > 0.36 + 0.3 * (0.5 - side)) & ((side > 0.2) | (y > 0.66) | (y < 0.46))
        colors = np.where(jaw[..., None], 0.35 * colors + 0.5 * rgb(features.brow), colors)
    lines = np.zeros(x.shape, np.bool_)
    if features.age in AGES[2:]:
        fold = side - 0.2 - 0.35 * (y - 0.2)
        lines |= (np.abs(fold) < 0.018) & (y > 0.2) & (y < 0.52)
    if features.age == 'old':
        forehead = np.abs(3.5 * y - np.floor(3.5 * y) - 0.5) < 0.07
        lines |= forehead & (y < -0.26) & (side < 0.42)
        crow = np.abs(np.abs(y + 0.08) - 0.35 * (side - 0.46)) < 0.018
        lines |= crow & (side > 0.48) & (side < 0.6)
    colors = np.where(lines[..., None], 0.62 * colors, colors)
    return np.where(nostril[..., None], 0.4 * colors, colors)


def _eyes(features: Features, colors: Floats, x: Floats, y: Floats) -> Floats:
    """White, iris, pupil, lid, brow, and glasses over them."""
    size = 0.165 if features.age == 'child' else 0.135
    opened = {'surprise': 0.8, 'smile': 0.45, 'frown': 0.42}.get(features.expression, 0.56)
    raised = {'surprise': 0.1, 'frown': -0.05}.get(features.expression, 0.0)
    for eye_x, eye_y in EYES:
        dx, dy = x - eye_x, y - eye_y
        inner = dx * (1 if eye_x < 0 else -1)  # towards the nose
        oval = dx * dx / (size * size) + dy * dy / (size * size * opened * opened)
        gaze_x, gaze_y = dx - features.gaze[0], dy - features.gaze[1]
        ring = gaze_x * gaze_x + gaze_y * gaze_y
        eye = np.where((ring < 0.0055)[..., None], rgb(features.iris), rgb((240, 240, 238)))
        eye = np.where((ring < 0.0014)[..., None], rgb((12, 10, 10)), eye)
        colors = np.where((oval < 1.5)[..., None], 0.55 * colors, colors)
        colors = np.where((oval < 1)[..., None], eye, colors)
        slope = 0.3 if features.expression == 'frown' else -0.12
        height = dy + 0.2 + raised - slope * inner + 0.8 * dx * dx
        thick = 0.022 if features.age == 'child' else 0.038
        brow = (np.abs(height) < thick) & (np.abs(dx) < 1.35 * size)
        colors = np.where(brow[..., None], rgb(features.brow), colors)
    return _glasses(features.glasses, colors, x, y)


def _glasses(kind: str, colors: Floats, x: Floats, y: Floats) -> Floats:
    if kind == 'none':
        return colors
    rim, bridge = np.zeros(x.shape, np.bool_), (np.abs(y + 0.12) < 0.025) & (np.abs(x) < 0.12)
    temple = (np.abs(y + 0.12) < 0.025) & (np.abs(x) > 0.46)
    for eye_x, eye_y in EYES:
        dx, dy = (x - eye_x) / 0.23, (y - eye_y) / 0.19
        distance = dx * dx * dx * dx + dy * dy * dy * dy
        if kind == 'dark':
            lens = (rgb((22, 22, 28)) + 30 * (dy < -0.3)[..., None]) * np.float32(1)
            colors = np.where((distance < 1)[..., None], lens, colors)
        rim |= (distance > 0.62) & (distance < 1.25)
    return np.where((rim | bridge | temple)[..., None], rgb((25, 22, 30)), colors)


def _mouth(features: Features, colors: Floats, x: Floats, y: Floats) -> Floats:
    """Lips along the bow, what is between them where it is open."""
    mouth = MOUTHS[features.expression]
    across = x / mouth.half_width
    arc = np.clip(1 - across * across, 0, 1)
    within = np.abs(across) < 1
    middle = mouth.y + mouth.bow * arc
    low, high = middle - mouth.gape * arc * 0.5, middle + mouth.gape * arc * 0.5
    lip = 0.018 + 0.03 * arc
    lips = within & (y > low - lip) & (y < high + lip)
    gap = within & (y > low) & (y < high) & (mouth.gape > 0)
    colors = np.where(lips[..., None], rgb(features.lips), colors)
    inside = (238, 235, 228) if features.expression == 'smile' else (60, 18, 22)
    colors = np.where(gap[..., None], rgb(inside), colors)
    closed = within & (np.abs(y - middle) < 0.012) & (mouth.gape == 0)
    return np.where(closed[..., None], rgb((70, 25, 25)), colors)


def _hair(rng: Rng, age: str) -> list[Part]:
    """A shell on the cranium cut at the hairline, perhaps long, perhaps only a fringe."""
    color = tone(rng, HAIRS[int(rng.integers(len(HAIRS)))], (60, 40, 30), 10)
    if age == 'old':
        color = tone(rng, GREY_HAIR, (235, 235, 232), 5)
    noise, line = Noise(rng), between(rng, -0.62, -0.5)
    parting = between(rng, -0.4, 0.4)
    bald, long = chance(rng, 0.45 if age == 'old' else 0.08), chance(rng, 0.4)

    def paint(points: Vector) -> Floats:
        x, y, z = points
        strands: Floats = noise(14 * x + 3 * z, 2 * y) * 22
        return rgb(color) + strands[..., None]

    def keep(points: Vector) -> Bools:
        x, y, z = points
        hairline = line + 0.35 * np.abs(x - parting) * np.abs(x - parting)
        top = (y < hairline) & ~(bald & (y < -0.35) & (z < 0.75))
        back = (z > 0.12) & (y < 0.42)
        kept: Bools = top | (back & ~(bald & (y < -0.35)))
        return kept

    centre, radii = CRANIUM
    parts = [Part(centre, (1.07 * radii[0], 1.07 * radii[1], 1.06 * radii[2]), paint, keep)]
    if long and not bald:
        drape: Keep = lambda points: (points[2] > -0.05) & (points[1] > -0.3)  # noqa: E731
        parts.append(Part((0.0, 0.22, 0.22), (0.98, between(rng, 0.9, 1.2), 0.8), paint, drape))
    return parts


def _hat(rng: Rng) -> list[Part]:
    """A cap of one vivid color with a brim, or a woollen one with stripes."""
    color = VIVID[int(rng.integers(len(VIVID)))]
    second = tone(rng, (235, 235, 230), (40, 40, 50), 10)
    woollen, edge = chance(rng, 0.5), between(rng, -0.5, -0.4)

    def paint(points: Vector) -> Floats:
        y = points[1]
        stripes = (np.floor(y / 0.14) % 2 > 0) & woollen
        return np.where(stripes[..., None], rgb(second), rgb(color))

    crown = Part((0.0, -0.36, 0.06), (0.93, 0.85, 1.04), paint, lambda p: p[1] < edge)
    if woollen:
        return [crown]
    brim = Part((0.0, edge, -0.35), (0.82, 0.06, 1.05), paint)
    return [crown, brim]


def _body(rng: Rng, skin: PaintSolid) -> list[Part]:
    """Neck and shoulders."""
    cloth = tone(rng, VIVID[int(rng.integers(len(VIVID)))], (70, 75, 90), 20)
    stripes, noise = between(rng, 0, 5) * chance(rng, 0.5), Noise(rng)

    def paint(points: Vector) -> Floats:
        x, y, _ = points
        pattern = 40 * (np.floor(stripes * y) % 2) + noise(3 * x, 3 * y) * 12
        woven: Floats = rgb(cloth) + pattern[..., None]
        return woven

    neck = Part((0.0, 1.05, 0.25), (0.36, 0.62, 0.36), skin)
    shoulders = Part((0.0, 2.35, 0.35), (1.55, 1.05, 0.75), paint)
    return [neck, shoulders]


def _spot(dx: Floats, dy: Floats, reach_x: float, reach_y: float) -> Floats:
    """1 in the middle, 0 from the rim on."""
    inside: Floats = np.clip(
        1 - dx * dx / (reach_x * reach_x) - dy * dy / (reach_y * reach_y), 0, 1
    )
    return inside
