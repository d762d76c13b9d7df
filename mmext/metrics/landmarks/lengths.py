"""The length by which errors of an object are divided: of its box, between its eyes, of its head.

Published tables differ in it: errors by the distance of the pupils are 1.4 times those by the
distance of the outer corners of the eyes. So the name of the normalizer belongs to every number.

Shapes: N objects, K points.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmext.errors import InputError
from mmext.formats.landmark_sets import PointSets, eyes_of

Floats = NDArray[np.floating[Any]]
Normalizer = str | Sequence[int] | Sequence[Sequence[int]]
Resolved = str | PointSets

BOX_NORMALIZERS = ('box_size', 'box_diagonal', 'box_height', 'box_width', 'box_longer')
EYE_NORMALIZERS = ('inter_ocular', 'inter_pupil')
HEAD, TORSO = 'head', 'torso'
HEAD_SHARE = 0.6
"""PCKh divides by this share of the head's diagonal (Andriluka et al., CVPR 2014, its code)."""


def check_normalizer(normalizer: Normalizer, others: Sequence[str] = ()) -> Resolved:
    """A name, or two sets of points; a point stands for itself.

    Args:
        normalizer: as the user states it.
        others: names that are known besides those of boxes and eyes.

    Raises:
        InputError: anything else.
    """
    names = (*BOX_NORMALIZERS, *EYE_NORMALIZERS, *others)
    if isinstance(normalizer, str):
        if normalizer in names:
            return normalizer
    elif len(normalizer) == 2:
        first, second = (
            (int(side),) if isinstance(side, int | np.integer) else tuple(int(p) for p in side)
            for side in normalizer
        )
        if first and second:
            return first, second
    raise InputError(
        f'normalizer: expected one of {names}, two points or two sets of points, got {normalizer!r}'
    )


def resolve_normalizer(
    normalizer: Resolved, num_points: int, names: Sequence[str] = ()
) -> Resolved:
    """Names of eyes and of the torso as the points that they are.

    Args:
        normalizer: of :func:`check_normalizer`.
        num_points: K; tells which public set of faces it is.
        names: of the points, for the torso.

    Raises:
        InputError: no such points are known.
    """
    if normalizer == TORSO:
        ends = 'left_shoulder', 'right_hip'
        if not set(ends) <= set(names):
            raise InputError(
                f"normalizer: 'torso' needs points named {' and '.join(ends)} in the data set's "
                'metainfo; state two points instead'
            )
        first, second = (list(names).index(name) for name in ends)
        return (first,), (second,)
    if normalizer in EYE_NORMALIZERS:
        eyes = eyes_of(num_points)
        found = None
        if eyes is not None:
            found = eyes.ocular if normalizer == 'inter_ocular' else eyes.pupils
        if found is None:
            raise InputError(
                f'normalizer: {normalizer!r} is not known for {num_points} points; state two '
                'points or two sets of points, as ((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, '
                '47)) for the pupils of 68'
            )
        return found
    if not isinstance(normalizer, str):
        wrong = [p for side in normalizer for p in side if not 0 <= p < num_points]
        if wrong:
            raise InputError(f'normalizer: expected points 0 to {num_points - 1}, got {normalizer}')
    return normalizer


def describe_normalizer(normalizer: Resolved) -> str:
    """What the errors are divided by, in words.

    >>> describe_normalizer(((36,), (45,))), describe_normalizer('box_size')
    ('distance of points 36 and 45', 'box_size')
    """
    if isinstance(normalizer, str):
        return normalizer
    if all(len(side) == 1 for side in normalizer):
        return f'distance of points {normalizer[0][0]} and {normalizer[1][0]}'
    first, second = (', '.join(map(str, side)) for side in normalizer)
    return f'distance of the means of points {first} and {second}'


def object_lengths(
    normalizer: Normalizer,
    boxes_xyxy: Floats,
    points: Floats,
    visible: Floats,
    heads_xyxy: Floats | None = None,
) -> Floats:
    """The length of each object, ``[N]``; nan where it has none.

    Args:
        normalizer: ``'box_size'`` (root of the area), ``'box_diagonal'``, ``'box_height'``,
            ``'box_width'``, ``'box_longer'``; ``'inter_ocular'``, ``'inter_pupil'``; two points
            or two sets of points between whose means it is; ``'head'``: 0.6 of the diagonal of the
            head's box.
        boxes_xyxy: ``[N, 4]``.
        points: ``[N, K, 2]``.
        visible: ``[N, K]``, 0 = not annotated.
        heads_xyxy: ``[N, 4]``, nan for objects without.

    Raises:
        InputError: an unknown normalizer or point.
    """
    checked = check_normalizer(normalizer, (HEAD,))
    resolved = resolve_normalizer(checked, points.shape[1])
    if isinstance(resolved, str):
        lengths = _box_lengths(resolved, boxes_xyxy, heads_xyxy)
    else:
        ends = [points[:, list(side)].mean(axis=1) for side in resolved]
        lengths = np.linalg.norm(ends[0] - ends[1], axis=1)
        known = [(visible[:, list(side)] > 0).all(axis=1) for side in resolved]
        lengths = np.where(known[0] & known[1], lengths, 0)
    return np.where(lengths > 0, lengths, np.nan)


face_lengths = object_lengths  # its name until version 0.2


def _box_lengths(name: str, boxes_xyxy: Floats, heads_xyxy: Floats | None) -> Floats:
    if name == HEAD:
        if heads_xyxy is None:
            return np.full(len(boxes_xyxy), np.nan)
        width, height = heads_xyxy[:, 2] - heads_xyxy[:, 0], heads_xyxy[:, 3] - heads_xyxy[:, 1]
        return np.asarray(HEAD_SHARE * np.hypot(width, height))
    width, height = (np.clip(boxes_xyxy[:, 2 + i] - boxes_xyxy[:, i], 0, None) for i in range(2))
    lengths = {
        'box_size': np.sqrt(width * height),
        'box_diagonal': np.hypot(width, height),
        'box_height': height,
        'box_width': width,
        'box_longer': np.maximum(width, height),
    }
    return lengths[name]
