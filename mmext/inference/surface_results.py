"""Surfaces of persons as files, and the atlas that dresses them.

Of a picture ``NAME.jpg`` (the second one of a name has its suffix as well, as ``NAME.png.npz``)::

    NAME.npz    surface_0, surface_1, … [3, h, w] uint8: part, U and V times 255; boxes [n, 4]:
                x, y, w, h in whole px; scores [n]
    NAME.png    the whole picture as RGB: part, U and V times 255; of two persons the better scored
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from mmext.drawing.surfaces import ATLAS_COLUMNS, ATLAS_ROWS
from mmext.errors import InputError, MissingFileError
from mmext.functional.surface_pasting import paste_surfaces
from mmext.inference.media import Frame
from mmext.inference.output_places import writing


def write_surfaces(target: Path, frame: Frame, instances: Any) -> None:
    """Write the surfaces of one picture.

    Args:
        target: both files but for ``.npz`` and ``.png``; its folder is made.
        frame: the picture.
        instances: ``pred_instances`` with ``surface``, ``surface_boxes`` and ``scores``.

    Raises:
        InputError: they cannot be written.
    """
    boxes, scores = (np.asarray(instances[key].cpu()) for key in ('surface_boxes', 'scores'))
    surfaces = list(instances.surface)
    height, width = frame.image.shape[:2]
    whole = paste_surfaces(surfaces, boxes, (height, width), scores)
    rgb = [whole.part, *(np.rint(255 * values).astype(np.uint8) for values in (whole.u, whole.v))]
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        numbered: dict[str, Any] = {f'surface_{n}': each for n, each in enumerate(surfaces)}
        np.savez_compressed(f'{target}.npz', boxes=boxes, scores=scores, **numbered)
        Image.fromarray(np.stack(rgb, axis=2)).save(f'{target}.png')


def read_texture(path: Path) -> npt.NDArray[np.uint8]:
    """The atlas in an image file, RGB ``[6 s, 4 s, 3]``.

    Raises:
        MissingFileError: no such file.
        InputError: it is no image, or has other proportions.
    """
    if not path.is_file():
        raise MissingFileError(f'--texture: nothing at {path.absolute()}')
    try:
        with Image.open(path) as picture:
            atlas = np.asarray(picture.convert('RGB'))
    except OSError as error:
        raise InputError(f'--texture: {path} cannot be read as an image ({error})') from None
    height, width = atlas.shape[:2]
    if height % ATLAS_ROWS or width * ATLAS_ROWS != height * ATLAS_COLUMNS:
        raise InputError(
            f'--texture: {path} has {width} x {height} px; expected {ATLAS_ROWS} rows of '
            f'{ATLAS_COLUMNS} square tiles, as 800 x 1200 px'
        )
    return atlas
