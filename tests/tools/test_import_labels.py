"""mmext import: an export becomes a training that starts."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from mmext.errors import run_tool


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


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['yolo', '/nowhere'], '/nowhere is not there'),
        (['labelme', '.', '--val-share', '2'], '--val-share'),
    ],
)
def test_one_line(
    arguments: list[str],
    message: str,
    tool: Callable[[str], ModuleType],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = [*arguments, '--out', str(tmp_path / 'x.json')]
    assert run_tool(tool('import_labels').main, command) == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1
