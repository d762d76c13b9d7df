"""tools/prepare_data.py for landmarks: miniatures in the real layouts, and broken ones."""

import argparse
import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import landmark_set_files as files
import numpy as np
import pytest
from scipy.io import savemat

from mmext.cli.prepare.data_sets import DATA_SETS
from mmext.errors import InputError, MissingFileError, MissingPackageError
from mmext.formats.landmark_sets import LANDMARK_SETS
from mmext.formats.landmarks.faces_300w import read_pts
from mmext.metrics.landmarks.ground_truth import read_truths
from mmext.pipelines.keypoint_coco_dataset import CocoKeypointDataset

try:
    import h5py  # noqa: F401

    HAS_H5PY = True
except ImportError:
    HAS_H5PY = False


def prepare(name: str, root: Path, *flags: str) -> None:
    module = importlib.import_module(DATA_SETS[name].module)
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    module.run(parser.parse_args(['--root', str(root), *flags]))


def check(root: Path, name: str, kind: str, truth: files.Truth, photos: str) -> None:
    """The JSON files hold what was written; our data set and metrics read them."""
    points = LANDMARK_SETS[kind]
    for split, expected in truth.items():
        path = root / f'annotations/{name}_{split}.json'
        content = json.loads(path.read_text())
        names = {image['id']: image['file_name'] for image in content['images']}
        assert [i['width'] for i in content['images']] == [files.WIDTH] * len(names)
        assert [i['height'] for i in content['images']] == [files.HEIGHT] * len(names)
        annotations = content['annotations']
        assert [a['id'] for a in annotations] == list(range(1, len(expected) + 1))
        for annotation, (photo, box, triples) in zip(annotations, expected, strict=True):
            assert names[annotation['image_id']] == photo
            found = np.array(annotation['keypoints']).reshape(-1, 3)
            np.testing.assert_allclose(found, triples, atol=1e-3)
            known = triples[triples[:, 2] > 0, :2]
            assert annotation['num_keypoints'] == len(known)
            if box is None:
                low, high = known.min(axis=0), known.max(axis=0)
                box = [*low, *(high - low)]
            np.testing.assert_allclose(annotation['bbox'], box, atol=1e-3)
        data = CocoKeypointDataset(
            ann_file=str(path),
            data_prefix=dict(img=str(root / photos)),
            landmark_set=kind,
            test_mode=True,
            pipeline=[],
        )
        assert len(data) == len(names)
        assert data.metainfo['keypoints'] == points.keypoints
        assert data.metainfo['classes'] == (points.category,)
        assert Path(data.get_data_info(0)['img_path']).is_file()
        assert sum(len(truth.boxes) for truth in read_truths(path).values()) == len(expected)
        sheet = cv2.imread(str(path.with_suffix('.png')))
        assert sheet.shape[0] > 300
        assert sheet.std() > 20


@pytest.mark.parametrize(
    ('name', 'kind', 'write', 'photos', 'flags'),
    [
        ('300w', '300w', files.write_300w, '', ()),
        ('wflw', 'wflw', files.write_wflw, 'WFLW_images', ()),
        ('cofw', 'cofw', files.write_cofw, 'images', ()),
        ('aflw', 'aflw', files.write_aflw, 'flickr', ('--num-train', '2')),
        ('mpii', 'mpii', files.write_mpii, 'images', ()),
        ('mpii', 'mpii', files.write_mpii_one_file, 'images', ()),
        ('mpii', 'mpii', files.write_mpii_released, 'images', ('--splits', 'train')),
        ('lsp', 'lsp', files.write_lsp, '', ()),
        ('lsp', 'lsp', files.write_lspet, '', ('--splits', 'train')),
        ('face-labels', 'face_5', files.write_face_labels, '', ()),
    ],
)
def test_a_set_becomes_coco(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    kind: str,
    write: Callable[[Path], files.Truth],
    photos: str,
    flags: tuple[str, ...],
) -> None:
    truth = write(tmp_path)
    prepare(name, tmp_path, *flags)
    name = name.removesuffix('-labels').replace('face', 'faces')
    check(tmp_path, name, kind, truth, photos)
    said = capsys.readouterr().out
    for split, objects in truth.items():
        assert f'{name}_{split}.json – ' in said
        assert f'{len(objects)} objects' in said
    assert f"landmark_set='{kind}'" in said


@pytest.mark.skipif(not HAS_H5PY, reason='h5py is not installed')
def test_cofw_as_it_is_released(tmp_path: Path) -> None:
    truth = files.write_cofw_hdf5(tmp_path)
    prepare('cofw', tmp_path)
    check(tmp_path, 'cofw', 'cofw', truth, 'images')
    pictures = files.cofw_tables('train')[0]
    gray, color = (cv2.imread(str(tmp_path / f'images/train_000{n}.png')) for n in (1, 2))
    np.testing.assert_array_equal(gray[..., 0], pictures[0])
    np.testing.assert_array_equal(color[..., ::-1], pictures[1])


