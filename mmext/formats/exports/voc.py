"""Pascal VOC: an XML file for each photo, boxes in pixels that begin at 1 and include their end."""

from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, parse

from mmext.errors import InputError
from mmext.formats.exports.labeled import (
    Export,
    LabeledObject,
    LabeledPhoto,
    find_photo,
    shown_size,
)
from mmext.formats.text_files import read_text

_PHOTOS, _LABELS, _SPLITS = 'JPEGImages', 'Annotations', 'ImageSets/Main'


def read(source: Path, split: str, photos: Path | None = None) -> Export:
    """Read the XML files of a folder.

    Args:
        source: a folder with ``Annotations``, or with the XML files themselves.
        split: takes the photos that ``ImageSets/Main/SPLIT.txt`` lists, where there is one.
        photos: folder of the photos; None: ``JPEGImages``, or beside the XML files.

    Raises:
        InputError: a file is missing or wrong.
    """
    labels = source / _LABELS if (source / _LABELS).is_dir() else source
    files = sorted(labels.rglob('*.xml'))
    listed = source / _SPLITS / f'{split}.txt'
    if listed.is_file():
        lines = read_text(listed).splitlines()
        wanted = {line.split()[0] for line in lines if line.split()}
        files = [file for file in files if file.stem in wanted]
    if not files:
        raise InputError(f'{labels}: no XML files of Pascal VOC')
    export = Export()
    for file in files:
        root = _root(file)
        name = root.findtext('filename') or file.stem
        folders = [photos] if photos else [source / _PHOTOS, file.parent, source]
        path = find_photo(name, *folders) or _beside(file, folders)
        if path is None:
            export.leave_out('XML files without a photo')
            continue
        objects = [_object(element, file) for element in root.iter('object')]
        export.photos.append(LabeledPhoto(path, shown_size(path), objects))
    return export


def _root(file: Path) -> Element:
    try:
        return parse(file).getroot()
    except (OSError, ParseError) as error:
        raise InputError(f'{file}: no XML ({error})') from error


def _beside(file: Path, folders: list[Path]) -> Path | None:
    """A photo of the same name as the XML file; tools forget to rename what is inside."""
    for folder in folders:
        for suffix in ('.jpg', '.jpeg', '.png'):
            if (path := folder / f'{file.stem}{suffix}').is_file():
                return path
    return None


def _object(element: Element, file: Path) -> LabeledObject:
    name = (element.findtext('name') or '').strip()
    box = element.find('bndbox')
    try:
        left, top, right, bottom = (
            float((box.findtext(key) if box is not None else None) or '')
            for key in ('xmin', 'ymin', 'xmax', 'ymax')
        )
    except ValueError:
        raise InputError(f'{file}: object {name!r}: no bndbox of four numbers') from None
    if not name:
        raise InputError(f'{file}: an object has no name')
    xywh = (left - 1, top - 1, right - left + 1, bottom - top + 1)
    return LabeledObject(name, xywh, ignored=(element.findtext('difficult') or '0').strip() == '1')
