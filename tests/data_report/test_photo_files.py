"""Photos that are missing, broken, turned, cut off, huge or there twice."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mmext.data_report.photo_files import (
    PhotoFacts,
    equal_photos,
    look_at_photos,
)


def decode(data: bytes) -> np.ndarray | None:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def look(*paths: Path) -> list[PhotoFacts]:
    names = [str(path) for path in paths]
    seen: list[int] = []
    facts = look_at_photos(names, lambda p: Path(p).read_bytes(), decode, 3, seen.append)
    assert sum(seen) == len(names)
    return [facts[name] for name in names]


def write(path: Path, seed: int, exif: int = 1, size: tuple[int, int] = (24, 16)) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
    picture = Image.fromarray(pixels)
    metadata = picture.getexif()
    metadata[0x0112] = exif
    picture.save(path, exif=metadata)
    return path


def test_states(tmp_path: Path) -> None:
    good = write(tmp_path / 'good.jpg', 0)
    (tmp_path / 'empty.jpg').touch()
    (tmp_path / 'page.jpg').write_text('<html>')
    cut = tmp_path / 'cut.jpg'
    cut.write_bytes(good.read_bytes()[:-40])
    names = ('good.jpg', 'gone.jpg', 'empty.jpg', 'page.jpg', 'cut.jpg')
    facts = look(*(tmp_path / name for name in names))
    states = ['ok', 'missing', 'unreadable', 'unreadable']
    assert [photo.state for photo in facts[:4]] == states
    assert not facts[0].is_cut
    assert facts[4].is_cut or facts[4].state == 'unreadable'  # decoders may refuse it


@pytest.mark.parametrize('exif', range(1, 9))
def test_size_and_orientation(exif: int, tmp_path: Path) -> None:
    (photo,) = look(write(tmp_path / 'a.jpg', 0, exif))
    assert photo.orientation == exif
    assert photo.size_wh == ((16, 24) if exif >= 5 else (24, 16))
    assert photo.size_problem(*photo.size_wh) is None
    problem = photo.size_problem(24, 16)
    if exif >= 5:
        assert problem is not None and f'EXIF orientation {exif}' in problem
        assert 'color_ignore_orientation' in problem
    else:
        assert problem is None
    other = photo.size_problem(99, 98)
    assert other is not None and 'annotated 99x98' in other and 'EXIF' not in other


def test_twins_and_leaks_are_found_by_pixels(tmp_path: Path) -> None:
    one, other = write(tmp_path / '1.png', 1), write(tmp_path / '2.png', 2)
    copy = tmp_path / 'copy.png'
    copy.write_bytes(one.read_bytes())
    again = tmp_path / 'again.bmp'  # another file with the same pixels
    Image.open(one).save(again)
    photos = look(one, other, copy, again)
    assert photos[0].file_digest == photos[2].file_digest != photos[3].file_digest
    groups = list(equal_photos({'train': photos[:3], 'val': [photos[1], photos[3]]}))
    found = [[(name, Path(photo.path).name) for name, photo in group] for group in groups]
    assert found == [
        [('train', '1.png'), ('train', 'copy.png'), ('val', 'again.bmp')],
        [('train', '2.png'), ('val', '2.png')],
    ]


def test_another_shape_is_another_photo(tmp_path: Path) -> None:
    for name, shape in (('a.png', (4, 6)), ('b.png', (6, 4))):
        cv2.imwrite(str(tmp_path / name), np.full((*shape, 3), 9, np.uint8))
    photos = look(tmp_path / 'a.png', tmp_path / 'b.png')
    assert list(equal_photos({'train': photos})) == []
