"""The demo's configuration on a tiny generated set: train on two processes, test, infer, load."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from programs import tool

import mmext
from mmext.configuration import rebase_data_root
from mmext.demo.faces import write_face_dataset
from mmext.errors import run_tool

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def config_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six and three pictures; a network of few channels."""
    folder = tmp_path_factory.mktemp('landmarks')
    write_face_dataset(folder / 'data', num_train=6, num_val=3, image_size=(128, 128))
    config = Config.fromfile(ROOT / 'configs/landmarks_demo.py')
    rebase_data_root(config, str(folder / 'data'))
    del config.default_hooks['mlflow']
    config.merge_from_dict(
        {
            'train_cfg.max_iters': 2,
            'train_cfg.val_interval': 2,
            'default_hooks.checkpoint.interval': 2,
            'train_dataloader.batch_size': 2,
            'model.backbone.base_channels': 4,
            'model.backbone.stem_channels': 4,
            'model.head.in_channels': 16,
            'model.head.deconv_channels': (8, 8),
        }
    )
    for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    file = folder / 'tiny.py'
    config.dump(file)
    return file


@pytest.fixture(scope='module')
def trained(config_file: Path, train_on_two: Callable[[Path], Path]) -> Path:
    """The work directory of a training on two processes."""
    return train_on_two(config_file)


def landmark_values(files: Any) -> dict[str, float]:
    (file,) = files
    for line in file.read_text().splitlines():
        values = json.loads(line)
        if 'landmarks/NME' in values:
            return {k: v for k, v in values.items() if k.startswith('landmarks/')}
    raise AssertionError(f'{file} has no landmarks/NME')


def test_one_process_measures_what_two_do(config_file: Path, trained: Path) -> None:
    work_dir = config_file.parent / 'one'
    arguments = [config_file, trained / 'iter_2.pth', '--work-dir', work_dir]
    assert run_tool(tool('test').main, [str(argument) for argument in arguments]) == 0
    found = landmark_values(work_dir.glob('*/*.json'))
    wanted = landmark_values(trained.glob('*/vis_data/scalars.json'))
    assert wanted['landmarks/found'] == 100
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=1e-5, nan_ok=True) or math.isnan(value)


def write_video(path: Path, picture: np.ndarray, frames: int = 4) -> None:
    height, width = picture.shape[:2]
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10.0, (width, height))
    for number in range(frames):
        video.write(np.roll(picture, 3 * number, axis=1))
    video.release()


def test_infer_takes_whole_pictures_and_smooths_videos(trained: Path, config_file: Path) -> None:
    folder = config_file.parent
    photo = sorted((folder / 'data').rglob('*.jpg'))[0]
    video = folder / 'clip.avi'
    write_video(video, cv2.imread(str(photo)))
    infer, points = tool('infer'), {}
    for smooth in ('on', 'off'):
        out = folder / f'out_{smooth}'
        arguments = [video, '--checkpoint', trained / 'iter_2.pth', '--out', out]
        arguments += ['--smooth-points', smooth, '--precision', 'fp32', '--device', 'cpu']
        assert run_tool(infer.main, [str(argument) for argument in arguments]) == 0
        content = json.loads((out / 'predictions.instances.json').read_text())
        records = content['annotations']
        assert len(records) == 4
        points[smooth] = np.array([record['keypoints'] for record in records]).reshape(4, 5, 3)
    np.testing.assert_allclose(points['on'][0], points['off'][0])
    assert not np.allclose(points['on'][1:], points['off'][1:])
    # a filter stays between the last place and the new one
    assert np.abs(np.diff(points['on'], axis=0)).max() <= np.ptp(points['off'], axis=0).max() + 1


def test_load_draws_the_points(trained: Path, config_file: Path) -> None:
    model = mmext.load(trained / 'iter_2.pth', device='cpu', precision='fp32')
    photo = sorted((config_file.parent / 'data').rglob('*.jpg'))[0]
    result = model(str(photo))
    assert result.names == ['face']
    assert result.boxes_xyxy.tolist() == [[0, 0, 128, 128]]
    assert result.keypoints.shape == (1, 5, 2)
    assert result.keypoint_scores.shape == (1, 5)
    assert result.plot().size == (128, 128)
    streamed = [frame.keypoints for frame in model.stream(photo)]
    np.testing.assert_allclose(streamed[0], result.keypoints, atol=1e-3)
