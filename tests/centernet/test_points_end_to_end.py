"""The whole chain on a tiny generated set: two processes train, one tests and draws."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from coco_protocol import average_precision, detections_per_image
from mmengine.config import Config
from programs import tool
from tiny_points import CONFIGS, shrink

from mmext.configuration import rebase_data_root
from mmext.demo.faces import write_face_dataset
from mmext.demo.panoptic import write_panoptic_dataset


def shorten(config: Config, folder: Path) -> Path:
    """A configuration file for three iterations on the set in ``folder / 'data'``."""
    rebase_data_root(config, str(folder / 'data'))
    config.train_cfg.update(max_iters=3, val_interval=3)
    config.train_dataloader.batch_size = 2
    config.model.test_cfg.flip = True
    config.default_hooks.checkpoint.interval = 3
    del config.default_hooks['mlflow']
    for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    file = folder / 'tiny.py'
    config.dump(file)
    return file


@pytest.fixture(scope='module')
def config_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's configuration on seven and five pictures, with a model of few channels."""
    folder = tmp_path_factory.mktemp('points')
    write_panoptic_dataset(folder / 'data', num_train=7, num_val=5, image_size=(64, 64))
    return shorten(shrink(Config.fromfile(CONFIGS / 'centernet_demo.py')), folder)


@pytest.fixture(scope='module')
def trained(config_file: Path, train_on_two: Callable[[Path], Path]) -> Path:
    """The work directory of a training on two processes."""
    return train_on_two(config_file)


@pytest.fixture
def call(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Runs a tool in this process, beside the configuration."""
    monkeypatch.chdir(config_file.parent)
    monkeypatch.setattr(os, 'environ', dict(os.environ))  # the runner writes into it

    def call(name: str, *arguments: Any) -> None:
        tool(name).main([str(argument) for argument in arguments])

    return call


def test_two_processes_train_and_one_measures_the_same(
    config_file: Path, trained: Path, call: Callable[..., None]
) -> None:
    (log,) = trained.glob('*/vis_data/scalars.json')
    (expected,) = [
        entry for entry in map(json.loads, log.read_text().splitlines()) if 'coco/bbox_mAP' in entry
    ]
    work_dir = config_file.parent / 'one'
    call('test', config_file, trained / 'iter_3.pth', '--work-dir', work_dir)
    (written,) = work_dir.glob('*/*.json')
    found = json.loads(written.read_text())
    keys = [key for key in expected if key.startswith('coco/')]
    assert len(keys) >= 6
    assert {key: found[key] for key in keys} == pytest.approx(
        {key: expected[key] for key in keys}, nan_ok=True, abs=1e-6
    )


def test_pictures_are_drawn(config_file: Path, trained: Path, call: Callable[..., None]) -> None:
    out = config_file.parent / 'drawn'
    images = config_file.parent / 'data' / 'val2017'
    call(
        *('infer', images, '--checkpoint', trained / 'iter_3.pth'),
        *('--out', out, '--score-thr', '0'),
    )
    assert len(list((out / 'pictures').iterdir())) == 5
    found = json.loads((out / 'predictions.instances.json').read_text())
    assert len(found['annotations']) == 5 * 50


def test_key_points_are_learned_measured_and_drawn(
    tmp_path: Path, call: Callable[..., None]
) -> None:
    write_face_dataset(tmp_path / 'data', num_train=4, num_val=3, image_size=(128, 128))
    file = shorten(shrink(Config.fromfile(CONFIGS / 'centernet_pose_demo.py')), tmp_path)
    work_dir, out = tmp_path / 'work', tmp_path / 'drawn'
    call('train', file, '--work-dir', work_dir)
    checkpoint = work_dir / 'iter_3.pth'
    prefix = tmp_path / 'results'
    option = f'test_evaluator.0.outfile_prefix={prefix}'
    call('test', file, checkpoint, '--work-dir', tmp_path / 'test', '--cfg-options', option)
    (written,) = (tmp_path / 'test').glob('*/*.json')
    values = json.loads(written.read_text())
    results = Path(f'{prefix}.keypoints.json')
    assert set(detections_per_image(results).values()) == {50}
    annotations = tmp_path / 'data' / 'annotations/face_keypoints_val.json'
    sigmas = Config.fromfile(file).val_dataloader.dataset.metainfo['sigmas']
    expected = average_precision(annotations, results, 'keypoints', sigmas)
    assert values['keypoints/AP'] == pytest.approx(expected, abs=1e-6)
    assert {'landmarks/found', 'coco/bbox_mAP_50'} <= set(values)
    images = tmp_path / 'data' / 'WIDER_val/images/0--Portrait'
    call('infer', images, '--checkpoint', checkpoint, '--out', out)
    assert len(list((out / 'pictures').iterdir())) == len(list(images.iterdir())) > 0


def test_several_scales(config_file: Path, trained: Path, call: Callable[..., None]) -> None:
    work_dir = config_file.parent / 'scales'
    prefix = config_file.parent / 'merged'
    option = f'test_evaluator.outfile_prefix={prefix}'
    arguments = ('--work-dir', work_dir, '--tta', '--cfg-options', option)
    call('test', config_file, trained / 'iter_3.pth', *arguments)
    (written,) = work_dir.glob('*/*.json')
    results = Path(f'{prefix}.bbox.json')
    assert list(detections_per_image(results).values()) == [100] * 5  # one scale has 50
    annotations = config_file.parent / 'data' / 'annotations/instances_val2017.json'
    value = json.loads(written.read_text())['coco/bbox_mAP']
    assert value == pytest.approx(average_precision(annotations, results, 'bbox'), abs=1e-6)
