"""What the bytes of an image file say undecoded: size, orientation, and whether all is there.

OpenCV answers none of these: it decodes a picture of a billion pixels that a few kilobytes
describe, turns photos by their EXIF data without a word, and gives no reason when it fails.
"""

import io
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from mmext.errors import InputError, MissingFileError

IMAGE_SUFFIXES = frozenset(
    ('.bmp', '.jpeg', '.jpg', '.pgm', '.png', '.ppm', '.tif', '.tiff', '.webp')
)
TURNED = range(5, 9)
"""EXIF orientations that swap width and height."""

_JPEG, _PNG, _TIFF = b'\xff\xd8\xff', b'\x89PNG\r\n\x1a\n', (b'II*\0', b'MM\0*')
_JPEG_END, _PNG_END = b'\xff\xd9', b'IEND\xaeB`\x82'
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN_MARKER = 0xDA
_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257
_HEAD_LOCK = threading.Lock()
# a JPEG codes a block of 8x8 in two bits at the least, three blocks share four of brightness
_JPEG_MOST_PIXELS_A_BYTE = 512


def pictures_below(folder: str | Path) -> list[Path]:
    """The image files of a folder and its subfolders, by their endings, in order.

    Raises:
        MissingFileError: there is no such folder.
        InputError: it has none.
    """
    place = Path(folder)
    if not place.is_dir():
        raise MissingFileError(f'{place}: no such folder')
    found = sorted(path for path in place.rglob('*') if path.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise InputError(f'{place}: no picture in it ({", ".join(sorted(IMAGE_SUFFIXES))})')
    return found


def pixel_count(data: bytes) -> int | None:
    """Number of pixels that the header promises.

    Args:
        data: the file's content.

    Returns:
        Width times height of the first picture; None where the header is not understood (it is
        read for JPEG, PNG and TIFF; the other formats end at 2**28 pixels or do not compress).
    """
    if data.startswith(_JPEG):
        size = _jpeg_size(data)
    elif data.startswith(_PNG) and len(data) >= 24:
        size = struct.unpack('>II', data[16:24])
    elif data.startswith(_TIFF):
        size = _tiff_size(data)
    else:
        return None
    return None if size is None else size[0] * size[1]


def exceeds(data: bytes, max_pixels: int) -> bool:
    """Whether the header promises more pixels; a JPEG too small for that is not looked into."""
    if data.startswith(_JPEG) and len(data) * _JPEG_MOST_PIXELS_A_BYTE <= max_pixels:
        return False
    return (pixel_count(data) or 0) > max_pixels


def is_cut_off(data: bytes) -> bool:
    """Whether the end of a JPEG or PNG is missing; False for other formats.

    Bytes behind the end are no fault: cameras put a second picture or padding there.
    """
    if data.startswith(_JPEG):
        # the thumbnail in the header has an end of its own; in a scan the marker cannot occur
        return not data.endswith(_JPEG_END) and data.find(_JPEG_END, _jpeg_scan(data)) < 0
    # the end first: to search a whole file takes milliseconds
    return data.startswith(_PNG) and not data.endswith(_PNG_END) and _PNG_END not in data


def has_deep_samples(data: bytes) -> bool:
    """Whether samples are of more than 8 bits, for decoders that shorten them without a word."""
    if data.startswith(_PNG) and len(data) > 24:
        return data[24] > 8
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return picture.mode.startswith(('I', 'F'))
    except (OSError, ValueError, Image.DecompressionBombError):
        return False


def is_turned_by_exif(data: bytes) -> bool:
    """Whether the EXIF orientation asks the reader to swap width and height."""
    head = picture_head(io.BytesIO(data))
    return head is not None and head[1] in TURNED


def picture_head(
    file: Any, formats: tuple[str, ...] | None = None
) -> tuple[tuple[int, int], int] | None:
    """Width and height, and EXIF's orientation (1 where it states none), without the pixels.

    Args:
        file: a path, or the bytes in a file object.
        formats: PIL's names of those that are looked for; None: all.

    Returns:
        None where it is no picture.
    """
    with _HEAD_LOCK:  # the limit of PIL is global
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # no pixel is decoded
        try:
            with Image.open(file, formats=formats) as picture:
                return picture.size, _orientation(picture)
        except (OSError, ValueError, SyntaxError):  # the last is PIL's for broken files
            return None
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # EXIF data is written by all kinds of cameras and programs
        return 1


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Marker and place of each segment of the header, the first scan included."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # padding
            place += 1
            continue
        yield marker, place
        if marker == _SCAN_MARKER:
            return
        place += 2 + int.from_bytes(data[place + 2 : place + 4], 'big')


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    for marker, place in _jpeg_segments(data):
        if marker in _FRAME_MARKERS and len(data) >= place + 9:
            height, width = struct.unpack('>HH', data[place + 5 : place + 9])
            return width, height
    return None


def _jpeg_scan(data: bytes) -> int:
    """Where the first scan begins; the end of the data if it has none."""
    return next((p for marker, p in _jpeg_segments(data) if marker == _SCAN_MARKER), len(data))


def _tiff_size(data: bytes) -> tuple[int, int] | None:
    """Of the first directory; an entry is tag, type (3 is short, 4 long), count and value."""
    order = '<' if data.startswith(b'II') else '>'
    sides: dict[int, int] = {}
    try:
        (place,) = struct.unpack_from(f'{order}I', data, 4)
        (entries,) = struct.unpack_from(f'{order}H', data, place)
        for index in range(entries):
            at = place + 2 + 12 * index
            tag, kind = struct.unpack_from(f'{order}HH', data, at)
            if tag in (_TIFF_WIDTH, _TIFF_HEIGHT):
                (sides[tag],) = struct.unpack_from(
                    order + ('H' if kind == 3 else 'I'), data, at + 8
                )
    except struct.error:
        return None
    return (sides[_TIFF_WIDTH], sides[_TIFF_HEIGHT]) if len(sides) == 2 else None
