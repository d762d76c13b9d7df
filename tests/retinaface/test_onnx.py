"""A RetinaFace as an ONNX file in ``mmext.load``: the results of its checkpoint."""

import runpy
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

import mmext
from mmext.errors import InputError
from mmext.inference.onnx_export import export_file, export_onnx, load_network

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs/retinaface/retinaface_mobilenet025_wider.py'
VIEWS = dict(short_edges_px=(60, None), max_long_edge_px=140, flip=True)


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with random weights that finds faces everywhere."""
    config = Config.fromfile(CONFIG)
    config.model.backbone.init_cfg = None
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    for branch in model.bbox_head.modules():
        if isinstance(branch, torch.nn.Conv2d) and branch.kernel_size == (1, 1):
            torch.nn.init.normal_(branch.weight, std=0.3)
    path = tmp_path_factory.mktemp('weights') / 'face.pth'
    meta = dict(cfg=config.pretty_text, dataset_meta=dict(classes=('face',)))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    return path


@pytest.fixture(scope='module')
def open_size(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network as an ONNX file of any size."""
    pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    out = tmp_path_factory.mktemp('onnx') / 'face.onnx'
    network, description = load_network(Config.fromfile(CONFIG), str(trained))
    export_onnx(network, out, None, description)
    return out


def same_faces(found: mmext.Result, wanted: mmext.Result) -> None:
    """Nearly all of the best: a pair at the very threshold of suppression may fall either way."""
    best = range(min(len(wanted), 20))
    assert len(best) > 10
    same = [
        (np.abs(found.boxes_xyxy - wanted.boxes_xyxy[index]).max(axis=1) < 0.05)
        & (np.abs(found.keypoints - wanted.keypoints[index]).max(axis=(1, 2)) < 0.05)
        & (np.abs(found.scores - wanted.scores[index]) < 1e-3)
        for index in best
    ]
    assert np.any(same, axis=1).mean() >= 0.9
    assert set(found.names) == {'face'} and found.image.shape == wanted.image.shape


@pytest.mark.parametrize(
    'changes',
    [
        {},
        {'model.data_preprocessor.pad_size_divisor': 32, 'model.data_preprocessor.pad_value': 7},
        {'test_dataloader.dataset.pipeline.1.scale_factor': 0.6},
        {
            'model.test_cfg.views': dict(
                short_edges_px=(60, None), max_long_edge_px=140, flip=True
            ),
            'model.test_cfg.vote': True,
        },
    ],
    ids=['as it is', 'padded', 'resized', 'views'],
)
def test_an_onnx_file_gives_the_results_of_its_checkpoint(
    changes: dict[str, Any], trained: Path, open_size: Path
) -> None:
    config = Config.fromfile(CONFIG)
    config.merge_from_dict({**changes, 'model.test_cfg.max_per_img': 40})
    photos = np.random.default_rng(0).integers(0, 256, (2, 70, 101, 3), dtype=np.uint8)
    with_torch = mmext.load(trained, config, device='cpu', precision='fp32')
    with_onnx = mmext.load(open_size, config, device='cpu')
    for found, wanted in zip(with_onnx(list(photos)), with_torch(list(photos)), strict=True):
        same_faces(found, wanted)


@pytest.mark.parametrize('backend', ['onnxruntime', 'openvino'])
def test_suppression_inside_finds_the_same_faces(
    backend: str, trained: Path, tmp_path: Path
) -> None:
    pytest.importorskip(backend)
    config = Config.fromfile(CONFIG)
    config.model.test_cfg.max_per_img = 40
    out = tmp_path / 'face.onnx'
    export_file(config, str(trained), out, None, with_nms=True)
    photos = list(np.random.default_rng(0).integers(0, 256, (2, 70, 101, 3), dtype=np.uint8))
    with_torch = mmext.load(trained, config, device='cpu', precision='fp32')
    with_onnx = mmext.load(out, backend=backend, precision='fp32')
    for found, wanted in zip(with_onnx(photos), with_torch(photos), strict=True):
        assert len(found) == len(wanted) == 40
        same_faces(found, wanted)
    # a batch in one run: fixed numbers, nothing after the last face
    outputs = with_onnx.predictor.runner(torch.zeros(2, 3, 64, 64))
    assert [tuple(values.shape) for values in outputs] == [(2, 40, 4), (2, 40), (2, 40, 5, 2)]
    config.model.test_cfg.views = VIEWS
    with pytest.raises(InputError, match='--nms: views'):
        export_file(config, str(trained), out, None, with_nms=True)


