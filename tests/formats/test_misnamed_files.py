"""A file under another name than the annotation has is named, and never guessed."""

import unicodedata
from pathlib import Path

import pytest

from mmext.formats.misnamed_files import meant_file, missing_photo

ACCENT = 'caf\u00e9.jpg'


@pytest.mark.parametrize(
    ('there', 'written'),
    [
        ('my cat.jpg', 'my%20cat.jpg'),
        ('a.jpg', 'a.JPG'),
        ('a.jpg', 'a'),
        ('a.png', 'a.jpg'),
        ('a.jpg', 'C:\\Users\\me\\a.jpg'),
        ('a.jpg', 'C:/Users/me/A.jpeg'),
        ('a.jpg', 'photos/a.jpg'),
        (unicodedata.normalize('NFD', ACCENT), unicodedata.normalize('NFC', ACCENT)),
        (unicodedata.normalize('NFC', ACCENT), unicodedata.normalize('NFD', ACCENT)),
    ],
)
def test_the_file_that_is_meant(tmp_path: Path, there: str, written: str) -> None:
    (tmp_path / 'other.jpg').touch()
    (tmp_path / there).touch()
    path = f'{tmp_path}/{written}'
    assert meant_file(path) == str(tmp_path / there)
    assert (
        missing_photo(path)
        == f'{tmp_path / there} is there: correct file_name in the annotation file'
    )


def test_a_path_of_another_machine(tmp_path: Path) -> None:
    (tmp_path / 'a.jpg').touch()
    assert meant_file('/data/upload/3/a.jpg', str(tmp_path)) == str(tmp_path / 'a.jpg')
    assert meant_file('/data/upload/3/a.jpg') is None
    assert 'data_prefix.img' in missing_photo('/data/upload/3/b.jpg', str(tmp_path))


def test_two_that_may_be_meant_are_none(tmp_path: Path) -> None:
    for name in ('a.png', 'a.webp'):
        (tmp_path / name).touch()
    assert meant_file(str(tmp_path / 'a.jpg')) is None
    (tmp_path / 'A.JPG').touch()
    assert meant_file(str(tmp_path / 'a.jpg')) == str(tmp_path / 'A.JPG')


def test_addresses(tmp_path: Path) -> None:
    assert missing_photo(f'{tmp_path}/https://example.com/a.jpg').startswith(
        'file_name is an address'
    )
