"""Photos of the other domain: found in a folder or a COCO file, read small."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mmext.errors import InputError, MissingFileError
from mmext.formats.json_files import read_json
from mmext.formats.picture_files import pictures_below

LONG_SIDE = 512
"""Pictures are measured at this size: colors do not change with it, JPEG is read faster."""


def find_pictures(reference: str | Path, root: str | Path | None = None) -> list[Path]:
    """The pictures of a folder and its subfolders, or those that a COCO file names; in order.

    Args:
        reference: a folder, or a JSON file with ``images``, each with a ``file_name``.
        root: folder of the file names; None is the folder of the JSON file.

    Raises:
        MissingFileError: nothing is there, or a named picture is not.
        InputError: there is no picture, or the file is not COCO's.
    """
    place = Path(reference)
    if place.is_dir():
        return pictures_below(place)
    if not place.is_file():
        raise MissingFileError(
            f'{place}: no such folder or file; `reference` names a folder of photos or a COCO file'
        )
    found = [Path(root or place.parent) / name for name in _file_names(place)]
    missing = [path for path in found if not path.is_file()]
    if missing:
        raise MissingFileError(
            f'{place}: {len(missing)} of {len(found)} pictures are missing, the first is '
            f'{missing[0]}; name their folder by `reference_root`'
        )
    return found


def read_small(path: Path) -> NDArray[np.uint8]:
    """A picture of at most 512 pixels a side, uint8 BGR ``[H, W, 3]``.

    Raises:
        InputError: the file cannot be read as a picture.
    """
    try:
        with Image.open(path) as image:
            image.draft('RGB', (LONG_SIDE, LONG_SIDE))
            small = image.convert('RGB')
            small.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.BOX)
    except (OSError, UnidentifiedImageError) as error:
        raise InputError(f'{path}: cannot be read as a picture ({error})') from error
    return np.ascontiguousarray(np.asarray(small)[..., ::-1])


def _file_names(file: Path) -> list[str]:
    content = read_json(file)
    try:
        names = [str(image['file_name']) for image in content['images']]
    except (KeyError, TypeError) as error:
        raise InputError(f'{file}: no COCO file with `images` of a `file_name`') from error
    if not names:
        raise InputError(f'{file}: `images` is empty')
    return names
