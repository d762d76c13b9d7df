"""The whole chain on tiny generated clips: train, resume, evaluate, one process and two."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmext.configuration import rebase_data_root
from mmext.demo.video import write_video_dataset

ROOT = Path(__file__).parents[2]
TORCHRUN = ['torch.distributed.run', '--standalone', '--nproc-per-node', '2']
TIMEOUT_S = 180


def run(*arguments: str | Path, processes: int = 1) -> str:
    """Run a tool of ours; returns what it printed."""
    launch = ['-m', *TORCHRUN] if processes == 2 else []
    last = ['--launcher', 'pytorch'] if processes == 2 else []
    done = subprocess.run(
        [sys.executable, *launch, *map(str, arguments), *last],
        capture_output=True,
        text=True,
        cwd=Path(arguments[1]).parent,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def metrics_of(folder: Path) -> dict[str, float]:
    """The video metrics that were logged last in a work directory, by training or by testing."""
    entries = []
    for file in sorted(folder.rglob('*.json')):
        for line in file.read_text().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and 'video_panoptic/VPQ' in entry:
                entries.append(entry)
    return {k: v for k, v in entries[-1].items() if k.startswith('video_panoptic/')}


@pytest.fixture(scope='module')
def config_file(
    tmp_path_factory: pytest.TempPathFactory, shrink_config: Callable[[Config], Config]
) -> Path:
    """The demo's configuration on a few small clips, with a model of 8 channels."""
    folder = tmp_path_factory.mktemp('vpsnet')
    write_video_dataset(folder / 'data', num_train=3, num_val=3, image_size=(96, 64))
    config = shrink_config(Config.fromfile(ROOT / 'configs/vpsnet_demo.py'))
    rebase_data_root(config, str(folder / 'data'))
    del config.default_hooks['mlflow']
    config.merge_from_dict(
        {
            'load_from': None,
            'model.backbone.frozen_stages': -1,
            'train_cfg.max_iters': 4,
            'train_cfg.val_interval': 4,
            'default_hooks.checkpoint.interval': 2,
            'train_dataloader.batch_size': 2,
            # an untrained net is unsure of everything: take all it says
            'model.test_cfg.panoptic.score_thr': 0.0,
            'model.test_cfg.panoptic.stuff_area_limit': 0,
            'model.test_cfg.panoptic.max_per_img': 8,
        }
    )
    for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    file = folder / 'tiny.py'
    config.dump(file)
    return file


@pytest.fixture(scope='module')
def trained(config_file: Path) -> Path:
    """The work directory of a training on two processes."""
    work_dir = config_file.parent / 'two'
    run(ROOT / 'tools/train.py', config_file, '--work-dir', work_dir, processes=2)
    return work_dir


def test_two_processes_train_and_measure_what_one_does(config_file: Path, trained: Path) -> None:
    """Whole videos per process: ids and references are those of a single stream."""
    expected = metrics_of(trained)
    assert expected['video_panoptic/STQ_SQ'] > 1  # 7.0: some stuff is where the network says
    work_dir = config_file.parent / 'one'
    run(ROOT / 'tools/test.py', config_file, trained / 'iter_4.pth', '--work-dir', work_dir)
    actual = metrics_of(work_dir)
    assert actual.keys() == expected.keys()
    assert actual == pytest.approx(expected, abs=1e-3)


def test_resumes_from_the_last_checkpoint(trained: Path, config_file: Path) -> None:
    work_dir = config_file.parent / 'resumed'
    work_dir.mkdir()
    (work_dir / 'last_checkpoint').write_text(str(trained / 'iter_2.pth'))
    printed = run(ROOT / 'tools/train.py', config_file, '--work-dir', work_dir, '--resume')
    assert 'iter_2.pth' in printed
    assert torch.load(work_dir / 'iter_4.pth', weights_only=False)['meta']['iter'] == 4
