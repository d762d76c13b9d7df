"""Names of files made of ids."""

import os
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmext.formats.file_names import id_name, inner_path, short_name


@pytest.mark.parametrize(
    ('image_id', 'name'),
    [(7, '7.png'), ('a b.c', 'a%20b.c.png'), ('x/../y', 'x%2F..%2Fy.png'), ('街', '%E8%A1%97.png')],
)
def test_names_of_ids(image_id: object, name: str) -> None:
    assert id_name(image_id, '.png') == name


@given(st.text(st.characters(exclude_characters='\0/', exclude_categories=['Cs']), max_size=300))
def test_any_name_fits_and_stays_itself(name: str) -> None:
    short = short_name(name, '.png')
    assert len(os.fsencode(short)) <= 255 and short.endswith('.png')
    assert (short == f'{name}.png') == (len(name.encode()) <= 251)


def test_long_names_that_differ_at_the_end_differ(tmp_path: Path) -> None:
    names = {id_name('街' * 100 + end, '.png') for end in 'abc'}
    assert len(names) == 3
    for name in names:
        (tmp_path / name).touch()
    assert id_name(os.fsdecode(b'\xff'), '.png') == '%FF.png'  # not UTF-8 on the disk


@pytest.mark.parametrize(
    ('name', 'inside'),
    [
        ('a/b.jpg', 'a/b.jpg'),
        ('../../b.jpg', 'b.jpg'),
        ('/etc/b.jpg', 'etc/b.jpg'),
        ('//a/./../b.jpg', 'a/b.jpg'),
        (r'..\..\b.jpg', 'b.jpg'),
    ],
)
def test_paths_stay_inside(name: str, inside: str) -> None:
    assert inner_path(name) == PurePosixPath(inside)
