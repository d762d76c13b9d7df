"""A checkpoint that holds code: no program runs it, and each says what to do."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from mmext.errors import run_tool
from mmext.host_repairs.checkpoint_reading import trust_checkpoints

Tool = Callable[[str], ModuleType]

WAYS: dict[str, tuple[str, ...]] = {
    'test': ('test', '{config}', '{file}'),
    'infer': ('infer', '{photo}', '--checkpoint', '{file}', '--config', '{config}'),
    'infer, stored config': ('infer', '{photo}', '--checkpoint', '{file}'),
    'resume': ('train', '{config}', '--no-pretrained', '--resume', '{file}'),
    'resume, recorded': ('train', '{config}', '--no-pretrained', '--work-dir', '{recorded}',
                         '--resume'),
    'load_from': ('train', '{config}', '--cfg-options', 'load_from={file}',
                  'model.backbone.init_cfg=None'),
    'pretrained': ('train', '{config}', '--cfg-options',
                   'model.backbone.init_cfg.checkpoint={file}'),
    'pretrained from the network': ('train', '{config}', '--cfg-options',
                                    'model.backbone.init_cfg.checkpoint=http://127.0.0.1:9/x.pth'),
    'convert': ('convert_checkpoint', 'retinaface', '{file}', '--config', 'mmext::retinaface.py',
                '--out', '{tmp}/converted.pth'),
    'export': ('export_onnx', 'mmext::retinaface.py', '{file}', '--out', '{tmp}/x.onnx'),
    'mlflow': ('mlflow_model', '{file}', '--tracking-uri', 'sqlite:///{tmp}/x.db'),
    'benchmark': ('benchmark', 'coco', '{config}={file}', '--quick', '--device', 'cpu', '--out',
                  '{tmp}/b', '--mlflow', 'off'),
}  # fmt: skip


class Hostile:
    """Makes a folder when it is read as a pickle."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.folder,)


@pytest.fixture(autouse=True)
def _not_trusted() -> Iterator[None]:
    yield
    trust_checkpoints(False)


@pytest.fixture
def places(config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """A hostile file: by its name, in the cache of torch, and recorded as the last checkpoint."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    monkeypatch.chdir(tmp_path)
    cache, recorded = tmp_path / 'torch' / 'hub' / 'checkpoints', tmp_path / 'recorded'
    content = {'state_dict': {'w': torch.ones(1)}, 'meta': {'x': Hostile(tmp_path / 'run')}}
    for folder in (tmp_path, cache, recorded):
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(content, folder / 'x.pth')
    (recorded / 'last_checkpoint').write_text(str(recorded / 'x.pth'))
    cv2.imwrite(str(tmp_path / 'photo.png'), np.zeros((8, 8, 3), np.uint8))
    return dict(
        config=config_file,
        file=tmp_path / 'x.pth',
        photo=tmp_path / 'photo.png',
        recorded=recorded,
        tmp=tmp_path,
    )


@pytest.mark.parametrize('way', WAYS)
def test_no_program_runs_it(
    way: str, places: dict[str, Path], tool: Tool, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *arguments = (word.format(**places) for word in WAYS[way])
    code = run_tool(tool(name).main, arguments)
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error: ')]
    assert not (places['tmp'] / 'run').exists()
    assert code == 2 and len(error) == 1
    for word in ('mkdir', 'x.pth', '--trust-checkpoint'):
        assert word in error[0]


@pytest.mark.parametrize('way', ['convert', 'resume'])
def test_it_is_run_for_those_who_trust(way: str, places: dict[str, Path], tool: Tool) -> None:
    name, *arguments = (word.format(**places) for word in WAYS[way])
    run_tool(tool(name).main, [*arguments, '--trust-checkpoint'])
    assert (places['tmp'] / 'run').is_dir()


@pytest.mark.parametrize(
    'text', ["__import__('os').mkdir('run')\na = 1", "model = dict(type='os.mkdir', path='run')"]
)
@pytest.mark.parametrize('way', ['infer, stored config', 'mlflow'])
def test_a_config_inside_is_data(
    way: str,
    text: str,
    places: dict[str, Path],
    tool: Tool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    meta = dict(cfg=text, dataset_meta=dict(classes=('a',)))
    torch.save({'state_dict': {'w': torch.ones(1)}, 'meta': meta}, places['file'])
    name, *arguments = (word.format(**places) for word in WAYS[way])
    assert run_tool(tool(name).main, arguments) == 2
    assert 'needs code, which is not run' in capsys.readouterr().err
    assert not (places['tmp'] / 'run').exists()
