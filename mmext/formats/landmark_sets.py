"""The public sets of landmarks: names, mirror pairs, links, and which points are the eyes.

Points are counted from 0. Mirror pairs are those of the data sets' own annotation rules; the
outer corners of the eyes and the pupils are the points by which errors are normalized.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Pairs = tuple[tuple[int, int], ...]
PointSets = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True)
class LandmarkSet:
    """A kind of object and its points.

    Attributes:
        category: what the object is called in COCO's files.
        keypoints: names of its K points.
        flip_pairs: points that swap in mirror images.
        skeleton: pairs of points that are linked in drawings.
        ocular: the outer corners of both eyes; None without eyes.
        pupils: the points whose means are both pupils; None without.
        sigmas: of COCO's evaluation; empty where none are published.
    """

    category: str
    keypoints: tuple[str, ...]
    flip_pairs: Pairs
    skeleton: Pairs = ()
    ocular: PointSets | None = None
    pupils: PointSets | None = None
    sigmas: tuple[float, ...] = ()

    def category_line(self) -> dict[str, Any]:
        """The entry of ``categories`` in a COCO file; points of the skeleton counted from 1."""
        return dict(
            id=1,
            name=self.category,
            supercategory='person',
            keypoints=list(self.keypoints),
            skeleton=[[a + 1, b + 1] for a, b in self.skeleton],
        )

    def metainfo(self) -> dict[str, Any]:
        """What a config says of it for ``mmext.CocoKeypointDataset``."""
        known: dict[str, Any] = dict(
            classes=(self.category,),
            keypoints=self.keypoints,
            flip_pairs=self.flip_pairs,
            skeleton=self.skeleton,
        )
        return known | ({'sigmas': self.sigmas} if self.sigmas else {})


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f'point_{number}' for number in range(count))


def _across(first: int, last: int) -> Iterator[tuple[int, int]]:
    """A row of points from one side of the face to the other: pairs from the ends inwards."""
    for step in range((last - first + 1) // 2):
        yield first + step, last - step


def _facing(first: Sequence[int], second: Sequence[int]) -> Iterator[tuple[int, int]]:
    return zip(first, second, strict=True)


def _line(first: int, last: int, closed: bool = False) -> Iterator[tuple[int, int]]:
    for number in range(first, last):
        yield number, number + 1
    if closed:
        yield last, first


_FACE_68_PAIRS: Pairs = (
    *_across(0, 16),
    *_across(17, 26),
    *((31, 35), (32, 34), (36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)),
    *((48, 54), (49, 53), (50, 52), (55, 59), (56, 58), (60, 64), (61, 63), (65, 67)),
)
_FACE_68_LINKS: Pairs = (
    *_line(0, 16),
    *_line(17, 21),
    *_line(22, 26),
    *_line(27, 30),
    *_line(31, 35),
    *_line(36, 41, True),
    *_line(42, 47, True),
    *_line(48, 59, True),
    *_line(60, 67, True),
)
_FACE_98_PAIRS: Pairs = (
    *_across(0, 32),
    *_facing(range(33, 38), range(46, 41, -1)),
    *_facing(range(38, 42), range(50, 46, -1)),
    *_across(55, 59),
    *_facing((60, 61, 62, 63, 64, 65, 66, 67), (72, 71, 70, 69, 68, 75, 74, 73)),
    *_across(76, 82),
    *_facing((83, 84), (87, 86)),
    *_across(88, 92),
    *((93, 95), (96, 97)),
)
_FACE_98_LINKS: Pairs = (
    *_line(0, 32),
    *_line(33, 41, True),
    *_line(42, 50, True),
    *_line(51, 54),
    *_line(55, 59),
    *_line(60, 67, True),
    *_line(68, 75, True),
    *_line(76, 87, True),
    *_line(88, 95, True),
)
_PERSON_NAMES = (
    *('nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'left_shoulder'),
    *('right_shoulder', 'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist'),
    *('left_hip', 'right_hip', 'left_knee', 'right_knee', 'left_ankle', 'right_ankle'),
)
_PERSON_PAIRS: Pairs = tuple((number, number + 1) for number in range(1, 16, 2))
_PERSON_LINKS: Pairs = (
    *((15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6)),
    *((5, 7), (6, 8), (7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6)),
)
_PERSON_SIGMAS = (
    *(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072),
    *(0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
)
_FOOT_NAMES = tuple(
    f'{side}_{name}' for side in ('left', 'right') for name in ('big_toe', 'small_toe', 'heel')
)
_HAND_NAMES = (
    'wrist',
    *(f'{f}_{n}' for f in ('thumb', 'index', 'middle', 'ring', 'little') for n in range(1, 5)),
)
_HAND_LINKS: Pairs = tuple(
    link for root in range(1, 21, 4) for link in ((0, root), *_line(root, root + 3))
)
_MPII_NAMES = (
    *('right_ankle', 'right_knee', 'right_hip', 'left_hip', 'left_knee', 'left_ankle', 'pelvis'),
    *('thorax', 'upper_neck', 'head_top', 'right_wrist', 'right_elbow', 'right_shoulder'),
    *('left_shoulder', 'left_elbow', 'left_wrist'),
)
_LSP_NAMES = (
    *('right_ankle', 'right_knee', 'right_hip', 'left_hip', 'left_knee', 'left_ankle'),
    *('right_wrist', 'right_elbow', 'right_shoulder', 'left_shoulder', 'left_elbow'),
    *('left_wrist', 'neck', 'head_top'),
)
FEET_AT, FACE_AT, LEFT_HAND_AT, RIGHT_HAND_AT, WHOLE_BODY = 17, 23, 91, 112, 133
"""Where the parts of COCO's whole body begin, and how many points it has."""


