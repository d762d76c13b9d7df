"""tools/prepare_data.py wider-face: what it says of a whole, a broken and a partial download."""

import argparse
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from wider_face_set import write_set

from mmext.cli.prepare.wider_face import add_arguments, run
from mmext.errors import InputError
from mmext.formats.wider_face_files import read_faces


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_set(tmp_path)
    return tmp_path


def prepare(root: Path, *flags: str) -> None:

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    run(parser.parse_args(['--root', str(root), *flags]))


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().out.splitlines() if ' – ' in line]


def test_a_whole_download(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(root, '--images')
    said = lines(capsys)
    assert len(said) == 9
    assert all(line.startswith('ok') for line in said)
    assert any('label.txt – 3 photos, 3 faces, 3 with landmarks, 1 photos without faces, '
               '1 faces without area (left out)' in line for line in said)  # fmt: skip
    assert any('3 landmarks outside' in line for line in said)
    assert any('ground_truth – 3 photos, 3 faces: 3 easy, 3 medium, 3 hard' in s for s in said)


def test_what_is_missing_and_where_it_comes_from(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(root / 'WIDER_train')
    (root / 'retinaface_gt_v1.1/val/label.txt').unlink()
    (root / 'ground_truth/wider_hard_val.mat').unlink()
    (root / 'WIDER_val/images/0--Parade/0_Parade_val_1.jpg').unlink()
    with pytest.raises(InputError, match='4 of 7 pieces are missing or broken'):
        prepare(root)
    said = '\n'.join(lines(capsys))
    assert 'missing  WIDER_train/images – it is in WIDER_train.zip' in said
    assert 'missing  retinaface_gt_v1.1/val/label.txt – it is in retinaface_gt_v1.1.zip' in said
    assert 'wider_hard_val.mat: no such file; eval_tools.zip' in said
    assert 'WIDER_val/images – 1 of 3 photos: 0--Parade/0_Parade_val_1.jpg' in said


def test_what_is_broken(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    label = root / 'retinaface_gt_v1.1/train/label.txt'
    label.write_text(label.read_text() + '1 2 3\n')
    photo = root / 'WIDER_train/images/0--Parade/0_Parade_train_0.jpg'
    photo.write_bytes(photo.read_bytes()[:200])
    other = root / 'WIDER_val/images/0--Parade/0_Parade_val_1.jpg'
    cv2.imwrite(str(other), np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(InputError, match='3 of 9 pieces are missing or broken'):
        prepare(root, '--images')
    said = '\n'.join(lines(capsys))
    assert 'label.txt:7: expected 4 or 20 numbers, got 3' in said
    assert 'WIDER_train/images – 1 photos: 0--Parade/0_Parade_train_0.jpg (' in said
    assert 'WIDER_val/images – 1 photos with a face whose centre is outside' in said


def test_files_of_other_photos(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train, val = (root / f'retinaface_gt_v1.1/{s}/label.txt' for s in ('train', 'val'))
    shutil.copy(train, val)
    with pytest.raises(InputError, match='2 of 8 pieces'):
        prepare(root)
    assert 'not the photos of wider_face_split/wider_face_val_bbx_gt.txt: 3 only there' in (
        '\n'.join(lines(capsys))
    )


def test_labels_with_sizes(root: Path) -> None:
    prepare(root, '--splits', 'train', '--labelv2')
    images = read_faces(root / 'labelv2/train/labelv2.txt')
    assert [image.size for image in images] == [(60, 40), (61, 40), (62, 40)]
    assert images[0].visible.tolist() == [[2] * 5] * 2


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'no such folder: .*nowhere\. Unpack WIDER FACE there'):
        prepare(tmp_path / 'nowhere')
