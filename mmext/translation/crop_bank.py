"""Crops of single objects with their masks, in one file, real ones or made ones.

A crop's colors are mixed with gray where its mask is below 1, so that it is laid over another
picture without a division. Shape legend: n crops of S x S px.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mmext.errors import InputError, MissingFileError

Bytes = NDArray[np.uint8]

GRAY = 128.0
"""What crops show around their object, by the share that the mask leaves."""


@dataclass(frozen=True)
class CropBank:
    """Crops and what they are of.

    Attributes:
        crops: ``[n, S, S, 4]`` uint8: red, green, blue, and the mask from 0 to 255.
        labels: ``[n]``, positions in ``classes``.
        classes: names.
    """

    crops: Bytes
    labels: NDArray[np.int64]
    classes: tuple[str, ...]

    def of_classes(self, names: Sequence[str]) -> 'CropBank':
        """The crops of these classes alone.

        Raises:
            InputError: a class that is not in the bank, or of which it has no crop.
        """
        missing = [name for name in names if name not in self.classes]
        if missing:
            raise InputError(f'no class {missing[0]!r} among those of the crops {self.classes}')
        wanted = [self.classes.index(name) for name in names]
        for name, label in zip(names, wanted, strict=True):
            if label not in self.labels:
                raise InputError(f'no crop of {name!r} in the bank of {len(self.labels)} crops')
        kept = np.isin(self.labels, wanted)
        return CropBank(self.crops[kept], self.labels[kept], self.classes)


def write_crops(path: str | Path, bank: CropBank) -> None:
    """Write crops to an ``.npz``."""
    np.savez_compressed(
        path, crops=bank.crops, labels=bank.labels, classes=np.asarray(bank.classes)
    )


def read_crops(path: str | Path) -> CropBank:
    """Read crops.

    Raises:
        MissingFileError: no file there.
        InputError: it holds something else.
    """
    if not Path(path).is_file():
        raise MissingFileError(f'no crops at {Path(path).absolute()}; write them with mmext crops')
    try:
        with np.load(path, allow_pickle=False) as file:
            crops, labels, classes = file['crops'], file['labels'], file['classes']
    except Exception as error:
        raise InputError(f'{path} holds no crops: {error}') from error
    sizes = crops.shape[1:]
    if crops.dtype != np.uint8 or len(sizes) != 3 or sizes[2] != 4 or len(crops) != len(labels):
        raise InputError(
            f'{path}: crops {crops.dtype} {crops.shape} and {len(labels)} labels; expected uint8 '
            '[n, S, S, 4] and n labels'
        )
    if len(labels) and not (labels.min() >= 0 and labels.max() < len(classes)):
        raise InputError(f'{path}: labels up to {labels.max()} and {len(classes)} classes')
    return CropBank(crops, labels.astype(np.int64), tuple(map(str, classes)))


def cut_out(
    image: Bytes, mask: Bytes, box_xyxy: Sequence[float], size: int, margin: float = 0.08
) -> Bytes:
    """The square around a box, at another size; what is not of the object is gray.

    Args:
        image: RGB ``[h, w, 3]``.
        mask: of the object, ``[h, w]``, 0 or 1.
        box_xyxy: px.
        size: S.
        margin: around the longer side, as a share of it.

    Returns:
        ``[S, S, 4]``.
    """
    x1, y1, x2, y2 = box_xyxy
    side = max(round(max(x2 - x1, y2 - y1) * (1 + 2 * margin)), 1)
    left, top = round((x1 + x2 - side) / 2), round((y1 + y2 - side) / 2)
    height, width = mask.shape
    window = np.zeros((side, side, 4), np.float32)
    rows = slice(max(top, 0), min(top + side, height))
    columns = slice(max(left, 0), min(left + side, width))
    seen = mask[rows, columns, None].astype(np.float32)
    inside = window[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    inside[...] = np.concatenate([seen * image[rows, columns], 255 * seen], 2)
    scaling = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    small = cv2.resize(window, (size, size), interpolation=scaling)
    alpha = small[..., 3:]
    colors = small[..., :3] + GRAY * (1 - alpha / 255)
    return np.clip(np.concatenate([colors, alpha], 2) + 0.5, 0, 255).astype(np.uint8)


def pasted(image: Bytes, crop: Bytes, left: int, top: int) -> tuple[Bytes, NDArray[np.bool_]]:
    """A picture with a crop over it.

    Args:
        image: RGB ``[h, w, 3]``, which stays as it is.
        crop: ``[s, s, 4]``; what of it is outside of the picture is cut off.
        left: px, may be negative.
        top: likewise.

    Returns:
        The picture, and the pixels that the object covers by half or more, ``[h, w]``.
    """
    height, width = image.shape[:2]
    side = len(crop)
    rows = slice(max(top, 0), min(top + side, height))
    columns = slice(max(left, 0), min(left + side, width))
    covered = np.zeros((height, width), bool)
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return image.copy(), covered
    part = crop[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    alpha = part[..., 3:].astype(np.float32) / 255
    under = image[rows, columns].astype(np.float32)
    mixed = part[..., :3] - GRAY * (1 - alpha) + under * (1 - alpha)
    result = image.copy()
    result[rows, columns] = np.clip(mixed + 0.5, 0, 255)
    covered[rows, columns] = alpha[..., 0] >= 0.5
    return result, covered