def _moved(pairs: Pairs, by: int) -> Iterator[tuple[int, int]]:
    return ((a + by, b + by) for a, b in pairs)


LANDMARK_SETS = {
    'face_5': LandmarkSet(
        'face',
        ('left_eye', 'right_eye', 'nose', 'left_mouth', 'right_mouth'),
        ((0, 1), (3, 4)),
        ((0, 1), (0, 2), (1, 2), (2, 3), (2, 4), (3, 4)),
        pupils=((0,), (1,)),
    ),
    'aflw': LandmarkSet(
        'face',
        _numbered(19),
        ((0, 5), (1, 4), (2, 3), (6, 11), (7, 10), (8, 9), (12, 14), (15, 17)),
        (*_line(0, 2), *_line(3, 5), *_line(6, 8), *_line(9, 11), *_line(12, 14), *_line(15, 17)),
        ocular=((6,), (11,)),
        pupils=((7,), (10,)),
    ),
    'cofw': LandmarkSet(
        'face',
        _numbered(29),
        (
            *((0, 1), (2, 3), (4, 6), (5, 7), (8, 9), (10, 11), (12, 14), (13, 15)),
            *((16, 17), (18, 19), (22, 23)),
        ),
        (
            *((0, 4), (4, 2), (2, 5), (5, 0), (1, 6), (6, 3), (3, 7), (7, 1)),
            *((8, 12), (12, 10), (10, 13), (13, 8), (9, 14), (14, 11), (11, 15), (15, 9)),
            *((18, 21), (21, 19), (20, 21), (22, 24), (24, 23), (22, 27), (27, 23)),
        ),
        ocular=((8,), (9,)),
        pupils=((16,), (17,)),
    ),
    '300w': LandmarkSet(
        'face',
        _numbered(68),
        _FACE_68_PAIRS,
        _FACE_68_LINKS,
        ocular=((36,), (45,)),
        pupils=(tuple(range(36, 42)), tuple(range(42, 48))),
    ),
    'wflw': LandmarkSet(
        'face',
        _numbered(98),
        _FACE_98_PAIRS,
        _FACE_98_LINKS,
        ocular=((60,), (72,)),
        pupils=((96,), (97,)),
    ),
    'coco': LandmarkSet(
        'person', _PERSON_NAMES, _PERSON_PAIRS, _PERSON_LINKS, sigmas=_PERSON_SIGMAS
    ),
    'coco_feet': LandmarkSet(
        'feet', _FOOT_NAMES, ((0, 3), (1, 4), (2, 5)), ((0, 2), (1, 2), (3, 5), (4, 5))
    ),
    'coco_hand': LandmarkSet('hand', _HAND_NAMES, (), _HAND_LINKS),
    'coco_wholebody': LandmarkSet(
        'person',
        (
            *_PERSON_NAMES,
            *_FOOT_NAMES,
            *(f'face_{number}' for number in range(68)),
            *(f'left_{name}' if name != 'wrist' else 'left_hand_root' for name in _HAND_NAMES),
            *(f'right_{name}' if name != 'wrist' else 'right_hand_root' for name in _HAND_NAMES),
        ),
        (
            *_PERSON_PAIRS,
            *_facing(range(17, 20), range(20, 23)),
            *_moved(_FACE_68_PAIRS, FACE_AT),
            *_facing(range(LEFT_HAND_AT, RIGHT_HAND_AT), range(RIGHT_HAND_AT, WHOLE_BODY)),
        ),
        (
            *_PERSON_LINKS,
            *((15, 17), (15, 18), (15, 19), (16, 20), (16, 21), (16, 22)),
            *_moved(_FACE_68_LINKS, FACE_AT),
            *_moved(_HAND_LINKS, LEFT_HAND_AT),
            *_moved(_HAND_LINKS, RIGHT_HAND_AT),
        ),
    ),
    'mpii': LandmarkSet(
        'person',
        _MPII_NAMES,
        ((0, 5), (1, 4), (2, 3), (10, 15), (11, 14), (12, 13)),
        (
            *((0, 1), (1, 2), (2, 6), (6, 3), (3, 4), (4, 5), (6, 7), (7, 8), (8, 9)),
            *((10, 11), (11, 12), (12, 7), (7, 13), (13, 14), (14, 15)),
        ),
    ),
    'lsp': LandmarkSet(
        'person',
        _LSP_NAMES,
        ((0, 5), (1, 4), (2, 3), (6, 11), (7, 10), (8, 9)),
        (
            *((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (2, 8), (3, 9), (8, 9)),
            *((6, 7), (7, 8), (9, 10), (10, 11), (12, 13), (8, 12), (9, 12)),
        ),
    ),
}


def eyes_of(num_points: int) -> LandmarkSet | None:
    """The set of faces with that many points, None if there is none."""
    found = [s for s in LANDMARK_SETS.values() if s.pupils and len(s.keypoints) == num_points]
    return found[0] if found else None
