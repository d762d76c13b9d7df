"""mmext import: an export becomes a training that starts."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from mmext.errors import run_tool
from mmext.formats.wider_face_files import read_faces


@pytest.fixture
def yolo(tmp_path: Path) -> Path:
    """Ten photos of grey noise with one white box each."""
    folder = tmp_path / 'export'
    for name in ('images', 'labels'):
        (folder / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(10):
        picture = rng.integers(0, 90, (64, 64, 3), np.uint8)
        left, top = rng.integers(0, 40, 2)
        picture[top : top + 20, left : left + 20] = 255
        Image.fromarray(picture).save(folder / f'images/{index}.png')
        center = f'{(left + 10) / 64} {(top + 10) / 64}'
        (folder / f'labels/{index}.txt').write_text(f'0 {center} {20 / 64} {20 / 64}\n')
    (folder / 'data.yaml').write_text('train: images\nnames: [box]\n')
    return folder


CONFIG = """
_base_ = 'mmext::centernet_demo.py'
data_root = ''
metainfo = dict(_delete_=True, classes='auto')
model = dict(bbox_head=dict(num_classes=1))
train_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False, dataset=dict(
    data_root='', metainfo=metainfo, ann_file='{train}', data_prefix=dict(img='{photos}')))
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(
    data_root='', metainfo=metainfo, ann_file='{val}', data_prefix=dict(img='{photos}')))
val_evaluator = dict(ann_file='{val}')
test_dataloader, test_evaluator = val_dataloader, val_evaluator
train_cfg = dict(max_iters=1, val_interval=1)
"""


def test_an_export_is_trained_on(
    yolo: Path,
    tmp_path: Path,
    tool: Callable[[str], ModuleType],
    call: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / 'mine' / 'all.json'
    tool('import_labels').main(['yolo', str(yolo), '--out', str(out), '--val-share', '0.3'])
    printed = capsys.readouterr().out
    assert '7 photos, 7 objects' in printed and '3 photos, 3 objects' in printed
    train, val = (out.with_stem(f'all_{name}') for name in ('train', 'val'))
    names = [
        {image['file_name'] for image in json.loads(file.read_text())['images']}
        for file in (train, val)
    ]
    assert not names[0] & names[1] and len(names[0] | names[1]) == 10
    config = tmp_path / 'mine.py'
    config.write_text(CONFIG.format(train=train, val=val, photos=yolo / 'images'))
    call('train', config, '--work-dir', tmp_path / 'work', '--no-pretrained', '--mlflow', 'off')
    assert 'mAP' in capsys.readouterr().out


def test_outlines_become_a_panoptic_training(
    tmp_path: Path,
    tool: Callable[[str], ModuleType],
    call: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    photos = tmp_path / 'export'
    photos.mkdir()
    for name in ('a', 'b', 'c', 'd'):
        Image.fromarray(np.full((64, 96, 3), 90, np.uint8)).save(photos / f'{name}.png')
        shapes = [
            dict(label='ball', points=[[10, 10], [50, 10], [50, 50], [10, 50]]),
            dict(label='sky', points=[[0, 0], [96, 0], [96, 30], [0, 30]]),
            dict(label='sand', points=[[0, 30], [96, 30], [96, 64], [0, 64]]),
        ]
        data = dict(shapes=shapes, imagePath=f'{name}.png')
        (photos / f'{name}.json').write_text(json.dumps(data))
    out = tmp_path / 'mine/all.json'
    command = ['labelme', str(photos), '--out', str(out), '--val-share', '0.5']
    tool('import_labels').main([*command, '--stuff', 'sky', 'sand'])
    assert '2 photos, 6 segments' in capsys.readouterr().out
    files = [f'--{name}={out.with_stem(f"all_{name}")}' for name in ('train', 'val')]
    config = tmp_path / 'mine.py'
    tool('new_config').main(['upsnet_demo', *files, f'--photos={photos}', f'--out={config}'])
    options = ['train_cfg.max_iters=1', 'train_cfg.val_interval=1', 'train_dataloader.batch_size=2']
    options += [f'{name}_dataloader.num_workers=0' for name in ('train', 'val')]
    call(
        'train', config, '--work-dir', tmp_path / 'work', '--no-pretrained', '--mlflow', 'off',
        '--cfg-options', *options,
    )  # fmt: skip
    printed = capsys.readouterr().out
    assert 'coco_panoptic/PQ' in printed and 'mIoU' in printed


def test_frames_of_a_clip_are_not_shared_out(
    yolo: Path, tmp_path: Path, tool: Callable[[str], ModuleType]
) -> None:
    for index in range(10):
        clip = 'first' if index < 6 else 'second'
        for folder, suffix in (('images', 'png'), ('labels', 'txt')):
            file = yolo / folder / f'{index}.{suffix}'
            file.rename(file.with_stem(f'{clip}_{index}'))
    out = tmp_path / 'all.json'
    command = ['yolo', str(yolo), '--out', str(out), '--val-share', '0.2']
    tool('import_labels').main([*command, '--group', r'(\w+)_\d'])
    clips = [
        {image['file_name'].partition('_')[0] for image in json.loads(file.read_text())['images']}
        for file in (out.with_stem('all_train'), out.with_stem('all_val'))
    ]
    assert clips in ([{'first'}, {'second'}], [{'second'}, {'first'}])
    assert run_tool(tool('import_labels').main, [*command, '--group', 'folder']) == 2


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Four photos of one face each, in LabelMe, with its landmarks in a group."""
    folder = tmp_path / 'faces'
    folder.mkdir()
    landmarks = dict(
        left_eye=[30, 30], right_eye=[50, 30], nose=[40, 40], left_mouth=[32, 50],
        right_mouth=[48, 50],
    )  # fmt: skip
    for name in ('a b', 'b', 'c', 'd'):
        Image.fromarray(np.full((96, 96, 3), 90, np.uint8)).save(folder / f'{name}.png')
        shapes = [dict(label='head', shape_type='rectangle', points=[[20, 20], [60, 60]])]
        shapes += [
            dict(label=key, shape_type='point', points=[place]) for key, place in landmarks.items()
        ]
        for shape in shapes:
            shape['group_id'] = 1
        data = dict(shapes=shapes, imagePath=f'{name}.png')
        (folder / f'{name}.json').write_text(json.dumps(data))
    return folder


