"""The whole chain on a tiny generated set: train, resume, evaluate, one process and two."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from mmext.configuration import rebase_data_root
from mmext.demo.panoptic import write_panoptic_dataset

ROOT = Path(__file__).parents[2]
TORCHRUN = ['torch.distributed.run', '--standalone', '--nproc-per-node', '2']
METRICS = {'coco_panoptic/PQ', 'coco/bbox_mAP', 'coco/segm_mAP', 'mIoU'}


@pytest.fixture(scope='module')
def run(run_to_end: Callable[..., Any]) -> Callable[..., str]:
    """Runs a tool of ours; returns what it printed."""

    def run(*arguments: str | Path, processes: int = 1) -> str:
        launch = ['-m', *TORCHRUN] if processes == 2 else []
        last = ['--launcher', 'pytorch'] if processes == 2 else []
        command = [sys.executable, *launch, *arguments, *last]
        done = run_to_end(command, cwd=Path(arguments[1]).parent)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout

    return run


def last_metrics(work_dir: Path) -> dict[str, float]:
    """The metrics of the last evaluation of a run."""
    newest = max(work_dir.glob('*/vis_data/scalars.json'), default=None)
    lines = newest.read_text().splitlines() if newest else []
    logged = [entry for entry in map(json.loads, lines) if 'coco_panoptic/PQ' in entry]
    if logged:
        return {key: logged[-1][key] for key in METRICS}
    (written,) = work_dir.glob('*/*.json')  # tools/test.py
    return {key: json.loads(written.read_text())[key] for key in METRICS}


@pytest.fixture(scope='module')
def config_file(
    tmp_path_factory: pytest.TempPathFactory, shrink_config: Callable[[Config], Config]
) -> Path:
    """The demo's configuration on seven and five pictures, with a model of 8 channels."""
    folder = tmp_path_factory.mktemp('upsnet')
    write_panoptic_dataset(folder / 'data', num_train=7, num_val=5, image_size=(64, 64))
    config = shrink_config(Config.fromfile(ROOT / 'configs/upsnet_demo.py'))
    rebase_data_root(config, str(folder / 'data'))
    del config.default_hooks['mlflow']
    config.merge_from_dict(
        {
            'train_cfg.max_iters': 4,
            'train_cfg.val_interval': 4,
            'default_hooks.checkpoint.interval': 2,
            'train_dataloader.batch_size': 2,
            'val_dataloader.batch_size': 2,
            # an untrained net is unsure of everything: take all it says
            'model.test_cfg.panoptic.score_thr': 0.0,
            'model.test_cfg.panoptic.stuff_area_limit': 0,
            'model.test_cfg.rcnn.score_thr': 0.0,
        }
    )
    for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    config.test_dataloader.batch_size = 2
    file = folder / 'tiny.py'
    config.dump(file)
    return file


@pytest.fixture(scope='module')
def trained(config_file: Path, run: Callable[..., str]) -> Path:
    """The work directory of a training on two processes."""
    work_dir = config_file.parent / 'two'
    run(ROOT / 'tools/train.py', config_file, '--work-dir', work_dir, processes=2)
    return work_dir


def test_pq_ap_and_miou_come_out_of_one_run(trained: Path) -> None:
    metrics = last_metrics(trained)
    assert set(metrics) == METRICS
    assert all(0 <= value <= 100 for value in metrics.values())


def test_one_process_measures_what_two_do(
    config_file: Path, trained: Path, run: Callable[..., str]
) -> None:
    work_dir = config_file.parent / 'one'
    run(
        ROOT / 'tools/test.py', config_file, trained / 'iter_4.pth', '--work-dir', work_dir
    )  # fmt: skip
    assert last_metrics(work_dir) == last_metrics(trained)


def test_resumes_from_the_last_checkpoint(
    config_file: Path, trained: Path, run: Callable[..., str]
) -> None:
    (trained / 'iter_4.pth').rename(trained / 'finished.pth')
    (trained / 'last_checkpoint').write_text(str(trained / 'iter_2.pth'))
    try:
        printed = run(
            ROOT / 'tools/train.py', config_file, '--work-dir', trained, '--resume'
        )  # fmt: skip
        assert 'iter_2.pth' in printed
        resumed = torch.load(trained / 'iter_4.pth', weights_only=False)
        assert resumed['meta']['iter'] == 4
    finally:
        (trained / 'finished.pth').replace(trained / 'iter_4.pth')
