"""The whole chain on a tiny set: two processes train in bfloat16 with MLflow, one tests."""

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from coco_protocol import average_precision
from mmengine.config import Config
from programs import tool

from mmext.configuration import rebase_data_root
from mmext.demo.panoptic import write_panoptic_dataset

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def config_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's configuration on six and five pictures, with a model of few channels."""
    folder = tmp_path_factory.mktemp('triplets')
    write_panoptic_dataset(folder / 'data', num_train=6, num_val=5, image_size=(64, 64))
    config = Config.fromfile(ROOT / 'configs/centernet_triplet_demo.py')
    rebase_data_root(config, str(folder / 'data'))
    config.model.backbone.update(
        downsample_times=2, stage_channels=[8] * 3, stage_blocks=[1] * 3, feat_channel=8
    )
    config.model.bbox_head.update(in_channels=8, pool_channels=4)
    config.train_cfg.update(max_iters=3, val_interval=3)
    config.train_dataloader.batch_size = 2
    config.default_hooks.checkpoint.interval = 3
    config.default_hooks.mlflow.model = False
    for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    file = folder / 'tiny.py'
    config.dump(file)
    return file


@pytest.fixture(scope='module')
def trained(config_file: Path, train_on_two: Callable[..., Path]) -> Path:
    """The work directory of a training on two processes."""
    return train_on_two(config_file, '--precision', 'bf16')


def run_tool(name: str, *arguments: Any) -> None:
    """A tool in this process."""
    tool(name).main([str(argument) for argument in arguments])


def test_two_processes_train_and_the_run_is_logged(trained: Path) -> None:
    (log,) = trained.glob('*/vis_data/scalars.json')
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    (values,) = [entry for entry in entries if 'coco/bbox_mAP' in entry]
    assert {'coco/bbox_mAP_50', 'coco/bbox_AR_100', 'coco/bbox_FD', 'coco/bbox_FD_5'} <= set(values)
    with contextlib.closing(sqlite3.connect(trained / 'mlflow.db')) as connection:
        assert list(connection.execute('select status from runs')) == [('FINISHED',)]
        logged = {key for (key,) in connection.execute('select distinct key from latest_metrics')}
    assert {'train/loss_heatmap', 'train/loss_push', 'val/coco/bbox_FD'} <= logged


@pytest.mark.parametrize('flags', [[], ['--tta']], ids=['one scale', 'five scales'])
def test_one_process_evaluates(
    config_file: Path, trained: Path, flags: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(config_file.parent)
    monkeypatch.setattr(os, 'environ', dict(os.environ))  # the runner writes into it
    work_dir = config_file.parent / f'one{"".join(flags)}'
    run_tool(
        'test',
        config_file,
        trained / 'iter_3.pth',
        '--work-dir',
        work_dir,
        '--mlflow',
        'off',
        '--cfg-options',
        f'test_evaluator.outfile_prefix={work_dir}/results',
        *flags,
    )
    (written,) = (file for file in work_dir.glob('*/*.json') if file.stem == file.parent.name)
    results = work_dir / 'results.bbox.json'
    annotations = config_file.parent / 'data' / 'annotations/instances_val2017.json'
    value = json.loads(written.read_text())['coco/bbox_mAP']
    assert value == pytest.approx(average_precision(annotations, results, 'bbox'), abs=1e-6)
