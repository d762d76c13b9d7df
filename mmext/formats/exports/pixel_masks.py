"""Masks that were painted, as CVAT, Label Studio and LabelMe write them, as run-length codes.

Shapes: h, w of a mask; H, W of its photo. Sources: CVAT's XML format ("mask" of "CVAT for images
1.1": rows of the mask's box, runs of 0 and 1 in turns), Label Studio's brush (the bit stream of
https://github.com/thi-ng/umbrella, package rle-pack, of all RGBA bytes of the photo; the fourth
says what is painted), LabelMe's ``mask`` shapes (a PNG of the box, base64).
"""

import base64
import binascii
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pycocotools import mask as run_lengths

RunLengths = dict[str, Any]
"""COCO's compressed code: ``size`` (H, W) and ``counts``, a text."""

Mask = npt.NDArray[np.bool_]

_COUNT_BITS, _WORD_BITS, _SIZE_BITS, _SIZES = 32, 5, 4, 4
_CHANNELS = 4


def mask_of_rows(counts: Sequence[int], size_wh: tuple[int, int]) -> Mask:
    """A mask from the lengths of its runs.

    Args:
        counts: along the rows, of background and object in turns.
        size_wh: of the mask, px.

    Returns:
        ``[h, w]``

    Raises:
        ValueError: the runs do not fill the mask.
    """
    width, height = size_wh
    runs = np.array(counts, np.int64)
    if width < 1 or height < 1 or (runs < 0).any() or runs.sum() != width * height:
        raise ValueError(f'runs of {runs.sum()} px do not fill a mask of {width} x {height}')
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)


def mask_of_brush(data: bytes, size_wh: tuple[int, int]) -> Mask:
    """What is painted in Label Studio's packed RGBA bytes of a photo.

    The stream has the number of values, the bits of a value less 1, four numbers of bits of run
    lengths less 1; then blocks: a bit that says whether one value is repeated, which of the four
    sizes its length is written in, the length less 1, and the value or values.

    Args:
        data: the packed bytes.
        size_wh: of the photo, px.

    Returns:
        ``[H, W]``

    Raises:
        ValueError: the bytes are not of a photo of this size, or are cut off.
    """
    width, height = size_wh
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    text = bits.astype('S1').tobytes().decode('ascii')
    place = 0

    def read(count: int) -> int:
        nonlocal place
        place += count
        if place > len(text):
            raise ValueError('the code is cut off')
        return int(text[place - count : place], 2)

    total, word = read(_COUNT_BITS), read(_WORD_BITS) + 1
    sizes = [read(_SIZE_BITS) + 1 for _ in range(_SIZES)]
    if total != width * height * _CHANNELS:
        raise ValueError(f'a code of {total / _CHANNELS:g} px for a photo of {width} x {height}')
    if word != 8:
        raise ValueError(f'values of {word} bits; expected bytes')
    values = np.zeros(total, np.uint8)
    done = 0
    while done < total:
        is_repeated = read(1)
        end = done + read(sizes[read(2)]) + 1
        if end > total:
            raise ValueError('a run is longer than the photo')
        if is_repeated:
            values[done:end] = read(word)
        else:
            first, place = place, place + word * (end - done)
            if place > len(text):
                raise ValueError('the code is cut off')
            values[done:end] = np.packbits(bits[first:place])
        done = end
    return values.reshape(height, width, _CHANNELS)[..., 3] > 0


def mask_of_png(text: str, largest_wh: tuple[int, int]) -> Mask:
    """A mask from a PNG in base64.

    Args:
        text: the code.
        largest_wh: width and height that it may have, px.

    Returns:
        ``[h, w]``

    Raises:
        ValueError: it is no PNG, or larger than that.
    """
    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=['PNG']) as png:
            if png.width > largest_wh[0] or png.height > largest_wh[1]:
                raise ValueError(f'a mask of {png.width} x {png.height} is larger than its photo')
            return np.asarray(png.convert('L')) > 0
    except (binascii.Error, OSError, Image.DecompressionBombError) as error:
        raise ValueError(f'no PNG in base64 ({error})') from error


def placed(
    mask: Mask, left_top: tuple[int, int], size_wh: tuple[int, int]
) -> tuple[RunLengths, tuple[float, float, float, float]] | None:
    """A mask in its photo, cut at the border.

    Args:
        mask: ``[h, w]``.
        left_top: where in the photo it begins, px.
        size_wh: of the photo, px.

    Returns:
        The code of the whole photo, and the box x, y, width, height around its pixels; None if
        the photo has none of them.
    """
    width, height = size_wh
    left, top = left_top
    inside = mask[max(0, -top) : max(0, height - top), max(0, -left) : max(0, width - left)]
    if not inside.any():
        return None
    rows, columns = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
    whole = np.zeros((height, width), np.uint8, order='F')
    x, y = max(0, left), max(0, top)
    whole[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    box = (
        float(x + columns[0]),
        float(y + rows[0]),
        float(columns[-1] - columns[0] + 1),
        float(rows[-1] - rows[0] + 1),
    )
    return _with_text(run_lengths.encode(whole)), box


def joined(
    masks: Sequence[RunLengths], polygons: Sequence[Sequence[float]], size_wh: tuple[int, int]
) -> tuple[RunLengths, float]:
    """The pixels of all parts of an object as one code, and their number.

    Args:
        masks: of the whole photo.
        polygons: further parts, ``x, y, x, y, ...`` in px.
        size_wh: of the photo, px.
    """
    width, height = size_wh
    parts = [dict(mask, counts=mask['counts'].encode()) for mask in masks]
    if polygons:
        parts += run_lengths.frPyObjects([list(polygon) for polygon in polygons], height, width)
    merged = run_lengths.merge(parts)
    return _with_text(merged), float(run_lengths.area(merged))


def _with_text(code: dict[str, Any]) -> RunLengths:
    return dict(size=list(map(int, code['size'])), counts=code['counts'].decode('ascii'))
