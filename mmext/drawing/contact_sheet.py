"""Many pictures on one sheet, each with a line below it that says what it is."""

from collections.abc import Sequence

import numpy as np

from mmext.drawing.colors import INK, Picture
from mmext.drawing.fonts import text_mask
from mmext.drawing.layout import paint_ink

_GAP_PX, _LINE_PX, _LETTER_PX = 8, 17, 13
_PAPER = 255
_UNCUT_PX = 1 << 16


def contact_sheet(
    pictures: Sequence[Picture], captions: Sequence[Sequence[str]], columns: int
) -> Picture:
    """Pictures in rows, on white.

    Args:
        pictures: RGB ``[H, W, 3]`` of any sizes, at least one.
        captions: lines of text below each; what is too long is cut in the middle.
        columns: pictures in a row.

    Returns:
        ``[H', W', 3]``.
    """
    width = max(picture.shape[1] for picture in pictures)
    tiles = [_tile(p, c, width) for p, c in zip(pictures, captions, strict=True)]
    rows = [_row(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    longest = max(row.shape[1] for row in rows)
    padded = [_padded(row, row.shape[0] + _GAP_PX, longest) for row in rows]
    sheet = np.vstack(padded)
    return np.pad(sheet, ((_GAP_PX, 0), (_GAP_PX, _GAP_PX), (0, 0)), constant_values=_PAPER).astype(
        np.uint8
    )


def _tile(picture: Picture, lines: Sequence[str], width: int) -> Picture:
    """The picture in the middle, its lines below."""
    left = (width - picture.shape[1]) // 2
    around = ((0, 4 + _LINE_PX * len(lines)), (left, width - picture.shape[1] - left), (0, 0))
    tile = np.pad(picture, around, constant_values=_PAPER)
    for number, line in enumerate(lines):
        ink = _ink(line, width - 4)
        paint_ink(tile, ink, (2, picture.shape[0] + _LINE_PX * number + 2), INK)
    return tile


def _row(tiles: Sequence[Picture]) -> Picture:
    height = max(tile.shape[0] for tile in tiles)
    padded = [_padded(tile, height, tile.shape[1] + _GAP_PX) for tile in tiles]
    return np.hstack(padded)[:, :-_GAP_PX]


def _padded(picture: Picture, height: int, width: int) -> Picture:
    around = ((0, height - picture.shape[0]), (0, width - picture.shape[1]), (0, 0))
    return np.pad(picture, around, constant_values=_PAPER)


def _ink(text: str, width: int) -> Picture:
    """Letters: as much of the beginning and of the end as there is room for."""
    keep = len(text)
    ink = text_mask(text, _LETTER_PX, _UNCUT_PX)
    while keep > 4 and ink.shape[1] > width:
        keep = max(4, min(keep - 1, keep * width // ink.shape[1]))
        shown = f'{text[: keep // 3]}…{text[len(text) - (keep - keep // 3) :]}'
        ink = text_mask(shown, _LETTER_PX, _UNCUT_PX)
    return ink
