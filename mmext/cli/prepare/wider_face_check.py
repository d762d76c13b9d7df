"""What can be wrong with the photos and faces of a WIDER FACE download."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mmext.cli.prepare.coco_check import BROKEN, MISSING, OK, Finding
from mmext.formats.wider_face_files import ImageFaces
from mmext.functional.keypoints import is_inside

_LISTED = 3
Advance = Callable[[int], None]


def describe_faces(images: Sequence[ImageFaces]) -> str:
    """Numbers of an annotation file in one line."""
    boxes = np.concatenate([image.boxes_xywh for image in images])
    landmarks = sum(int(image.visible.any(axis=1).sum()) for image in images)
    parts = [
        f'{len(images)} photos',
        f'{len(boxes)} faces',
        f'{landmarks} with landmarks',
        f'{sum(not len(image) for image in images)} photos without faces',
        f'{int((boxes[:, 2:] <= 0).any(axis=1).sum())} faces without area (left out)',
    ]
    return ', '.join(parts)


def photo_findings(
    folder: Path,
    piece: str,
    images: Sequence[ImageFaces],
    open_images: bool,
    advance: Advance,
) -> Iterator[Finding]:
    """Photos that are not there and, if they are opened, those that cannot be read."""
    lost, unreadable = [], []
    for image in images:
        path = folder / image.name
        advance(1)
        if not path.is_file():
            lost.append(image.name)
        elif open_images and (reason := _unreadable(path)):
            unreadable.append(f'{image.name} ({reason})')
    if lost:
        yield Finding(piece, MISSING, f'{len(lost)} of {len(images)} photos: {_some(lost)}')
    if unreadable:
        yield Finding(piece, BROKEN, f'{len(unreadable)} photos: {_some(unreadable)}')
    if not lost and not unreadable:
        yield Finding(piece, OK, f'{len(images)} photos')


def boxes_finding(folder: Path, piece: str, images: Sequence[ImageFaces]) -> Finding:
    """Faces whose centre, or landmarks that lie outside of their photo, by the photo's size."""
    outside, loose = [], 0
    for image in images:
        try:
            width, height = photo_size(folder / image.name)
        except OSError:
            continue  # reported already
        centres = image.boxes_xywh[:, :2] + image.boxes_xywh[:, 2:] / 2
        if not is_inside(centres, (height, width)).all():
            outside.append(image.name)
        known = image.visible > 0
        loose += int((~is_inside(image.landmarks, (height, width)) & known).sum())
    if outside:
        text = f'{len(outside)} photos with a face whose centre is outside: {_some(outside)}'
        return Finding(piece, BROKEN, f'{text}. Are these the photos of the annotation?')
    return Finding(piece, OK, f'faces are inside; {loose} landmarks outside (hidden in training)')


def sized(image: ImageFaces, folder: Path) -> ImageFaces:
    """The image with the size of its photo.

    Raises:
        FileNotFoundError: no such photo.
    """
    return dataclasses.replace(image, size=photo_size(folder / image.name))


def photo_size(path: Path) -> tuple[int, int]:
    """Width and height as the file states them; it is not decoded."""
    with Image.open(path) as photo:
        return photo.size


def _unreadable(path: Path) -> str:
    """Why a photo cannot be decoded, '' if it can."""
    try:
        with Image.open(path) as photo:
            photo.load()
    except (OSError, SyntaxError) as error:
        return str(error).partition('\n')[0]
    return ''


def _some(names: Sequence[str]) -> str:
    more = f' and {len(names) - _LISTED} more' if len(names) > _LISTED else ''
    return ', '.join(names[:_LISTED]) + more
