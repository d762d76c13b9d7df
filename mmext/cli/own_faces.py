"""A config for RetinaFace on one's own faces."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmext.configuration import walk
from mmext.errors import InputError
from mmext.formats.wider_face_files import read_faces

CLASSES = ('face',)


def is_face_file(file: Path) -> bool:
    """Whether a file has faces in a form of WIDER FACE: those are texts, COCO's are JSON."""
    return file.suffix.lower() == '.txt'


def finds_faces(model: Mapping[str, Any]) -> bool:
    """Whether a model is a RetinaFace."""
    return str(model.get('type')).rpartition('.')[2] == 'RetinaFace'


def dataset(loader: Mapping[str, Any], file: Path, photos: Path) -> dict[str, Any]:
    """What of a data set changes.

    Raises:
        InputError: the file has no faces in a form of WIDER FACE.
    """
    read_faces(file)
    own: dict[str, Any] = dict(data_root='', ann_file=str(file), data_prefix=dict(img=f'{photos}/'))
    for _, part in walk(loader):
        for key in ('details_file', 'attribute_file'):
            if part.get(key):
                own[key] = ''
    return own


def check_heads(base: str, model: Mapping[str, Any]) -> None:
    """Look whether a RetinaFace learns what such files have: boxes and landmarks.

    Raises:
        InputError: it has heads for attributes or a mesh as well.
    """
    head = model.get('bbox_head') or {}
    if more := [key for key in ('attributes', 'mesh') if head.get(key)]:
        raise InputError(
            f'{base} learns {" and ".join(more)} as well, which such files do not have: take '
            'retinaface, or write a details_file and the config by hand'
        )


def evaluators(files: tuple[Path, Path]) -> list[dict[str, Any]]:
    """AP of faces, and the error of landmarks where the second file has some."""
    has_landmarks = any((faces.visible > 0).any() for faces in read_faces(files[1]))
    landmarks = [dict(type='mmext.LandmarkNMEMetric')] if has_landmarks else []
    return [dict(type='mmext.WiderFaceMetric', count_empty=True), *landmarks]
