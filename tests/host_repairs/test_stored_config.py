"""Configs inside checkpoints are read as data, equal to what mmengine reads by running them."""

import os
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config

from mmext.errors import InputError
from mmext.host_repairs.stored_config import read_stored_config

CONTENT: dict[str, Any] = dict(
    model=dict(type='mmext.UPSNet', depth=50, mean=[1.5, -2, 1e-5], size=(1, -1), none=None),
    pipeline=[dict(type='mmdet.Resize', scale=(1, 2), keep=True), dict(type='Pad')],
    paramwise=dict(custom_keys={'backbone.0': dict(lr_mult=0.1), 'a b': {}}),
    numbered={1: 'a', 2: [dict(x={'y z': 1})]},
    words='it\'s "quoted"\nwith a second line \\ and ü',
    backend=dict(type='torch.optim.SGD', nms=dict(type='nms', iou_threshold=0.5)),
    empty={},
    lists=[[], (), [[1]], (1,)],
)


def test_reads_what_mmengine_writes() -> None:
    text = Config(CONTENT).pretty_text
    found = read_stored_config({'cfg': text}, 'x.pth')
    assert found.to_dict() == Config.fromstring(text, '.py').to_dict() == CONTENT
    assert type(found.model).__name__ == 'ConfigDict'


@pytest.mark.parametrize(
    'name',
    [
        'mmext::upsnet.py',
        'mmext::retinaface.py',
        'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    ],
)
def test_reads_shipped_configs(name: str) -> None:
    from mmext.configuration import locate_config

    text = Config.fromfile(locate_config(name)).pretty_text
    found = read_stored_config({'cfg': text}, 'x.pth')
    assert found.to_dict() == Config.fromstring(text, '.py').to_dict()


@pytest.mark.parametrize(
    'text',
    [
        'import os',
        'a = __import__("os").mkdir("run")',
        'a = dict(b=[open("run", "w")])',
        'a = [x for x in (1, 2)]',
        'a = (lambda: 1)()',
        'a = f"{1}"',
        'a = dict(**{"b": 1})',
        'a = {**{}}',
        'a = dict([("b", 1)])',
        'a = dict({}, {})',
        'a = b = 1',
        'a.b = 1',
        'a: int = 1',
        'a = ~1',
        'a = -"x"',
        'a = ...',
        'a = b',
        'a = 1 if True else 2',
        'def f(): pass',
        'mkdir("run")',
        '_base_ = "other.py"',
        'custom_imports = dict(imports=["antigravity"])',
        'a = {[]: 1}',
        'a = (',
        'text = "reserved"',
        'a = ' + '[' * 500 + ']' * 500,
        'a = "\0"',
        # data for mmengine's registries, which import and call what they do not know
        'model = dict(type="os.mkdir", path="run")',
        'model = dict(type="antigravity")',
        'model = dict(head=[dict(type="builtins.exec", a="1")])',
        'model = dict(type="mmengine.load", file="x.pkl")',
        'model = dict(type="mmengine.fileio.load", file="x.pkl")',
        'model = dict(type="torch.load", f="x.pth", weights_only=False)',
        'model = dict(type="torch.hub.load", repo_or_dir="a/b")',
        'model = dict(type="torch.nn.modules.module.torch.load")',
        "model = dict(test_cfg=dict(nms=dict(type=\"__import__('os').mkdir('run')\")))",
        'model = dict(type="TrackA", warp_mode="__import__(\'os\').mkdir(\'run\')")',
    ],
)
def test_code_is_refused_in_one_line(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as raised:
        read_stored_config({'cfg': text}, 'x.pth')
    message = str(raised.value)
    assert 'x.pth needs code' in message and '--config FILE' in message and '\n' not in message
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize('meta', [{}, {'cfg': None}, {'cfg': b'a = 1'}])
def test_no_config(meta: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r'x.pth carries no config.*--config'):
        read_stored_config(meta, 'x.pth')
