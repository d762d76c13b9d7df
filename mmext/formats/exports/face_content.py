"""Labeled photos as faces in a form of WIDER FACE (``labelv2``), with their five landmarks."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmext.errors import InputError
from mmext.formats.exports.labeled import Export, LabeledObject, LabeledPhoto, PointTable
from mmext.formats.wider_face_files import LANDMARK_NAMES, NUM_LANDMARKS, ImageFaces


def faces_of(
    export: Export,
    photos: Sequence[LabeledPhoto],
    points: dict[str, PointTable],
    root: Path,
) -> list[ImageFaces]:
    """The faces of each photo; every object is one, whatever its class is called.

    Args:
        export: counts faces without a size.
        photos: those to write.
        points: the key points of each class: the five landmarks by their names, or five others
            in the order of the landmarks.
        root: file names are relative to it.

    Raises:
        InputError: the points of a class are not the five landmarks.
    """
    orders = {name: _landmarks(name, table) for name, table in points.items()}
    return [_faces(export, photo, orders, root) for photo in photos]


def _landmarks(name: str, table: PointTable) -> tuple[str, ...]:
    """The class' names of the five landmarks, in their order."""
    if set(LANDMARK_NAMES) <= set(table.names):
        return LANDMARK_NAMES
    if len(table.names) != NUM_LANDMARKS:
        raise InputError(
            f'points of {name}: a face has {", ".join(LANDMARK_NAMES)}, got '
            f'{list(table.names)[:8]}; name five in that order with --points'
        )
    return table.names


def _faces(
    export: Export, photo: LabeledPhoto, orders: dict[str, tuple[str, ...]], root: Path
) -> ImageFaces:
    faces = []
    for labeled in photo.objects:
        if min(labeled.box_xywh[2:]) > 0:
            faces.append(labeled)
        else:
            export.leave_out('faces without a size')
    points = np.array([_points(face, orders.get(face.name, ())) for face in faces], float)
    points = points.reshape(-1, NUM_LANDMARKS, 3)
    return ImageFaces(
        Path(os.path.relpath(photo.path, root)).as_posix(),
        boxes_xywh=np.array([face.box_xywh for face in faces], float).reshape(-1, 4),
        landmarks=points[..., :2],
        visible=points[..., 2].astype(int),
        ignored=np.array([face.ignored for face in faces], bool),
        size=photo.size_wh,
    )


def _points(face: LabeledObject, order: tuple[str, ...]) -> list[tuple[float, float, float]]:
    """x, y and visibility of each landmark; zeros for what is not labeled."""
    if not order:
        return [(0.0, 0.0, 0.0)] * NUM_LANDMARKS
    found = (face.points.get(name) for name in order)
    return [
        (0.0, 0.0, 0.0) if point is None or not point.visibility else tuple(map(float, point))  # type: ignore[misc]
        for point in found
    ]