def test_cofw_without_h5py_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'COFW_train_color.mat').write_bytes(bytes(512) + b'\x89HDF\r\n\x1a\n' + bytes(99))
    monkeypatch.setitem(sys.modules, 'h5py', None)
    with pytest.raises(MissingPackageError, match=r'7\.3 \(HDF5\): pip install h5py'):
        prepare('cofw', tmp_path)


@pytest.mark.parametrize('part', ['body', 'whole', 'feet', 'face', 'hands'])
def test_parts_of_whole_bodies(tmp_path: Path, part: str) -> None:
    truth = files.write_whole_body(tmp_path, part)
    prepare('coco-keypoints', tmp_path, '--part', part)
    kinds = dict(
        body='coco', whole='coco_wholebody', feet='coco_feet', face='300w', hands='coco_hand'
    )
    check(tmp_path, f'coco_{part}', kinds[part], truth, '')
    annotation = json.loads((tmp_path / f'annotations/coco_{part}_val.json').read_text())[
        'annotations'
    ][-1]
    if part == 'hands':
        assert annotation['side'] == 'right'
    if part in ('body', 'whole'):
        assert annotation['area'] == 1234


def test_subsets_and_heads_come_along(tmp_path: Path) -> None:
    for name in ('300w', 'wflw', 'aflw', 'mpii'):
        (tmp_path / name).mkdir()
        getattr(files, f'write_{name}')(tmp_path / name)
        prepare(name, tmp_path / name, *(['--num-train', '2'] if name == 'aflw' else []))

    def subsets(name: str, split: str) -> list[set[str]]:
        truths = read_truths(tmp_path / f'{name}/annotations/{name}_{split}.json')
        return [set(own) for truth in truths.values() for own in truth.subsets]

    assert subsets('300w', 'val') == [{'common'}, {'common'}, {'challenge'}]
    assert subsets('300w', 'train') == [set()] * 3
    assert subsets('wflw', 'test') == [{'large_pose'}, {'occlusion', 'blur'}, set()]
    assert subsets('aflw', 'train') == [set(), {'frontal'}]
    truths = read_truths(tmp_path / 'mpii/annotations/mpii_val.json')
    heads = np.concatenate([truth.heads for truth in truths.values()])
    np.testing.assert_allclose(heads, [[9.5, 19.5, 29.5, 44.5], [11.5, 21.5, 32.5, 48.5]])
    without = read_truths(tmp_path / 'mpii/annotations/mpii_train.json')
    assert all(np.isnan(truth.heads).all() for truth in without.values())


def test_heads_of_the_released_file_are_not_cut_to_8_bits(tmp_path: Path) -> None:
    files.write_mpii_released(tmp_path)
    prepare('mpii', tmp_path, '--splits', 'train')
    content = json.loads((tmp_path / 'annotations/mpii_train.json').read_text())
    assert {tuple(a['head_bbox']) for a in content['annotations']} == {(199.5, 19.5, 30, 40)}


def broken(name: str, write: Callable[[Path], object], spoil: Callable[[Path], object]) -> Callable:
    def make(root: Path) -> str:
        write(root)
        spoil(root)
        return name

    return make


def replace(name: str, old: str, new: str) -> Callable[[Path], object]:
    def spoil(root: Path) -> None:
        path = root / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return spoil


def nothing(root: Path) -> None:
    """Spoils or writes nothing."""


def matlab(name: str, **content: object) -> Callable[[Path], object]:
    return lambda root: savemat(root / name, content)


