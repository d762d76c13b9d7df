"""Letters of any script as small gray pictures.

DejaVu Sans, which comes with matplotlib, has Latin, Greek, Cyrillic, Hebrew, Arabic and more. What
it lacks is looked for in the fonts of the system.
"""

import functools
import math
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

_NO_CHARACTER = '\U0010ffff'
_ELLIPSIS = '…'
_ASCENT, _DESCENT = 0.76, 0.24  # of the size: what Latin letters take above and below the line
_PROBE_PX = 24
# of the many faces of a family the plain one is wanted
_SPECIAL_FACES = ('bold', 'italic', 'oblique', 'light', 'thin', 'black', 'mono', 'serif', 'last')


@functools.lru_cache(maxsize=4096)
def text_mask(text: str, size_px: int, most_px: int) -> npt.NDArray[np.uint8]:
    """How much ink of a line of text is on each pixel, ``[h, w]``, 0 to 255.

    Args:
        text: one line; line breaks become spaces.
        size_px: of the font; about as much as the height of the result.
        most_px: the text is cut to this width, with an ellipsis.
    """
    text = ' '.join(text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace').split())
    font = ImageFont.truetype(str(_file_for(text) or _plain_file()), max(1, size_px))
    if font.getlength(text) > most_px:
        while text and font.getlength(text + _ELLIPSIS) > most_px:
            text = text[:-1]
        text += _ELLIPSIS
    left, top, right, bottom = font.getbbox(text, anchor='ls')
    above = math.ceil(max(-top, _ASCENT * size_px))
    below = math.ceil(max(bottom, _DESCENT * size_px))
    image = Image.new('L', (max(1, math.ceil(right - left)), above + below))
    ImageDraw.Draw(image).text((-left, above), text, fill=255, font=font, anchor='ls')
    return np.array(image)


@functools.lru_cache(maxsize=4096)
def readable(text: str, otherwise: str) -> str:
    """The text if a font of this machine has its letters; else ``otherwise``, with a warning."""
    if _file_for(text) is not None:
        return text
    _warn_of_missing_font(text, otherwise)
    return otherwise


@functools.lru_cache(maxsize=4096)
def _file_for(text: str) -> Path | None:
    """The first font that has every character of a text."""
    wanted = ''.join(sorted({c for c in text if not c.isspace()}))
    if _has_all(_plain_file(), wanted):
        return _plain_file()
    return next((file for file in _system_files() if _has_all(file, wanted)), None)


def _has_all(file: Path, characters: str) -> bool:
    try:
        font = ImageFont.truetype(str(file), _PROBE_PX)
        nothing = font.getmask(_NO_CHARACTER)
        glyphs = (font.getmask(character) for character in characters)
        return all(glyph.size != nothing.size or bytes(glyph) != bytes(nothing) for glyph in glyphs)
    except (OSError, ValueError):  # a damaged font, or one of bitmaps
        return False


@functools.lru_cache(maxsize=1)
def _plain_file() -> Path:
    from matplotlib import get_data_path

    return Path(get_data_path(), 'fonts', 'ttf', 'DejaVuSans.ttf')


@functools.lru_cache(maxsize=1)
def _system_files() -> list[Path]:
    from matplotlib.font_manager import findSystemFonts

    def rank(file: Path) -> tuple[int, str]:
        name = file.stem.lower()
        return sum(face in name for face in _SPECIAL_FACES), name

    return sorted(map(Path, findSystemFonts()), key=rank)


@functools.lru_cache(maxsize=1)
def _told() -> list[str]:
    return []


def _warn_of_missing_font(text: str, otherwise: str) -> None:
    """Once in a process: a set in such a script has many names."""
    if not _told():
        _told().append(text)
        warnings.warn(
            f'no font on this machine has the letters of {text!r}: pictures say {otherwise!r}. '
            'Install one, for Chinese, Japanese and Korean for example Noto Sans CJK',
            stacklevel=3,
        )
