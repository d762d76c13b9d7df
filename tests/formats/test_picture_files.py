"""What the bytes of image files say, against Pillow, which reads them in a way of its own."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmext.formats.picture_files import (
    exceeds,
    has_deep_samples,
    is_cut_off,
    is_turned_by_exif,
    picture_head,
    pixel_count,
)


def encoded(
    kind: str, mode: str = 'RGB', size: tuple[int, int] = (31, 17), **options: Any
) -> bytes:
    """A file of noise."""
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(noise).convert(mode).save(file, kind, **options)
    return file.getvalue()


THUMBNAIL = b'\xff\xe1\x00\x0cExif\0\0' + b'\xff\xd8\xff\xd9'  # a segment that holds a whole JPEG


@pytest.mark.parametrize(
    ('data', 'expected'),
    [
        (encoded('JPEG'), 31 * 17),
        (encoded('JPEG', progressive=True), 31 * 17),
        (encoded('JPEG', 'L', exif=b'Exif\0\0' + bytes(300)), 31 * 17),
        (encoded('PNG', '1'), 31 * 17),
        (encoded('TIFF'), 31 * 17),
        (encoded('TIFF', size=(70000, 2)), 140000),
        (b'MM\0*\0\0\0\x08\0\2\1\0\0\3\0\0\0\1\0\5\0\0\1\1\0\4\0\0\0\1\0\0\0\7', 35),
        (encoded('BMP'), None),
        (b'', None),
        (b'\xff\xd8\xff', None),
        (b'II*\0\xff\xff\xff\xff', None),
        (encoded('PNG')[:20], None),
        (encoded('JPEG')[:30], None),
    ],
)
def test_pixels_by_the_header(data: bytes, expected: int | None) -> None:
    assert pixel_count(data) == expected


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'TIFF'])
def test_a_bound_of_pixels(kind: str) -> None:
    data = encoded(kind, size=(3000, 200)) if kind != 'JPEG' else flat_jpeg(3000, 200)
    assert exceeds(data, 3000 * 200 - 1)
    assert not exceeds(data, 3000 * 200)


def flat_jpeg(width: int, height: int) -> bytes:
    """The smallest file that Pillow makes of so many pixels."""
    file = io.BytesIO()
    Image.new('L', (width, height)).save(file, 'JPEG', optimize=True, progressive=True)
    return file.getvalue()


def test_no_jpeg_is_so_small_that_its_size_is_overlooked() -> None:
    data = flat_jpeg(8000, 8000)
    assert exceeds(data, 8000 * 8000 - 1)


@pytest.mark.parametrize('kind', ['JPEG', 'PNG'])
def test_a_missing_end(kind: str) -> None:
    data = encoded(kind)
    assert not is_cut_off(data)
    assert not is_cut_off(data + bytes(64))
    assert not is_cut_off(data + b'a second picture')
    assert all(is_cut_off(data[:length]) for length in range(8, len(data) - 1))


def test_the_end_of_a_thumbnail_is_not_the_end() -> None:
    data = encoded('JPEG')
    data = data[:2] + THUMBNAIL + data[2:]
    assert Image.open(io.BytesIO(data)).size == (31, 17)
    assert not is_cut_off(data)
    assert is_cut_off(data[: len(data) // 2])


def test_formats_without_a_marked_end() -> None:
    assert not is_cut_off(encoded('BMP')[:100]) and not is_cut_off(b'')


def test_depth() -> None:
    deep = Image.fromarray(np.zeros((4, 5), np.uint16))
    for kind, data in (('PNG', encoded('PNG', 'P')), ('TIFF', encoded('TIFF', 'LA'))):
        file = io.BytesIO()
        deep.save(file, kind)
        assert has_deep_samples(file.getvalue()) and not has_deep_samples(data)
    assert not has_deep_samples(b'nothing')


@pytest.mark.parametrize('orientation', range(9))
def test_turned_by_exif(orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    for kind in ('JPEG', 'PNG'):
        assert is_turned_by_exif(encoded(kind, exif=exif)) == (orientation >= 5)
    assert not is_turned_by_exif(b'nothing')


def test_a_huge_photo_is_measured(tmp_path: Path) -> None:
    Image.new('1', (20_000, 15_000)).save(tmp_path / 'huge.png')
    limit = Image.MAX_IMAGE_PIXELS
    assert picture_head(tmp_path / 'huge.png') == ((20_000, 15_000), 1)
    assert limit == Image.MAX_IMAGE_PIXELS
    assert picture_head(Path(__file__)) is None