def test_faces_become_a_training_of_retinaface(
    faces: Path,
    tmp_path: Path,
    tool: Callable[[str], ModuleType],
    call: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / 'mine/all.txt'
    tool('import_labels').main(['labelme', str(faces), '--out', str(out), '--val-share', '0.5'])
    assert '2 photos, 2 faces' in capsys.readouterr().out
    files = [out.with_stem(f'all_{name}') for name in ('train', 'val')]
    (read,) = [f for file in files for f in read_faces(file) if f.name == 'a b.png']
    assert read.size == (96, 96) and read.boxes_xywh.tolist() == [[20, 20, 40, 40]]
    assert read.landmarks[0].tolist() == [[30, 30], [50, 30], [40, 40], [32, 50], [48, 50]]
    assert (read.visible == 2).all()
    flags = [f'--{name}={file}' for name, file in zip(('train', 'val'), files, strict=True)]
    flags += [f'--photos={faces}', f'--out={tmp_path / "mine.py"}']
    tool('new_config').main(['retinaface/retinaface_mobilenet025_wider', *flags])
    options = [
        'train_cfg.max_epochs=1',
        'train_cfg.val_interval=1',
        'train_dataloader.batch_size=2',
    ]
    for name in ('train', 'val'):
        options += [f'{name}_dataloader.num_workers=0']
        options += [f'{name}_dataloader.persistent_workers=False']
    call(
        'train', tmp_path / 'mine.py', '--work-dir', tmp_path / 'work', '--no-pretrained',
        '--mlflow', 'off', '--cfg-options', *options,
    )  # fmt: skip
    printed = capsys.readouterr().out
    assert 'wider_face/AP_all' in printed and 'NME' in printed


@pytest.mark.parametrize(
    ('base', 'suffix', 'message'),
    [
        ('retinaface', '.json', 'learns from files of faces'),
        ('centernet', '.txt', 'learns from COCO files'),
        ('retinaface_demo', '.txt', 'learns attributes and mesh as well'),
    ],
)
def test_faces_and_other_systems(
    base: str,
    suffix: str,
    message: str,
    faces: Path,
    tmp_path: Path,
    tool: Callable[[str], ModuleType],
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / f'all{suffix}'
    tool('import_labels').main(['labelme', str(faces), '--out', str(out)])
    flags = [base, f'--train={out}', f'--val={out}', f'--photos={faces}']
    assert run_tool(tool('new_config').main, [*flags, f'--out={tmp_path / "x.py"}']) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['yolo', '/nowhere'], '/nowhere is not there'),
        (['labelme', '.', '--val-share', '2'], '--val-share'),
        (['labelme', '.', '--out', 'x.xml'], '--out: expected NAME.json'),
    ],
)
def test_one_line(
    arguments: list[str],
    message: str,
    tool: Callable[[str], ModuleType],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ['--out', str(tmp_path / 'x.json'), *arguments]
    assert run_tool(tool('import_labels').main, command) == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1
