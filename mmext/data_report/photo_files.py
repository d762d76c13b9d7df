"""The photos themselves: are they there, can they be read, as large as annotated, and unique?"""

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmext.formats.misnamed_files import is_joined_address
from mmext.formats.picture_files import TURNED, picture_head

_END, _SCAN = b'\xff\xd9', b'\xff\xda'  # markers of JPEG: end of the image, start of its data


@dataclass(frozen=True)
class PhotoFacts:
    """What was found out about a photo.

    Attributes:
        path: of the file.
        state: ``ok``, ``missing`` or ``unreadable``.
        size_wh: as loaded; None where it is not.
        orientation: EXIF's number, 1 where there is none.
        is_cut: the end of the JPEG is not there; decoders fill it with grey.
        file_digest, pixel_digest: equal for equal files, and for equal pixels.
    """

    path: str
    state: str
    size_wh: tuple[int, int] | None = None
    orientation: int = 1
    is_cut: bool = False
    file_digest: bytes = b''
    pixel_digest: bytes = b''

    def size_problem(self, width: int, height: int) -> str | None:
        """One sentence if the annotations are of another size."""
        if self.size_wh is None or self.size_wh == (width, height):
            return None
        text = f'{self.path} is {self.size_wh[0]}x{self.size_wh[1]} px, annotated {width}x{height}'
        if self.orientation in TURNED and self.size_wh == (height, width):
            text += (
                f' (EXIF orientation {self.orientation}: it was annotated unturned; load it with '
                "color_type='color_ignore_orientation', or turn the file)"
            )
        return text


def look_at_photos(
    paths: Sequence[str],
    read: Callable[[str], bytes],
    decode: Callable[[bytes], Any],
    threads: int,
    advance: Callable[[int], None] = lambda count: None,
) -> dict[str, PhotoFacts]:
    """Look at photos in several threads.

    Args:
        paths: each once.
        read: bytes of a file; any error: it is missing or unreadable.
        decode: pixels ``[H, W, ...]`` of the bytes; None or any error: unreadable.
        threads: how many.
        advance: told about every photo.
    """
    facts = {}
    with ThreadPoolExecutor(threads) as pool:
        for found in pool.map(lambda path: look_at_photo(path, read, decode), paths):
            facts[found.path] = found
            advance(1)
    return facts


def look_at_photo(
    path: str, read: Callable[[str], bytes], decode: Callable[[bytes], Any]
) -> PhotoFacts:
    """See :func:`look_at_photos`."""
    try:
        data = read(path)
    except FileNotFoundError:
        return PhotoFacts(path, 'missing')
    except Exception:  # of the disk, or of a store far away
        return PhotoFacts(path, 'missing' if is_joined_address(path) else 'unreadable')
    try:
        pixels = decode(data)
    except Exception:  # OpenCV's, PIL's, those of a decoder of one's own
        pixels = None
    if pixels is None or not np.size(pixels):
        return PhotoFacts(path, 'unreadable')
    head = picture_head(io.BytesIO(data))
    return PhotoFacts(
        path,
        'ok',
        (pixels.shape[1], pixels.shape[0]),
        1 if head is None else head[1],
        data.startswith(b'\xff\xd8') and data.rfind(_END) < data.rfind(_SCAN),
        _digest(data),
        _digest(np.ascontiguousarray(pixels).data, str((pixels.shape, pixels.dtype)).encode()),
    )


def equal_photos(
    photos_of: Mapping[str, Iterable[PhotoFacts]],
) -> Iterator[list[tuple[str, PhotoFacts]]]:
    """Groups of photos with equal pixels: name of the data set, photo; two or more each.

    A photo that two data sets list is such a group as well.

    Args:
        photos_of: by the name of the data set, each photo once.
    """
    groups: dict[bytes, list[tuple[str, PhotoFacts]]] = {}
    for name, photos in photos_of.items():
        for photo in photos:
            if photo.state == 'ok':
                groups.setdefault(photo.pixel_digest, []).append((name, photo))
    yield from (group for group in groups.values() if len(group) > 1)


def _digest(*parts: Any) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    return digest.digest()
