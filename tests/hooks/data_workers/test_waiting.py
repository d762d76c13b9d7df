"""The share of a training that waits for data, on mmengine's real runner."""

import re
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import Dataset

import mmext.registry  # noqa: F401
from mmext.hooks.data_workers.waiting import KEY


class Slow(Dataset):
    """Reading a sample takes a while, which is asked for."""

    def __init__(self, seconds: float, length: int) -> None:
        self.seconds, self.length = seconds, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        time.sleep(self.seconds)
        return {'x': torch.ones(1)}


class Computing(BaseModel):
    """A step takes a while too."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.weight, self.seconds = nn.Parameter(torch.ones(1)), seconds

    def forward(self, x: torch.Tensor, mode: str = 'tensor') -> Any:
        """The loss."""
        time.sleep(self.seconds)
        return {'loss': (self.weight * x).sum()} if mode == 'loss' else []


class Idle(Hook):
    """Work of another hook between two steps, such as a checkpoint."""

    priority = 'VERY_LOW'

    def after_train_iter(self, *args: Any, **kwargs: Any) -> None:
        """Take a while."""
        time.sleep(0.03)


def train(folder: Path, reading_s: float, step_s: float, by_epoch: bool) -> tuple[Any, str]:
    loader = {
        'batch_size': 1,
        'num_workers': 0,
        'dataset': Slow(reading_s, 4 if by_epoch else 12),
        'sampler': {'type': 'DefaultSampler', 'shuffle': False},
        'collate_fn': {'type': 'default_collate'},
    }
    length = {'by_epoch': True, 'max_epochs': 3} if by_epoch else {'max_iters': 12}
    runner = Runner(
        model=Computing(step_s),
        work_dir=str(folder),
        train_dataloader=loader,
        train_cfg={'by_epoch': by_epoch, **length},
        optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 0.1}},
        default_scope='mmext',
        custom_hooks=[{'type': 'DataWaitHook', 'window': 8}, Idle()],
        log_processor={'by_epoch': by_epoch},
        experiment_name=f'{folder.name}{time.time_ns()}',
    )
    runner.train()
    return runner, next(folder.glob('*/*.log')).read_text()


@pytest.mark.parametrize('by_epoch', [False, True])
def test_a_pipeline_that_starves_the_step(by_epoch: bool, tmp_path: Path) -> None:
    runner, log = train(tmp_path, reading_s=0.06, step_s=0.0, by_epoch=by_epoch)
    share = runner.message_hub.get_scalar(KEY).current()
    assert 0.45 < share < 0.9  # 60 ms of 90
    assert log.count('of the last 8 steps was spent waiting for data, with num_workers=0') == 1
    assert re.search(r'waited for data: \d\d\.\d% of the steps', log)
    assert 'waited_for_data: 0.' in log


def test_one_that_does_not(tmp_path: Path) -> None:
    runner, log = train(tmp_path, reading_s=0.0, step_s=0.03, by_epoch=False)
    assert runner.message_hub.get_scalar(KEY).current() < 0.1
    assert 'spent waiting' not in log and 'waited for data: ' in log
