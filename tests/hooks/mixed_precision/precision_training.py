"""A training of milliseconds on mmengine's real runner: the subject of this room's tests.

Loaded by ``conftest.py``, and run as a script where a test needs processes of its own.
"""

import os
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from torch import nn
from torch.utils.data import Dataset

import mmext  # noqa: F401

IMAGES = 48  # 12 batches: no second epoch, which mmengine begins with a pause of 2 s


class SquaredLoss(nn.Module):
    """A loss by its class name; notes the dtype that it is handed."""

    dtype: torch.dtype | None = None

    def forward(self, predicted: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Mean square."""
        type(self).dtype = predicted.dtype
        return (predicted - truth).square().mean()


class Net(BaseModel):
    """Convolution, BatchNorm, linear layer and a loss module.

    Attributes:
        burst: micro-batches, counted from 0, whose loss has infinite gradients.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 1)
        self.loss_module = SquaredLoss()
        self.burst: set[int] = set()
        self.seen = 0
        self.dtypes: dict[str, torch.dtype] = {}

    def forward(self, x: torch.Tensor, y: torch.Tensor, mode: str = 'tensor') -> Any:
        """Losses or predictions."""
        features = self.conv(x)
        self.dtypes[f'{mode}/conv'] = features.dtype
        if mode == 'loss':
            if self.seen in self.burst:
                features = features * torch.tensor(float('inf'))
            self.seen += 1
        predicted = self.head(self.norm(features).relu().mean((2, 3)))[:, 0]
        if mode == 'loss':
            return {'loss': self.loss_module(predicted, y)}
        return [InstanceData(value=p[None], truth=t[None]) for p, t in zip(predicted, y)]  # noqa: B905


class Images(Dataset):
    """Random images; the target is their brightness."""

    metainfo = {'classes': ('a', 'b')}

    def __init__(self) -> None:
        self.images = torch.rand(IMAGES, 3, 8, 8, generator=torch.Generator().manual_seed(0))

    def __len__(self) -> int:
        return IMAGES

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.images[index], self.images[index].mean()


class Error(BaseMetric):
    """Mean absolute error; notes the dtype of predictions."""

    dtypes: set[torch.dtype] = set()

    def __init__(self) -> None:
        super().__init__(collect_device='cpu')

    def process(self, data_batch: Any, data_samples: Any) -> None:
        """Collect."""
        for sample in data_samples:
            self.dtypes.add(sample['value'].dtype)
            self.results.append(float((sample['value'] - sample['truth']).abs()))

    def compute_metrics(self, results: list) -> dict:
        """Average."""
        return {'mae': sum(results) / len(results)}


class Each(Hook):
    """Calls a function after each training iteration, before schedulers."""

    priority = 'ABOVE_NORMAL'

    def __init__(self, action: Callable[[Runner], None]) -> None:
        self.action = action

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Act."""
        self.action(runner)


def make_runner(work_dir: Path, iterations: int = 8, **changes: Any) -> Runner:
    """A runner with the hook: ``hook`` holds its arguments (None for no hook), ``wrapper`` the
    optimizer wrapper's, ``each`` is called after each iteration, the rest replaces settings.
    """
    torch.set_num_threads(1)
    torch.manual_seed(0)
    hook = changes.pop('hook', {})
    wrapper = changes.pop('wrapper', {})
    each = changes.pop('each', None)
    hooks: dict[str, Any] = {
        'checkpoint': {'type': 'CheckpointHook', 'interval': 4, 'by_epoch': False}
    }
    if hook is not None:
        hooks['fp16'] = {'type': 'mmext.Fp16Hook', 'precision': 'bf16', **hook}
    loader = {
        'batch_size': 4,
        'num_workers': 0,
        'dataset': Images(),
        'sampler': {'type': 'DefaultSampler', 'shuffle': False},
        'collate_fn': {'type': 'default_collate'},
    }
    settings: dict[str, Any] = {
        'model': Net(),
        'work_dir': str(work_dir),
        'train_dataloader': loader,
        'val_dataloader': loader,
        'test_dataloader': loader,
        'train_cfg': {'by_epoch': False, 'max_iters': iterations, 'val_interval': 1000},
        'val_cfg': {},
        'test_cfg': {},
        'val_evaluator': Evaluator(Error()),
        'test_evaluator': Evaluator(Error()),
        'optim_wrapper': {
            'type': 'OptimWrapper',
            'optimizer': {'type': 'SGD', 'lr': 0.1},
            **wrapper,
        },
        'param_scheduler': [
            {'type': 'LinearLR', 'start_factor': 0.5, 'by_epoch': False, 'begin': 0, 'end': 10}
        ],
        'default_scope': 'mmext',
        'default_hooks': hooks,
        'custom_hooks': [Each(each)] if each else [],
        'log_processor': {'by_epoch': False},
        'log_level': 'WARNING',
        'experiment_name': uuid.uuid4().hex,
    }
    return Runner(**{**settings, **changes})


def main() -> None:
    """Train as one rank of several: ``precision_training.py WORK_DIR PRECISION``."""
    # mmengine's own start-up of a group asks for a GPU even for gloo
    torch.distributed.init_process_group('gloo')
    wrapper = {'type': 'MMDistributedDataParallel', 'device_ids': None}
    model = Net()
    if os.environ['RANK'] == '1':
        model.burst = {1}
    scales: list[float] = []
    runner = make_runner(
        Path(sys.argv[1]),
        4,
        hook={'precision': sys.argv[2], 'loss_scale': {'init_scale': 8.0}},
        model=model,
        launcher='pytorch',
        cfg=Config({'model_wrapper_cfg': wrapper}),
        each=lambda runner: scales.append(runner.optim_wrapper.loss_scale),
    )
    runner.train()
    state = torch.cat([p.detach().flatten() for p in model.parameters()])
    skipped = runner.optim_wrapper.overflow.skipped
    torch.distributed.destroy_process_group()
    print(f'RESULT {skipped} {scales} {state.sum().item()!r} {model.dtypes["loss/conv"]}')


if __name__ == '__main__':
    main()
