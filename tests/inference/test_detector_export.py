"""Detectors as ONNX files: the pictures of their checkpoints, in every runtime that is there."""

import runpy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from written_checkpoints import CHANGES, write_checkpoint

import mmext
from mmext.errors import InputError
from mmext.formats.onnx_metadata import read_metadata
from mmext.inference.deployments import deployment_of
from mmext.inference.onnx_export import export_file
from mmext.inference.parts_description import KEY
from mmext.layers.graph_writing import LARGEST_GAP, NEEDED
from mmext.registry import MODELS

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(
    not all(find_spec(name) for name in NEEDED), reason='needs the extra export'
)
BACKENDS = [
    pytest.param(name, marks=pytest.mark.skipif(not find_spec(name), reason=f'no {name}'))
    for name in ('onnxruntime', 'openvino')
]
SIZES = {'vpsnet_demo.py': (128, 160)}  # its fuse neck wants one


def noise(height: int, width: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Blobs of several sizes, in which random weights see something."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))


@pytest.fixture(scope='module')
def exported(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Checkpoint and ONNX file of each detector, written when first asked for."""
    folder, written = tmp_path_factory.mktemp('detectors'), {}

    def write(name: str) -> tuple[Path, Path]:
        if name not in written:
            weights = folder / f'{Path(name).stem}.pth'
            config = write_checkpoint(name, weights)
            gaps = export_file(config, str(weights), weights.with_suffix('.onnx'), SIZES.get(name))
            assert max(gaps.values()) < LARGEST_GAP
            written[name] = weights, weights.with_suffix('.onnx')
        return written[name]

    return write


def same(found: mmext.Result, wanted: mmext.Result) -> None:
    """Nearly all: two scores a last bit apart may change places, and a pixel its side."""
    assert found.size_wh == wanted.size_wh
    if wanted.panoptic_map is not None:
        assert (found.panoptic_map == wanted.panoptic_map).mean() > 0.99
    assert len(wanted) > 3 and abs(len(found) - len(wanted)) <= max(1, len(wanted) // 20)
    np.testing.assert_allclose(
        np.sort(found.scores)[::-1][:10], np.sort(wanted.scores)[::-1][:10], rtol=0, atol=1e-3
    )
    near = np.abs(found.boxes_xyxy[:, None] - wanted.boxes_xyxy).max(2).min(0) < 0.1
    assert near.mean() > 0.9
    if wanted.keypoints is not None:
        points = found.keypoints.reshape(len(found), -1), wanted.keypoints.reshape(len(wanted), -1)
        near = np.abs(points[0][:, None] - points[1]).max(2).min(0) < 0.2
        assert near.mean() > 0.9


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('name', [name for name in CHANGES if not name.startswith('vpsnet')])
def test_an_onnx_file_predicts_as_its_checkpoint(name: str, backend: str, exported: Any) -> None:
    weights, file = exported(name)
    with_torch = mmext.load(weights, device='cpu', precision='fp32')
    with_file = mmext.load(file, backend=backend, precision='fp32')
    assert with_file.classes == with_torch.classes and 'in ONNX' in repr(with_file)
    photos = [noise(120, 160), noise(96, 128, 1)]  # of two sizes
    for found, wanted in zip(with_file(photos), with_torch(photos), strict=True):
        same(found, wanted)


@pytest.mark.parametrize('backend', BACKENDS)
def test_a_video_model_follows_objects_as_its_checkpoint(
    backend: str, exported: Any, tmp_path: Path
) -> None:
    weights, file = exported('vpsnet_demo.py')
    frame = noise(128, 176)
    codec = cv2.VideoWriter.fourcc(*'mp4v')
    writer = cv2.VideoWriter(str(tmp_path / 'a.mp4'), codec, 10, (160, 128))
    for step in range(3):
        writer.write(np.ascontiguousarray(frame[:, 4 * step : 160 + 4 * step]))
    writer.release()
    results = [
        list(mmext.load(path, device='cpu', precision='fp32', **kind).stream(tmp_path / 'a.mp4'))
        for path, kind in ((file, dict(backend=backend)), (weights, {}))
    ]
    for found, wanted in zip(*results, strict=True):
        same(found, wanted)


def test_infer_draws_the_same_pictures(exported: Any, tmp_path: Path) -> None:
    weights, file = exported('upsnet_demo.py')
    photos = tmp_path / 'photos'
    photos.mkdir()
    cv2.imwrite(str(photos / 'a.png'), noise(96, 128))
    main = runpy.run_path(str(ROOT / 'tools/infer.py'))['main']
    for path, options in (
        (weights, ['--precision', 'fp32']),
        (file, ['--backend', 'onnxruntime']),
    ):
        out = tmp_path / path.suffix[1:]
        main([str(photos), '--checkpoint', str(path), '--out', str(out), *options])
    drawn = [cv2.imread(str(tmp_path / kind / 'pictures/a.png')) for kind in ('pth', 'onnx')]
    assert (drawn[0] == drawn[1]).all(axis=2).mean() > 0.97


def test_files_that_do_not_belong_together(exported: Any, tmp_path: Path) -> None:
    onnx = pytest.importorskip('onnx')
    _, file = exported('upsnet_demo.py')
    alone = tmp_path / 'upsnet.onnx'
    alone.write_bytes(file.read_bytes())
    with pytest.raises(InputError, match=r'upsnet\.boxes\.onnx: missing'):
        mmext.load(alone)
    text = read_metadata(file)[KEY]
    for written, message in (
        ('{}', 'export it again'),
        (text.replace('"version": 1', '"version": 2'), 'has version 2'),
        (text.replace('"boxes"', '"../boxes"'), 'parts'),
        (text.replace("type='ResNet'", "type='os.system'"), 'needs code'),
    ):
        assert written != text
        model = onnx.load(file)
        onnx.helper.set_model_props(model, {KEY: written})
        onnx.save(model, alone)
        with pytest.raises(InputError, match=message):
            mmext.load(alone)


def test_a_backend_runs_onnx_files_alone(exported: Any) -> None:
    weights, file = exported('centernet_pose_demo.py')
    with pytest.raises(InputError, match='backend onnxruntime runs ONNX files'):
        mmext.load(weights, backend='onnxruntime')
    with pytest.raises(InputError, match=r'expected one of onnxruntime, openvino'):
        mmext.load(file, backend='tensorrt')


def test_a_size_that_must_be_named(tmp_path: Path) -> None:
    config = write_checkpoint('vpsnet_demo.py', tmp_path / 'vps.pth')
    with pytest.raises(InputError, match='--size HEIGHT WIDTH: VPSNet'):
        export_file(config, str(tmp_path / 'vps.pth'), tmp_path / 'vps.onnx', None)


def test_detectors_that_cannot_be_taken_apart() -> None:
    config = Config.fromfile(ROOT / 'configs/mmdet/yolact_r50.py')
    config.model.backbone.update(init_cfg=None, base_channels=4, stem_channels=4)
    config.model.neck.in_channels = [16, 32, 64, 128]
    init_default_scope('mmdet')
    detector = MODELS.build(config.model)
    with pytest.raises(InputError, match='YOLACT cannot be exported'):
        deployment_of(detector).network_parts(detector, (64, 64), {})


def test_metadata_is_read_from_any_bytes(exported: Any, tmp_path: Path) -> None:
    _, file = exported('centernet_pose_demo.py')
    onnx = pytest.importorskip('onnx')
    wanted = {entry.key: entry.value for entry in onnx.load(file).metadata_props}
    assert read_metadata(file) == wanted and KEY in wanted
    generator = np.random.default_rng(0)
    content = file.read_bytes()
    broken = [content[:length] for length in (1, 7, 200, len(content) // 2)]
    broken += [generator.bytes(64) for _ in range(50)]
    refused = 0
    for index, part in enumerate(broken):
        (tmp_path / f'{index}.onnx').write_bytes(part)
        try:
            assert KEY not in read_metadata(tmp_path / f'{index}.onnx')
        except InputError as error:
            assert f'{index}.onnx: cannot be read' in str(error)
            refused += 1
    assert refused > 40
