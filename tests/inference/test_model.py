"""``mmext.load``: detectors as objects, for every kind of picture and place of weights."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image

import mmext
from mmext.demo.video import clip_frames, draw_numbered_clip
from mmext.errors import InputError

CONFIGS = Path(__file__).parents[2] / 'configs'


def checkpoint(folder: Path, name: str, **test_cfg: Any) -> Path:
    """Random weights of a demo config, with the config and the classes stored beside them."""
    config = Config.fromfile(CONFIGS / f'{name}.py')
    config.merge_from_dict(dict(model=dict(test_cfg=test_cfg)))
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    path = folder / f'{name.rpartition("/")[2]}.pth'
    dataset = config.test_dataloader.dataset
    meta = dict(cfg=config.pretty_text, dataset_meta=dict(dataset.get('metainfo') or {}))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    return path


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp('weights')


@pytest.fixture(scope='module')
def upsnet(folder: Path) -> mmext.Model:
    test_cfg = dict(rcnn=dict(score_thr=0.01), panoptic=dict(stuff_area_limit=1))
    return mmext.load(checkpoint(folder, 'upsnet_demo', **test_cfg), precision='fp32')


@pytest.fixture(scope='module')
def photo() -> np.ndarray:
    """BGR, with a different mean in each channel."""
    rng = np.random.default_rng(0)
    return (rng.integers(0, 120, (90, 128, 3)) + np.array([0, 60, 120])).astype(np.uint8)


def test_importing_the_package_is_light() -> None:
    code = 'import mmext, sys; print("torch" in sys.modules, "load" in dir(mmext))'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ['False', 'True']
    with pytest.raises(AttributeError, match='no_such_name'):
        _ = mmext.no_such_name


def test_every_kind_of_picture_is_the_same(
    upsnet: mmext.Model, photo: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / 'photo.png'
    cv2.imwrite(str(path), photo)
    of_array = upsnet(photo)
    others = upsnet([str(path), path, Image.open(path)])
    assert len(of_array) > 0
    for other in others:
        assert np.array_equal(other.image, photo)
        assert np.array_equal(other.panoptic_map, of_array.panoptic_map)
        assert np.allclose(other.boxes_xyxy, of_array.boxes_xyxy, atol=1e-3)
    assert others[0].name == str(path) and upsnet([]) == []
    assert len(upsnet([photo, photo, photo], batch_size=2)) == 3  # other batches round otherwise
    assert 'UPSNet, 10 classes, on cpu' in repr(upsnet)


def test_grey_pictures_become_three_channels(upsnet: mmext.Model, photo: np.ndarray) -> None:
    grey = photo[..., 0]
    assert np.array_equal(upsnet(grey).image, np.repeat(grey[..., None], 3, axis=2))


@pytest.mark.parametrize(
    ('picture', 'message'),
    [
        (np.zeros((4, 4, 3), np.float32), 'expected uint8'),
        (np.zeros((4, 4, 4), np.uint8), 'expected 3 channels, got 4'),
        (np.zeros((0, 4, 3), np.uint8), r'expected uint8 .* got uint8 \[0, 4, 3\]'),
        (np.zeros((4, 0, 3), np.uint8), r'expected uint8 .* got uint8 \[4, 0, 3\]'),
        (3, 'expected a path, a PIL image or an array, got int'),
        (None, 'expected a path, a PIL image or an array, got NoneType'),
        ([3], 'got int'),
        ('/nowhere/x.jpg', '^no picture at /nowhere/x.jpg$'),
    ],
    ids=['floats', 'alpha', 'no rows', 'no columns', 'a number', 'nothing', 'numbers', 'no file'],
)
def test_what_is_no_picture(upsnet: mmext.Model, picture: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        upsnet(picture)


def test_a_folder_is_a_stream(upsnet: mmext.Model, photo: np.ndarray, tmp_path: Path) -> None:
    for name in ('a.png', 'b.png'):
        cv2.imwrite(str(tmp_path / name), photo)
    (tmp_path / 'c.png').write_bytes(b'broken')
    results = list(upsnet.stream(tmp_path))
    assert [result.name for result in results] == ['a.png', 'b.png']
    assert np.array_equal(results[0].panoptic_map, results[1].panoptic_map)


def test_a_video_model_follows_objects(folder: Path, tmp_path: Path) -> None:
    rcnn = dict(score_thr=0.01)
    panoptic = dict(score_thr=0.0, stuff_area_limit=1, max_per_img=8)
    path = checkpoint(folder, 'vpsnet_demo', rcnn=rcnn, panoptic=panoptic)
    model = mmext.load(path, precision='fp32')
    video = tmp_path / 'clip.avi'
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*'MJPG'), 5.0, (96, 64))
    frames = [image for image, _ in clip_frames(draw_numbered_clip(0, 'train', 3, (96, 64)))]
    for frame in frames:
        writer.write(cv2.resize(np.ascontiguousarray(frame[..., ::-1]), (96, 64)))
    writer.release()
    results = list(model.stream(video))
    assert len(results) == len(frames)
    assert all(result.track_ids is not None for result in results)
    again = list(model.stream(video))
    assert np.array_equal(results[2].panoptic_map, again[2].panoptic_map)


def test_weights_and_configs_that_do_not_fit(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match='checkpoint not found'):
        mmext.load(tmp_path / 'none.pth')
    config = tmp_path / 'mine.py'
    config.write_text("_base_ = 'mmext::upsnet_demo.py'\n")
    with pytest.raises(InputError, match='names no weights'):
        mmext.load(config)
    with pytest.raises(InputError, match='name the checkpoint first'):
        mmext.load(config, config)


def test_a_work_folder_has_a_best_or_a_last_checkpoint(
    folder: Path, upsnet: mmext.Model, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match='no work folder of a training'):
        mmext.load(tmp_path)
    (tmp_path / 'last_checkpoint').write_text('/moved/from/here/iter_2.pth')
    with pytest.raises(InputError, match=r'not found: /moved/from/here/iter_2\.pth'):
        mmext.load(tmp_path)
    (tmp_path / 'iter_2.pth').symlink_to(folder / 'upsnet_demo.pth')
    assert mmext.load(tmp_path).classes == upsnet.classes
    (tmp_path / 'best_PQ_iter_1.pth').write_bytes(b'broken')
    with pytest.raises(InputError, match='best_PQ_iter_1'):
        mmext.load(tmp_path)


def test_a_config_names_its_weights(folder: Path, upsnet: mmext.Model, tmp_path: Path) -> None:
    config = tmp_path / 'mine.py'
    weights = folder / 'upsnet_demo.pth'
    config.write_text(f"_base_ = 'mmext::upsnet_demo.py'\nload_from = '{weights}'\n")
    assert mmext.load(config).classes == upsnet.classes
    assert mmext.load(weights, CONFIGS / 'upsnet_demo.py').classes == upsnet.classes
