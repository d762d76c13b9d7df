"""What is asked of a served model: images in any form, within limits.

Part of the script inside a model, see :mod:`.served_script`.
"""

import base64
import binascii
import functools
import io
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import ErrorCode

LIMITS = {'max_images': 16.0, 'max_megapixels': 40.0, 'max_megabytes': 32.0, 'max_seconds': 50.0}
_BASE64_AND_MORE = 1.5  # bytes of JSON for a byte of a picture
_FORMATS = ('BMP', 'JPEG', 'JPEG2000', 'PNG', 'PPM', 'TIFF', 'WEBP')
_HEADERS = threading.Lock()


class Refused(MlflowException):
    """A request is refused; the server does not put the request into the message, as it would.

    Args:
        message: for whoever asked.
        error_code: of MLflow; a server answers 400, 429 to ``REQUEST_LIMIT_EXCEEDED``.
    """

    def __init__(self, message: str, error_code: str = 'INVALID_PARAMETER_VALUE') -> None:
        super().__init__(message, ErrorCode.Value(error_code))

    @property
    def message(self) -> str:
        """What was said first."""
        return str(self.__dict__['first'])

    @message.setter
    def message(self, text: str) -> None:
        self.__dict__.setdefault('first', text)


def guard_server(max_megabytes: float) -> None:
    """Let the scoring server of this process, if it is one, refuse in few words.

    MLflow parses a request of any size, and answers to a bad one with the request itself and a
    stack trace.

    Args:
        max_megabytes: of pictures in a request; see :data:`LIMITS`.
    """
    server = sys.modules.get('mlflow.pyfunc.scoring_server')
    plain = getattr(server, 'invocations', None)
    if plain is None or hasattr(plain, '__wrapped__'):
        return

    @functools.wraps(plain)
    def invocations(data: Any, *arguments: Any, **keywords: Any) -> Any:
        limits = {'max_megabytes': max_megabytes}
        _check(limits, 'max_megabytes', len(data) / 1e6 / _BASE64_AND_MORE, 'megabytes')
        try:
            return plain(data, *arguments, **keywords)
        except Refused:
            raise
        except (MlflowException, RecursionError, MemoryError, ValueError):
            raise Refused(
                'request: expected {"inputs": [image, ...]}, an image as base64 text of a picture '
                'or as an array [H, W, 3] of uint8'
            ) from None

    vars(server)['invocations'] = invocations


def opened(
    items: Sequence[Any], allow_paths: bool, limits: Mapping[str, float]
) -> list[np.ndarray | bytes]:
    """Images as arrays or as encoded pictures whose size has been looked at, not yet decoded.

    Args:
        items: images in any of the accepted forms.
        allow_paths: whether a text may be the path of a file.
        limits: see :data:`LIMITS`; what it lacks is unlimited.

    Raises:
        MlflowException: one is no image, or all are beyond a limit; a server answers 400.
    """
    _check(limits, 'max_images', len(items), 'images')
    forms: list[np.ndarray | bytes] = []
    pixels = size = 0
    for item in items:
        form = item if isinstance(item, bytes | str) else _array(item)
        size += form.nbytes if isinstance(form, np.ndarray) else len(form)
        _check(limits, 'max_megabytes', size / 1e6, 'megabytes')
        if isinstance(form, np.ndarray):
            height, width = form.shape[:2]
        else:
            form = _encoded(form, allow_paths)
            width, height = _picture_size(form)
        pixels += width * height
        _check(limits, 'max_megapixels', pixels / 1e6, 'megapixels')
        forms.append(form)
    return forms


def decoded(form: np.ndarray | bytes) -> np.ndarray:
    """One of :func:`opened` as (H, W, 3) RGB uint8; a spoiled picture is refused."""
    if isinstance(form, np.ndarray):
        return form
    image = cv2.imdecode(np.frombuffer(form, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise _refusal('an encoded picture', 'one that cannot be decoded')
    return np.ascontiguousarray(image[..., ::-1])


def _check(limits: Mapping[str, float], name: str, value: float, unit: str) -> None:
    limit = limits.get(name)
    if limit is not None and value > limit:
        raise Refused(f'request: expected at most {limit:g} {unit} ({name}), got {value:.4g}')


def _picture_size(encoded: bytes) -> tuple[int, int]:
    """Width and height as the header says, px; nothing is decoded."""
    from PIL import Image, UnidentifiedImageError

    Image.init()
    formats = [name for name in _FORMATS if name in Image.OPEN]
    with _HEADERS:
        most, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # the limit is ours
        try:
            with Image.open(io.BytesIO(encoded), formats=formats) as picture:
                width, height = picture.size
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
            raise _refusal('an encoded picture (JPEG, PNG, …)', 'bytes that are none') from None
        finally:
            Image.MAX_IMAGE_PIXELS = most
    return width, height


def _array(item: Any) -> np.ndarray:
    try:
        array = np.asarray(item)
    except ValueError as error:
        raise _refusal('an image', 'lists of unequal length') from error
    if array.ndim != 3 or array.shape[2] != 3 or not array.size:
        raise _refusal('an array [H, W, 3]', f'shape {list(array.shape)}')
    if array.dtype != np.uint8:  # JSON has no such type
        whole = np.issubdtype(array.dtype, np.integer) and 0 <= array.min() <= array.max() <= 255
        if not whole:
            raise _refusal('uint8 values', f'{array.dtype}')
        array = array.astype(np.uint8)
    return array


def _encoded(item: bytes | str, allow_paths: bool) -> bytes:
    """The bytes of a picture from a path, base64 text or bytes of either kind."""
    if isinstance(item, str) and not item.startswith('data:') and len(item) < 4096:
        path = Path(item)
        if path.suffix and allow_paths:  # base64 has no dot
            if not path.is_file():
                raise _refusal('a picture', f'{item!r}, which is no file')
            return path.read_bytes()
    text = item.encode('ascii', 'replace') if isinstance(item, str) else item
    if text.startswith(b'data:'):
        text = text.partition(b',')[2]
    try:
        return base64.b64decode(b''.join(text.split()), validate=True)
    except binascii.Error:
        if isinstance(item, bytes):
            return item
        raise _refusal('a picture in base64', f'a text of {len(item)} characters') from None


def _refusal(expected: str, actual: str) -> MlflowException:
    return Refused(f'image: expected {expected}, got {actual}')
