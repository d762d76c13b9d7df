"""Pictures that come from a browser: bytes of a stranger until they are decoded."""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mmext.errors import InputError
from mmext.formats.picture_files import picture_head

FORMATS = ('BMP', 'JPEG', 'PNG', 'PPM', 'TIFF', 'WEBP')
_MILLION = 1_000_000


class RequestError(Exception):
    """A request that is not answered.

    Args:
        status: HTTP's number.
        reason: one line for the person at the browser.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


@dataclass(frozen=True)
class Limits:
    """What a request may cost.

    Attributes:
        megabytes: of the file.
        megapixels: of the picture.
        wait_s: for the body to arrive, and for the model to be free.
        connections: at the same time.
    """

    megabytes: float = 20.0
    megapixels: float = 30.0
    wait_s: float = 60.0
    connections: int = 16

    @property
    def bytes(self) -> int:
        """Of the file."""
        return int(self.megabytes * _MILLION)

    @property
    def pixels(self) -> int:
        """Of the picture."""
        return int(self.megapixels * _MILLION)


def decoded(data: bytes, loader: Any, limits: Limits) -> npt.NDArray[np.uint8]:
    """The picture in the bytes of a file.

    Args:
        data: the file.
        loader: of the model, see :class:`mmext.pipelines.loading.LoadImage`.
        limits: looked at before anything is decoded.

    Returns:
        BGR ``[H, W, 3]``.

    Raises:
        RequestError: it is no picture of a known format, damaged, or too large.
    """
    try:
        head = picture_head(io.BytesIO(data), FORMATS)
    except Exception:  # a decoder may stumble over anything in a stranger's bytes
        head = None
    if head is None:
        raise RequestError(415, f'no picture of the formats {", ".join(FORMATS)}')
    width, height = head[0]
    if width * height > limits.pixels:
        raise RequestError(
            413, f'{width} x {height} pixels, the limit is {limits.megapixels:g} million'
        )
    try:
        return np.asarray(loader.decode(data, 'the picture'), np.uint8)
    except InputError as error:
        raise RequestError(422, str(error)) from None
