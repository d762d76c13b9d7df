"""Inputs as streams of frames, and the names and ids of the frames (video: tests/tools)."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmext.inference.media import Frame, PictureWriter, open_source


def write(path: Path, value: int) -> None:
    """Write a plain image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((4, 6, 3), value, np.uint8))


@pytest.mark.parametrize(
    ('names', 'ids'),
    [
        (['000000000139.png', '7.png'], [139, 7]),
        (['1.png', 'x/1.png'], ['1.png', 'x/1.png']),  # one number twice
        (['1.png', 'b.PNG'], ['1.png', 'b.PNG']),
        (['a.png'], ['a.png']),
    ],
)
def test_images_of_a_folder(names: list[str], ids: list[int | str], tmp_path: Path) -> None:
    for value, name in enumerate(names):
        write(tmp_path / name, value)
    (tmp_path / 'c.txt').touch()
    source = open_source(str(tmp_path))
    frames = list(source)
    assert (source.length, source.fps, source.skipped) == (len(names), None, [])
    assert [frame.image_id for frame in frames] == ids
    assert [frame.name for frame in frames] == names
    assert [int(frame.image[0, 0, 0]) for frame in frames] == list(range(len(names)))


def test_an_unreadable_image_is_skipped(tmp_path: Path) -> None:
    write(tmp_path / 'good.png', 5)
    (tmp_path / 'bad.png').write_text('nothing')
    source = open_source(str(tmp_path))
    assert [frame.name for frame in source] == ['good.png']
    (line,) = source.skipped
    assert line.startswith(f'{tmp_path}/bad.png: cannot be read as an image')


def test_one_image_is_a_source_of_one_frame(tmp_path: Path) -> None:
    write(tmp_path / 'x' / 'a.bmp', 9)
    (frame,) = open_source(str(tmp_path / 'x' / 'a.bmp'))
    assert isinstance(frame, Frame) and frame.name == 'a.bmp' and frame.image.shape == (4, 6, 3)


def test_pictures_are_written_in_rgb_under_different_names(tmp_path: Path) -> None:
    for name in ('a.png', 'a.bmp', 'x/a.png'):
        write(tmp_path / 'in' / name, 0)
    source = open_source(str(tmp_path / 'in'))
    writer = PictureWriter(tmp_path / 'out', source)
    red = np.zeros((4, 6, 3), np.uint8)
    red[..., 0] = 200
    for frame in source:
        writer.write(frame.name, red)
    writer.close()
    written = sorted(path for path in (tmp_path / 'out').rglob('*') if path.is_file())
    names = [path.relative_to(tmp_path / 'out').as_posix() for path in written]
    assert names == ['a.bmp.png', 'a.png', 'x/a.png']
    assert all(cv2.imread(str(path))[0, 0].tolist() == [0, 0, 200] for path in written)


def test_a_pipe_named_as_an_image_is_left_out(tmp_path: Path) -> None:
    write(tmp_path / 'good.png', 9)
    os.mkfifo(tmp_path / 'pipe.png')
    source = open_source(str(tmp_path))
    assert [frame.name for frame in source] == ['good.png']
    assert source.skipped == [f'{tmp_path}/pipe.png: cannot be read as an image: it is no file']
