"""Are the photos of one's own files below the folder that is named?"""

import os
from itertools import chain, islice
from pathlib import Path

from mmext.cli.own_faces import is_face_file
from mmext.errors import InputError
from mmext.formats.json_files import parse_json
from mmext.formats.misnamed_files import missing_photo
from mmext.formats.wider_face_files import read_faces

_MOST_FOLDERS = 1000  # that are looked through for the one that is meant


def check_photos(file: Path, photos: Path) -> None:
    """Look for the first photo of a file.

    Args:
        file: COCO instances or panoptic, or a text of faces.
        photos: folder that its file names are relative to.

    Raises:
        InputError: it is not there; if another folder has it, that is named.
    """
    if is_face_file(file):
        names = [faces.name for faces in read_faces(file)[:1]]
    else:
        images = parse_json(file.read_bytes(), str(file)).get('images') or []
        names = [image['file_name'] for image in images[:1]]
    for name in names:
        path = photos / name
        if path.is_file():
            return
        meant = _folder_of(name, photos)
        advice = (
            missing_photo(str(path), str(photos), of_folder='--photos')
            if meant is None
            else f'it is below another folder: --photos {meant}'
        )
        raise InputError(f'{file}: no photo at {path}; {advice}')


def _folder_of(name: str, photos: Path) -> Path | None:
    """A folder above or below, relative to which a name is that of a photo."""
    below = (Path(root) for root, _, _ in os.walk(photos))
    folders = islice(chain(photos.parents, below), _MOST_FOLDERS)
    return next((folder for folder in folders if (folder / name).is_file()), None)
