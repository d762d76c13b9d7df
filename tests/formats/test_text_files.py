"""Texts that are in UTF-8, or not: one line for every reader of them."""

from pathlib import Path

import pytest

from mmext.errors import InputError
from mmext.formats.face_details import read_face_details
from mmext.formats.landmarks.faces_wflw import read_wflw
from mmext.formats.text_files import read_text
from mmext.formats.wider_face_files import read_faces

FACE = ' '.join(['1'] * 196 + ['0', '0', '5', '5'] + ['0'] * 6)
LIST = 'list_98pt_rect_attr_train.txt'


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    for encoding in ('utf-8', 'utf-8-sig'):
        (tmp_path / LIST).write_text(f'{FACE} Zoë b.jpg\r\n', encoding)
        assert read_text(tmp_path / LIST).startswith('1 1')
        assert [image.name for image in read_wflw(tmp_path, 'train')] == ['Zoë b.jpg']
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / 'none.txt')


@pytest.mark.parametrize('encoding', ['latin-1', 'utf-16'])
def test_other_encodings_are_one_line(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / LIST
    path.write_text(f'{FACE} Zoë.jpg', encoding)
    message = r'train\.txt: no text file in UTF-8 \(byte \d+\); save it as UTF-8'
    for read in (read_text, read_faces, read_face_details):
        with pytest.raises(InputError, match=message):
            read(path)
    with pytest.raises(InputError, match=message):
        read_wflw(tmp_path, 'train')
