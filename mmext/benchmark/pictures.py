"""The pictures that all models of a run see, and the objects on them for training steps.

Latency is measured on the files of a folder or, without one, on generated landscapes of COCO's
usual size. Training steps always take generated landscapes: their ground truth is the same for
every model and needs no data set.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from mmext.demo.categories import CATEGORIES
from mmext.demo.panoptic import draw_scene, scene_segments
from mmext.demo.scene import photograph, segment
from mmext.errors import InputError
from mmext.formats.picture_files import IMAGE_SUFFIXES

SIZE_PX = (640, 480)  # width and height that most of COCO's photos have
NUM_THINGS = sum(category.isthing for category in CATEGORIES)
_JPEG_QUALITY = 95


class Objects(NamedTuple):
    """The ground truth of a picture.

    Attributes:
        masks: ``[n, H, W]``, uint8 0 or 1, n at least 1.
        labels: ``[n]``, int64 from 0, thing classes.
        stuff: ``[H, W]``, int64 from 0, stuff classes; -1 elsewhere.
    """

    masks: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    stuff: npt.NDArray[np.int64]


def find_pictures(folder: str, count: int) -> list[Path]:
    """The first ``count`` images of a folder, by name; fewer are repeated.

    Raises:
        InputError: there is no image.
    """
    path = Path(folder).expanduser()
    files = sorted(file for file in path.rglob('*') if file.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise InputError(f'--images: no images in {path.absolute()}')
    return [files[i % len(files)] for i in range(count)]


def write_pictures(folder: Path, count: int) -> list[Path]:
    """Generated pictures as JPEG files; those that are there already are taken."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f'{number:04d}.jpg' for number in range(count)]
    for number, file in enumerate(files):
        if not file.exists():
            rgb = photograph(draw_scene(0, 'val', _scene_number(number), SIZE_PX))
            coded = cv2.imencode('.jpg', rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
            file.write_bytes(coded[1].tobytes())
    return files


@cache
def picture_objects(number: int) -> Objects:
    """What is on the generated picture ``number``."""
    scene = draw_scene(0, 'val', _scene_number(number), SIZE_PX)
    keys, segments = segment(scene), scene_segments(scene)
    things = [
        key
        for key, found in segments.items()
        if found.label < NUM_THINGS and not found.is_crowd and (keys == key).any()
    ]
    stuff = np.full(keys.shape, -1, np.int64)
    for key, found in segments.items():
        if found.label >= NUM_THINGS:
            stuff[keys == key] = found.label - NUM_THINGS
    masks = np.stack([keys == key for key in things]).astype(np.uint8)
    return Objects(masks, np.array([segments[key].label for key in things], np.int64), stuff)


def describe(files: Sequence[Path]) -> str:
    """Number and sizes of the pictures."""
    shapes = [np.asarray(cv2.imread(str(file))).shape for file in files]
    sizes = sorted({f'{width}x{height}' for height, width, _ in shapes})
    shown = ', '.join(sizes[:3]) + (', …' if len(sizes) > 3 else '')
    return f'{len(files)} of {shown} px'


def _scene_number(number: int) -> int:
    """Leaves out the places of the cycle that have crowds or no things at all."""
    return number // 2 * 20 + 9 + number % 2
