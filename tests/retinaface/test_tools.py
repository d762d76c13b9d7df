"""The tools on a RetinaFace: convert a checkpoint of the port, predict with it, export it."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch
from port_network import MobileNet, PortNetwork, randomise

from mmext.errors import run_tool

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs/retinaface/retinaface_mobilenet025_wider.py'


def tool(name: str) -> ModuleType:
    """A program of ``tools/``, as a module."""
    spec = importlib.util.spec_from_file_location(f'tool_{name}', ROOT / f'tools/{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def port() -> PortNetwork:
    """The port's network with random weights."""
    return randomise(PortNetwork(MobileNet(), [64, 128, 256], 64))


@pytest.fixture(scope='module')
def converted(port: PortNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its checkpoint, through the tool."""
    folder = tmp_path_factory.mktemp('port')
    torch.save(port.state_dict(), folder / 'port.pth')
    arguments = ['retinaface', str(folder / 'port.pth'), '--config', str(CONFIG)]
    out = folder / 'ours.pth'
    assert run_tool(tool('convert_checkpoint').main, [*arguments, '--out', str(out)]) == 0
    return out


def test_the_report_counts_every_key(
    port: PortNetwork, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({'state_dict': port.state_dict()}, tmp_path / 'port.pth')
    arguments = ['retinaface', str(tmp_path / 'port.pth'), '--config', str(CONFIG)]
    arguments += ['--out', str(tmp_path / 'ours.pth')]
    assert run_tool(tool('convert_checkpoint').main, arguments) == 0
    printed = capsys.readouterr().out
    assert 'port.pth: 300 keys' in printed and 'used:    300 keys' in printed
    assert 'dropped: 0 keys' in printed and 'left:    0 keys' in printed


def test_a_checkpoint_of_another_backbone_is_one_line(
    port: PortNetwork, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(port.state_dict(), tmp_path / 'port.pth')
    arguments = ['retinaface', str(tmp_path / 'port.pth')]
    arguments += ['--config', str(ROOT / 'configs/retinaface.py'), '--out', str(tmp_path / 'o.pth')]
    assert run_tool(tool('convert_checkpoint').main, arguments) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith('error: checkpoint ') and 'of different networks' in line


def test_infer_needs_only_the_converted_file(converted: Path, tmp_path: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / 'photo.png'), photo)
    arguments = [str(tmp_path / 'photo.png'), '--checkpoint', str(converted)]
    arguments += ['--out', str(tmp_path / 'out'), '--device', 'cpu']
    assert run_tool(tool('infer').main, arguments) == 0
    faces = json.loads((tmp_path / 'out/predictions.instances.json').read_text())
    faces = faces['annotations'] if isinstance(faces, dict) else faces
    assert len(faces) > 10 and {face['category_id'] for face in faces} == {1}


def test_export_equals_torch_in_onnxruntime(
    port: PortNetwork, converted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnxruntime = pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    out = tmp_path / 'face.onnx'
    arguments = [str(CONFIG), str(converted), '--out', str(out), '--size', '96', '75']
    assert run_tool(tool('export_onnx').main, arguments) == 0
    assert 'differs from torch by at most' in capsys.readouterr().out
    images = torch.rand(3, 3, 96, 75) * 255  # the size of the batch is open
    session = onnxruntime.InferenceSession(str(out), providers=['CPUExecutionProvider'])
    boxes, scores, landmarks = session.run(None, {'image': images.numpy()})
    assert boxes.shape == (3, 318, 4) and landmarks.shape == (3, 318, 5, 2)
    with torch.no_grad():
        logits, _, _ = port(images - torch.tensor([104.0, 117.0, 123.0]).view(3, 1, 1))
    wanted = logits.softmax(-1)[..., 1]
    torch.testing.assert_close(torch.from_numpy(scores), wanted, rtol=1e-4, atol=1e-4)


def test_export_refuses_weights_of_another_model(
    converted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip('onnxscript')
    config = tmp_path / 'other.py'
    config.write_text("_base_ = 'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py'\n")
    arguments = [str(config), str(converted), '--out', str(tmp_path / 'face.onnx')]
    assert run_tool(tool('export_onnx').main, arguments) == 2
    said = capsys.readouterr().err
    assert converted.name in said and not (tmp_path / 'face.onnx').exists()
