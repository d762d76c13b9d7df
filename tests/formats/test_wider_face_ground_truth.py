"""The .mat ground truth: written, read back, refused."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from mmext.formats.wider_face_ground_truth import (
    SETTINGS,
    ImageTruth,
    read_ground_truth,
    setting_file,
    write_ground_truth,
)


def random_truth(seed: int) -> list[ImageTruth]:
    """Images of two events; some without faces, some with none that counts."""
    rng = np.random.default_rng(seed)
    truth = []
    for number in range(9):
        count = int(rng.integers(0, 5))
        counted = {s: rng.random(count) < 0.5 for s in SETTINGS}
        attributes = rng.integers(0, 2, (count, 6))
        boxes = rng.integers(0, 300, (count, 4)).astype(float)
        truth.append(ImageTruth(f'{number // 5}--Event/photo{number}', boxes, counted, attributes))
    return truth


@pytest.mark.parametrize('seed', range(5))
def test_round_trip(seed: int, tmp_path: Path) -> None:
    truth = random_truth(seed)
    write_ground_truth(tmp_path, truth)
    found = read_ground_truth(tmp_path)
    assert [i.name for i in found] == [i.name for i in truth]
    for before, after in zip(truth, found, strict=True):
        np.testing.assert_array_equal(before.boxes_xywh, after.boxes_xywh)
        np.testing.assert_array_equal(before.attributes, after.attributes)
        for setting in SETTINGS:
            np.testing.assert_array_equal(before.counted[setting], after.counted[setting])


def test_the_lists_number_faces_from_one(tmp_path: Path) -> None:
    flags = {s: np.array([False, True, True]) for s in SETTINGS}
    image = ImageTruth('0--A/b', np.ones((3, 4)), flags, np.zeros((3, 6), int))
    write_ground_truth(tmp_path, [image])
    content = loadmat(tmp_path / 'wider_hard_val.mat')
    assert content['gt_list'][0, 0][0, 0].ravel().tolist() == [2, 3]
    assert loadmat(tmp_path / 'wider_face_val.mat')['event_list'][0, 0][0] == '0--A'


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    write_ground_truth(tmp_path, random_truth(0))
    (tmp_path / 'wider_medium_val.mat').unlink()
    with pytest.raises(FileNotFoundError, match=r'wider_medium_val\.mat: no such file; eval_tools'):
        read_ground_truth(tmp_path)


def test_broken_files_are_named(tmp_path: Path) -> None:
    write_ground_truth(tmp_path, random_truth(0))
    hard = tmp_path / setting_file('hard')
    savemat(hard, {'something': 1})
    with pytest.raises(ValueError, match=r'wider_hard_val\.mat: no gt_list in it'):
        read_ground_truth(tmp_path)
    hard.write_text('this is no MATLAB file')
    with pytest.raises(ValueError, match=r'wider_hard_val\.mat: cannot be read as a \.mat file'):
        read_ground_truth(tmp_path)


def test_lists_of_other_faces_are_refused(tmp_path: Path) -> None:
    few = [ImageTruth('0--A/b', np.ones((1, 4)), {s: np.ones(1, bool) for s in SETTINGS},
                      np.zeros((1, 6), int))]  # fmt: skip
    many = [ImageTruth('0--A/b', np.ones((3, 4)), {s: np.ones(3, bool) for s in SETTINGS},
                       np.zeros((3, 6), int))]  # fmt: skip
    write_ground_truth(tmp_path, many)
    list_of_many = (tmp_path / 'wider_easy_val.mat').read_bytes()
    write_ground_truth(tmp_path, few)
    (tmp_path / 'wider_easy_val.mat').write_bytes(list_of_many)
    with pytest.raises(ValueError, match=r'wider_easy_val\.mat: 0--A/b: face numbers 1 to 3 of'):
        read_ground_truth(tmp_path)


def test_names_have_an_event(tmp_path: Path) -> None:
    image = ImageTruth('photo', np.ones((1, 4)), {}, np.zeros((1, 6), int))
    with pytest.raises(ValueError, match="'photo': expected event/file"):
        write_ground_truth(tmp_path, [image])