WHOLE_BODY = 'annotations/coco_wholebody_train_v1.0.json'
WFLW_LIST = 'WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_train.txt'


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda root: '300w', 'no folder afw below'),
        (
            broken('300w', files.write_300w, replace('afw/1.pts', ':  68', ':  67')),
            r'afw/1\.pts: n_points is 67, but 136 numbers',
        ),
        (
            broken('300w', files.write_300w, replace('afw/1.pts', '{', '')),
            r'afw/1\.pts: no \.pts file: expected "version: 1"',
        ),
        (
            broken('300w', files.write_300w, lambda root: (root / 'afw/1.jpg').unlink()),
            r'afw/1\.pts: no photo of that name beside it',
        ),
        (
            broken('300w', files.write_300w, lambda root: (root / 'afw/1.jpg').write_text('x')),
            r'afw/1\.jpg: cannot be read as an image',
        ),
        (lambda root: 'wflw', 'it is in WFLW_annotations'),
        (
            broken('wflw', files.write_wflw, replace(WFLW_LIST, ' 5 6 80 70 ', ' 5 6 80 ')),
            r'train\.txt, line 1: expected 206 numbers|train\.txt, line 1: could not convert',
        ),
        (
            broken('wflw', files.write_wflw, replace(WFLW_LIST, ' 5 6 80 70 ', ' 5 6 x 70 ')),
            r'line 1: could not convert',
        ),
        (
            broken('wflw', files.write_wflw, replace(WFLW_LIST, '5 6 80 70 1', '5 6 80 70 3')),
            'line 1: the box or the attributes are none',
        ),
        (
            broken(
                'wflw',
                files.write_wflw,
                lambda root: (root / 'WFLW_images/0--Parade/a b.jpg').unlink(),
            ),
            '1 of 1 photos are not below .*, for example 0--Parade/a b.jpg',
        ),
        (lambda root: 'aflw', r'AFLWinfo_release\.mat: no such file; it comes with the code'),
        (
            broken('aflw', nothing, matlab('AFLWinfo_release.mat', bbox=1)),
            r'no data, mask_new, nameList, ra in it; it has \[\'bbox\'\]',
        ),
        (lambda root: 'mpii', 'no train.json, mpii_annotations.json or, for training'),
        (
            broken('mpii', files.write_mpii, replace('annot/train.json', '"joints"', '"points"')),
            r"train\.json, person 0: KeyError: 'joints'",
        ),
        (
            broken(
                'mpii',
                files.write_mpii,
                matlab('annot/mpii_gt_val.mat', headboxes_src=np.zeros((2, 2, 3))),
            ),
            r'headboxes_src: expected \[2, 2, 2\], got \[2, 2, 3\]',
        ),
        (lambda root: 'lsp', r'joints\.mat: no such file; unpack LSP there'),
        (
            broken('lsp', nothing, matlab('joints.mat', joints=np.zeros((4, 14, 9)))),
            r'expected \[3, 14, N\] or \[14, 3, N\], got \[4, 14, 9\]',
        ),
        (
            broken('lsp', nothing, lambda root: (root / 'joints.mat').write_text('no mat')),
            r'joints\.mat: cannot be read as a \.mat file',
        ),
        (broken('lsp', files.write_lspet, nothing), 'the extension of LSP has no test split'),
        (lambda root: 'cofw', r'COFW_train_color\.mat: it is in COFW_color\.zip'),
        (lambda root: 'coco-keypoints', 'it comes from COCO, person_keypoints'),
        (lambda root: 'face-labels', r'neither .*train\.txt nor .*label\.txt: name the files'),
        (
            broken('face-labels', files.write_face_labels, replace('train.txt', '-1 -1 -1', '-1')),
            r'train\.txt:2: expected',
        ),
        (
            broken(
                'coco-keypoints',
                lambda root: files.write_whole_body(root, 'body'),
                replace(WHOLE_BODY, '"keypoints": [', '"keypoints": [1, '),
            ),
            r'annotation 0: expected 17 points, got 17\.33',
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_clear_error(
    tmp_path: Path, make: Callable[[Path], str], message: str
) -> None:
    name = make(tmp_path)
    with pytest.raises(InputError, match=message):
        prepare(name, tmp_path)
    assert not list(tmp_path.glob('annotations/*_train.json'))


def test_photos_of_another_set_are_noticed(tmp_path: Path) -> None:
    files.write_lsp(tmp_path)
    for path in (tmp_path / 'images').iterdir():
        cv2.imwrite(str(path), np.zeros((20, 20, 3), np.uint8))
    with pytest.raises(InputError, match='points lie outside of their photos'):
        prepare('lsp', tmp_path)
    with pytest.raises(InputError, match='no such folder'):
        prepare('lsp', tmp_path / 'nowhere')


def test_the_folder_of_the_files_can_be_chosen(tmp_path: Path) -> None:
    files.write_lsp(tmp_path)
    prepare('lsp', tmp_path, '--out', str(tmp_path / 'there'), '--splits', 'test')
    assert sorted(p.name for p in (tmp_path / 'there').iterdir()) == [
        'lsp_test.json',
        'lsp_test.png',
    ]


def test_the_command_and_its_exit_codes(tmp_path: Path) -> None:
    files.write_lsp(tmp_path)
    program = Path(__file__).parents[3] / 'tools/prepare_data.py'
    command = [sys.executable, str(program), 'lsp', '--root', str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    assert 'lsp_test.json – 2 images; 2 objects; points: ' in done.stdout
    (tmp_path / 'images/im0003.jpg').unlink()
    failed = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert failed.returncode == 2
    assert failed.stderr.strip().splitlines()[-1].startswith('error: 1 of 2 photos are not below')


def test_points_files_by_hand(tmp_path: Path) -> None:
    path = tmp_path / 'a.pts'
    path.write_text('version: 1.0\r\nn_points: 2\r\n{\r\n1.5 2\r\n3 4.25\r\n}')
    np.testing.assert_array_equal(read_pts(path), [[1.5, 2], [3, 4.25]])
    path.write_text('version: 1\nn_points: 2\n{\n1.5 2\n3 nan\n}')
    with pytest.raises(InputError, match='n_points is 2'):
        read_pts(path)
    with pytest.raises(MissingFileError):
        read_truths(tmp_path / 'none.json')
