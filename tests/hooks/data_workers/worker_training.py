"""A training with one data worker: ``worker_training.py WORK_DIR KIND``, and what befalls it.

KIND: 'large' batches for a small shared memory, 'collated' in the worker or not; a 'killed'
worker; a sample that is 'unpicklable'; a 'slow' training whose worker waits with a full pipe.
"""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import Dataset

from mmext.errors import run_tool
from mmext.hooks.data_workers.hook import DataWorkersHook

SIDE_PX = 512  # 3 MB an image


class Net(BaseModel):
    """One weight."""

    def __init__(self, pause_s: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.pause_s = pause_s

    def forward(self, image: Any, mode: str = 'tensor') -> Any:
        """A loss."""
        print('step', flush=True)
        time.sleep(self.pause_s)
        return {'loss': self.weight.sum()}


class Images(Dataset):
    """Images that are as this kind of trouble needs them."""

    metainfo: dict = {}

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> Any:
        if index == 4 and self.kind == 'killed':
            os.kill(os.getpid(), signal.SIGKILL)
        if index == 4 and self.kind == 'unpicklable':
            return {'image': lambda: None}
        if self.kind == 'slow':
            return {'image': bytes(2**20)}  # through the pipe, which holds 64 kB
        return {'image': torch.zeros(3, SIDE_PX, SIDE_PX)}


def started(worker_id: int, place: str) -> None:
    """The config's own ``worker_init_fn``: tells the worker's process id."""
    Path(place).write_text(str(os.getpid()))


def train(argv: Any = None) -> None:
    """Train for one epoch."""
    work_dir, kind = sys.argv[1:]
    loader = {
        'batch_size': 2,
        'num_workers': 1,
        'dataset': Images(kind),
        'sampler': {'type': 'DefaultSampler', 'shuffle': False},
        'collate_fn': {'type': 'default_collate' if kind == 'collated' else 'pseudo_collate'},
        'worker_init_fn': {'type': started, 'place': f'{work_dir}/worker'},
    }
    Runner(
        model=Net(pause_s=60 if kind == 'slow' else 0),
        work_dir=work_dir,
        train_dataloader=loader,
        train_cfg={'by_epoch': True, 'max_epochs': 1},
        optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 0.1}},
        default_hooks={'checkpoint': None},
        custom_hooks=[DataWorkersHook()],
        log_level='WARNING',
    ).train()


if __name__ == '__main__':
    sys.exit(run_tool(train))
