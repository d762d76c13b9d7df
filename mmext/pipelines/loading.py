"""Loading of photos: what enters is right, or refused with the name of the file and a remedy."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import mmcv
import numpy as np
import numpy.typing as npt
from mmcv.transforms import LoadImageFromFile
from mmengine import fileio

from mmext.errors import InputError, MissingFileError
from mmext.failed_statements import words_of
from mmext.formats.misnamed_files import is_joined_address, missing_photo
from mmext.formats.picture_files import (
    exceeds,
    has_deep_samples,
    is_cut_off,
    is_turned_by_exif,
    pixel_count,
)
from mmext.registry import TRANSFORMS

MAX_PIXELS = 2**28  # 16384 x 16384: 0.8 GB as BGR
_TURN = cv2.IMREAD_IGNORE_ORIENTATION
# as mmcv's flags, with the depth of the file kept: OpenCV would divide all 16-bit images by 256
# and cut floats off at 255
_FLAGS = dict(
    color=cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH,
    grayscale=cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH,
    color_ignore_orientation=cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | _TURN,
    grayscale_ignore_orientation=cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH | _TURN,
)


class UnreadableImageError(InputError):
    """A file that is no image, is damaged, or is too large."""


# of the second name: programs of the host look for a step that ends so
@TRANSFORMS.register_module(name=['LoadImage', 'LoadImageFromFile'])
class LoadImage(LoadImageFromFile):
    """mmcv's ``LoadImageFromFile`` that loads a photo right or says what is wrong with it.

    - Transparency is dropped: the colors stored below it are seen.
    - Of a file with several pages or frames the first is taken.
    - Images of more than 8 bits a sample (12 or 16 bit, 32-bit integers, floats) need
      ``value_range``. Nothing in such a file says which value is white, and a range taken from
      each image would show the net one thing at a different brightness in every photo.
    - An image of another size than the ``height`` and ``width`` of its record is refused: its
      boxes would lie elsewhere. Records without a size pass.

    Args:
        to_float32: hand over float32; a deep image then keeps its fine steps.
        color_type: of mmcv; with ``'unchanged'`` the values are left as they are in the file.
        imdecode_backend: of mmcv.
        file_client_args: of mmcv.
        ignore_empty: a file that cannot be read is None, and a training takes another image.
        value_range: the values ``(low, high)`` of black and white in images of more than 8 bits:
            ``(0, 4095)`` for 12 bits, ``(0, 65535)`` for 16, ``(0, 1)`` for floats up to 1. They
            become 0 and 255, values outside are cut off. Images of 8 bits stay as they are.
        check_size: compare with the record; False where the boxes are known to fit all the same.
        max_pixels: images of more pixels are not decoded; None for no limit but OpenCV's.
        stand_ins: a file of names. A photo that cannot be read is added to it as one line, and a
            black image of the record's size takes its place, so that a test can go on.
        backend_args: of mmengine.

    Raises:
        MissingFileError: no such file.
        InputError: not an image, damaged, too large, of many bits without ``value_range``, or of
            another size than its record.
        InputError: ``value_range`` is no range.
    """

    def __init__(
        self,
        to_float32: bool = False,
        color_type: str = 'color',
        imdecode_backend: str = 'cv2',
        file_client_args: dict[str, Any] | None = None,
        ignore_empty: bool = False,
        *,
        value_range: Sequence[float] | None = None,
        check_size: bool = True,
        max_pixels: int | None = MAX_PIXELS,
        stand_ins: str | None = None,
        backend_args: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            to_float32,
            color_type,
            imdecode_backend,
            file_client_args,
            ignore_empty,
            backend_args=backend_args,
        )
        self.value_range = None if value_range is None else _checked_range(value_range)
        self.check_size, self.max_pixels, self.stand_ins = check_size, max_pixels, stand_ins

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Adds ``img``, ``img_shape``, ``ori_shape`` and a ``scale_factor`` of 1.

        The heads of the host ask for the factor, which else a ``Resize`` alone would add.
        """
        path = results['img_path']
        try:
            data = self._bytes(path)
            image = self.decode(data, path)
        except (FileNotFoundError, UnreadableImageError) as error:
            if self.ignore_empty:
                return None
            if self.stand_ins is None or isinstance(error, FileNotFoundError):
                raise
            image = self._stand_in(results, self.stand_ins, error)
        else:
            self._check_size(results, image, data)
        if self.to_float32:
            image = image.astype(np.float32)
        results['img'] = image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        results['scale_factor'] = 1.0, 1.0
        return results

    def read(self, path: str) -> npt.NDArray[Any]:
        """Load a file without a record; see :meth:`decode`."""
        return self.decode(self._bytes(path), path)

    def decode(self, data: bytes, path: str) -> npt.NDArray[Any]:
        """Decode an image.

        Args:
            data: content of the file.
            path: its name, for messages.

        Returns:
            BGR ``[H, W, 3]`` uint8, or as ``color_type`` and ``to_float32`` say.

        Raises:
            UnreadableImageError: it is no image, damaged or too large.
            InputError: it is of many bits and there is no ``value_range``.
        """
        if self.max_pixels is not None and exceeds(data, self.max_pixels):
            raise UnreadableImageError(
                f'{path}: {pixel_count(data)} pixels are more than the {self.max_pixels} of '
                'max_pixels: cut it into tiles, or raise max_pixels of mmext.LoadImage'
            )
        if is_cut_off(data):
            raise UnreadableImageError(
                f'{path}: cannot be read as an image (its end is missing: fetch it anew)'
            )
        try:
            image = self._decoded(data)
        except Exception as error:
            reason = words_of(error)
            raise UnreadableImageError(f'{path}: cannot be read as an image ({reason})') from error
        if image is None:
            raise UnreadableImageError(f'{path}: cannot be read as an image ({_reason(data)})')
        self._refuse_shortened(data, path)
        return image if image.dtype == np.uint8 else self._scaled(image, path)

    def __repr__(self) -> str:
        """As mmcv's, with what was added."""
        return (
            f'{super().__repr__()[:-1]}, value_range={self.value_range}, '
            f'check_size={self.check_size}, max_pixels={self.max_pixels})'
        )

    def _bytes(self, path: str) -> bytes:
        try:
            if self.file_client_args is not None:
                client = fileio.FileClient.infer_client(self.file_client_args, path)
                return client.get(path)
            return fileio.get(path, backend_args=self.backend_args)
        except FileNotFoundError:
            place = os.path.abspath(path)
            raise MissingFileError(f'no image at {place}: {missing_photo(path)}') from None
        except Exception as error:
            if is_joined_address(path):
                raise MissingFileError(f'no image at {path}: {missing_photo(path)}') from None
            raise UnreadableImageError(f'{path}: cannot be read as an image ({error})') from error

    def _decoded(self, data: bytes) -> npt.NDArray[Any] | None:
        flag, backend = self.color_type, self.imdecode_backend
        if not data or backend != 'cv2':
            return mmcv.imfrombytes(data, flag=flag, backend=backend) if data else None
        image = mmcv.imfrombytes(data, flag=_FLAGS.get(flag, flag), backend=backend)
        if image is None and flag != 'unchanged':
            # OpenCV does not spread one deep channel over three
            image = mmcv.imfrombytes(data, flag='unchanged', backend=backend)
            image = image if image is None else _as_color(image, flag)
        return image

    def _refuse_shortened(self, data: bytes, path: str) -> None:
        keeps_depth = self.imdecode_backend in ('cv2', 'tifffile')
        if not keeps_depth and self.color_type != 'unchanged' and has_deep_samples(data):
            raise InputError(
                f"{path}: imdecode_backend='{self.imdecode_backend}' shortens its samples to 8 "
                "bits; load it with imdecode_backend='cv2' and value_range=(black, white)"
            )

    def _scaled(self, image: npt.NDArray[Any], path: str) -> npt.NDArray[Any]:
        """The values of ``value_range`` as 0 to 255."""
        if self.color_type == 'unchanged':
            return image
        if self.value_range is None:
            raise InputError(
                f'{path}: samples are {image.dtype}, here from {image.min():g} to '
                f'{image.max():g}, and which value is white is not known: set '
                'value_range=(black, white) of mmext.LoadImage in the config, for example '
                '(0, 4095) for 12 bits, (0, 65535) for 16, (0, 1) for floats; or convert to 8 bits'
            )
        low, high = self.value_range
        if np.isnan(image).any():
            raise UnreadableImageError(f'{path}: some samples are NaN, not a number')
        scaled = np.clip((image.astype(np.float64) - low) * (255 / (high - low)), 0, 255)
        return scaled.astype(np.float32) if self.to_float32 else np.rint(scaled).astype(np.uint8)

    def _check_size(self, record: Mapping[str, Any], image: npt.NDArray[Any], data: bytes) -> None:
        expected, loaded = (record.get('height'), record.get('width')), image.shape[:2]
        if not self.check_size or None in expected or expected == loaded:
            return
        (height, width), remedy = loaded, 'check that photo and annotations belong together'
        if expected == (width, height):
            turned = is_turned_by_exif(data)
            cause = 'its EXIF orientation turns it' if turned else 'width and height are swapped'
            remedy = f'{cause}: write the photos or the annotations anew' + (
                ", or load with color_type='color_ignore_orientation' if the boxes were drawn on "
                'the photo as it is stored'
                if turned
                else ''
            )
        raise InputError(
            f'{record["img_path"]}: the photo is {width} x {height} pixels, its annotation says '
            f'{expected[1]} x {expected[0]}; {remedy} (check_size=False of mmext.LoadImage if the '
            'boxes fit the photo)'
        )

    def _stand_in(
        self, record: Mapping[str, Any], names: str, error: Exception
    ) -> npt.NDArray[np.uint8]:
        """A black image, its photo noted; lines this short do not mix among processes."""
        height, width = record.get('height'), record.get('width')
        if height is None or width is None:
            raise InputError(f'{error} (its record has no size that an image could stand in with)')
        with open(names, 'a', encoding='utf-8') as file:
            file.write(f'{" ".join(str(error).split())}\n')
        channels = () if self.color_type.startswith('grayscale') else (3,)
        return np.zeros((height, width, *channels), np.uint8)


def _checked_range(value_range: Sequence[float]) -> tuple[float, float]:
    try:
        low, high = (float(value) for value in value_range)
    except (TypeError, ValueError):
        low = high = np.nan
    if not (np.isfinite([low, high]).all() and low < high):
        raise InputError(
            f'value_range of mmext.LoadImage: expected (black, white), black below white, got '
            f'{value_range!r}'
        )
    return low, high


def _as_color(image: npt.NDArray[Any], flag: str) -> npt.NDArray[Any]:
    """One deep channel as three of them, where the flag asks for color."""
    if image.ndim == 2:
        return np.repeat(image[..., None], 3, axis=2) if flag.startswith('color') else image
    raise InputError(f'{image.shape[2]} channels of {image.dtype}, expected 1 or 3')


def _reason(data: bytes) -> str:
    """Why a decoder found no image, as far as the first bytes tell."""
    if not data:
        return 'the file is empty'
    if data.lstrip()[:1] == b'<' and b'svg' not in data[:512].lower():
        return 'it is a web page: the download has failed'
    return 'damaged, or of a format that the decoder does not know'
