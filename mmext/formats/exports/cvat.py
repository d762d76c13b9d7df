"""CVAT for images 1.1: one XML file, with boxes, polygons and masks in pixels."""

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, iterparse

from mmext.errors import InputError
from mmext.formats.exports.labeled import (
    Export,
    LabeledObject,
    LabeledPhoto,
    find_photo,
    shown_size,
)


def read(source: Path, split: str, photos: Path | None = None) -> Export:
    """Read the file.

    Args:
        source: ``annotations.xml``, or the folder that it is in.
        split: takes the photos of the subset of this name, where the file names subsets.
        photos: folder of the photos; None: ``images`` beside the file, or its folder.

    Raises:
        InputError: the file is missing or wrong, or of a video.
    """
    file = source / 'annotations.xml' if source.is_dir() else source
    folders = [photos] if photos else [file.parent / 'images', file.parent]
    elements = list(_images(file))
    subsets = {element.get('subset') for element in elements} - {None}
    if len(subsets) > 1 and any(_same(subset, split) for subset in subsets):
        elements = [each for each in elements if _same(each.get('subset'), split)]
    export = Export()
    for element in elements:
        path = find_photo(element.get('name') or '', *folders)
        if path is None:
            export.leave_out('images of the file without a photo')
            continue
        objects = [found for each in element if (found := _object(each, file, export)) is not None]
        export.photos.append(LabeledPhoto(path, shown_size(path), objects))
    return export


def _images(file: Path) -> Iterator[Element]:
    try:
        for _, element in iterparse(file):
            if element.tag == 'track':
                raise InputError(
                    f'{file}: tracks of a video; export it as "CVAT for images 1.1" with its frames'
                )
            if element.tag == 'image':
                yield element
    except (OSError, ParseError) as error:
        raise InputError(f'{file}: no XML file of CVAT ({error})') from error


def _same(subset: str | None, split: str) -> bool:
    name = (subset or '').lower()
    return name == split or (split == 'val' and name in ('valid', 'validation'))


def _object(element: Element, file: Path, export: Export) -> LabeledObject | None:
    name = element.get('label') or ''
    try:
        if element.tag == 'box' and float(element.get('rotation') or 0) == 0:
            left, top, right, bottom = (
                float(element.get(key) or '') for key in ('xtl', 'ytl', 'xbr', 'ybr')
            )
            return LabeledObject(name, (left, top, right - left, bottom - top))
        if element.tag == 'polygon':
            corners = (element.get('points') or '').replace(';', ',').split(',')
            return LabeledObject.of_polygon(name, [float(value) for value in corners])
    except ValueError:
        raise InputError(f'{file}: a {element.tag} of {name!r}: expected numbers') from None
    if element.get('label'):
        export.leave_out(f'shapes of the kind {element.tag}')
    return None
