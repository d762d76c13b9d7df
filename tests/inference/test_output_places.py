"""Places that nothing can be written to are named before the work begins."""

import os
from pathlib import Path

import pytest

from mmext.errors import InputError
from mmext.inference.output_places import check_output_file, check_output_folder


@pytest.mark.parametrize('name', ['n' * 300, 'ü' * 200, 'a\0b', f'new/{"n" * 300}/x'])
def test_names_that_no_folder_can_have(name: str, tmp_path: Path) -> None:
    with pytest.raises((OSError, ValueError)):
        os.makedirs(tmp_path / name)
    with pytest.raises(InputError, match=r'--out .*no folder can be called'):
        check_output_folder('--out', tmp_path / name)


def test_other_places_pass_and_files_and_folders_are_told_apart(tmp_path: Path) -> None:
    check_output_folder('--out', tmp_path / 'new' / ('n' * 255))
    (tmp_path / 'file').touch()
    check_output_file('--out', tmp_path / 'file')
    for place in ('file', 'file/below'):
        with pytest.raises(InputError, match=r'file is no folder'):
            check_output_folder('--out', tmp_path / place)
    with pytest.raises(InputError, match='is a folder, name a file'):
        check_output_file('--out', tmp_path)