def test_the_description_in_an_onnx_file_is_enough(
    trained: Path, open_size: Path, tmp_path: Path
) -> None:
    photo = np.random.default_rng(1).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    model = mmext.load(open_size)
    assert 'RetinaFace in ONNX, 1 class, on c' in repr(model)
    same_faces(model(photo), mmext.load(trained, device='cpu', precision='fp32')(photo))
    for index in range(2):
        cv2.imwrite(str(tmp_path / f'{index}.png'), photo)
    assert len(list(model.stream(tmp_path))) == 2
    arguments = [str(tmp_path), '--checkpoint', str(open_size), '--out', str(tmp_path / 'out')]
    runpy.run_path(str(ROOT / 'tools/infer.py'))['main'](arguments)
    assert sorted(path.name for path in (tmp_path / 'out/pictures').iterdir()) == ['0.png', '1.png']


def test_an_onnx_file_of_a_fixed_size_takes_other_sizes(open_size: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip('onnx')
    model = onnx.load(open_size)  # as `--size 96 64` states it
    for dim, side in zip(
        model.graph.input[0].type.tensor_type.shape.dim[2:], (96, 64), strict=True
    ):
        dim.dim_value = side
    out = tmp_path / 'face.onnx'
    onnx.save(model, out)
    photo = np.random.default_rng(1).integers(0, 256, (48, 32, 3), dtype=np.uint8)
    doubled = cv2.resize(photo, (64, 96), interpolation=cv2.INTER_LINEAR)
    found, wanted = mmext.load(out)(photo), mmext.load(out)(doubled)
    distances = np.abs(wanted.boxes_xyxy - 2 * found.boxes_xyxy[0]).max(axis=1)
    assert distances.min() < 0.05
    wide = mmext.load(out)(np.concatenate([doubled, doubled], axis=1))  # filled up below
    assert len(wide) > 0 and wide.size_wh == (128, 96)


def test_onnx_files_that_cannot_be_used(open_size: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip('onnx')
    (tmp_path / 'broken.onnx').write_bytes(b'nothing')
    with pytest.raises(InputError, match=r'broken\.onnx: cannot be read as an ONNX file'):
        mmext.load(tmp_path / 'broken.onnx')
    with pytest.raises(InputError, match=r'none\.onnx'):
        mmext.load(tmp_path / 'none.onnx')
    with pytest.raises(InputError, match="is of fp32, got 'bf16'"):
        mmext.load(open_size, precision='bf16')
    with pytest.raises(InputError, match='device xpu: this onnxruntime has'):
        mmext.load(open_size, device='xpu')
    model = onnx.load(open_size)
    text = next(entry.value for entry in model.metadata_props)
    for written, message in (
        (None, 'no description'),
        ('{}', 'export it again'),
        (text.replace('"version": 1', '"version": 2'), 'has version 2'),
        (text.replace('"Resize"', '"os.system"'), r'resize: .*os\.system'),
        (text.replace('"score_thr": 0.02', '"score_thr": NaN'), 'score_thr'),
        (text.replace('["face"]', '"face"'), 'classes'),
    ):
        assert written != text
        del model.metadata_props[:]
        if written is not None:
            onnx.helper.set_model_props(model, {'mmext': written})
        onnx.save(model, tmp_path / 'changed.onnx')
        with pytest.raises(InputError, match=message):
            mmext.load(tmp_path / 'changed.onnx')
