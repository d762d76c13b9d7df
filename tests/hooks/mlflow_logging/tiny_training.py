"""A training of milliseconds on mmengine's real runner: the subject of this room's tests.

Loaded by ``conftest.py``, and run as a script where a test needs processes of its own.
"""

import os
import signal
import sys
import time
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
from torch.utils.data import Dataset

import mmext  # noqa: F401

ITERATIONS_PER_EPOCH = 5


class Line(BaseModel):
    """y = a x + b, with a loss key that MLflow's alphabet does not hold."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(1, 1)

    def forward(self, x: torch.Tensor, y: torch.Tensor, mode: str = 'tensor') -> Any:
        """Losses or predictions."""
        predicted = self.linear(x)
        if mode == 'loss':
            return {'loss': (predicted - y).square().mean(), 'acc@1': torch.tensor(0.5)}
        return list(zip(predicted, y, strict=True))


class Points(Dataset):
    """Ten points of a line."""

    metainfo = {'classes': ('car', 'wine glass')}

    def __len__(self) -> int:
        return 2 * ITERATIONS_PER_EPOCH

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.tensor([index / 10]), torch.tensor([index / 5])


class Error(BaseMetric):
    """Mean absolute error, and what other metrics give out as well."""

    confusion_matrix = [[3, 1], [0, 2]]

    def __init__(self, **more: Any) -> None:
        super().__init__(collect_device='cpu')
        self.more = more

    def process(self, data_batch: Any, data_samples: Any) -> None:
        """Collect."""
        self.results += [float((predicted - y).abs()) for predicted, y in data_samples]

    def compute_metrics(self, results: list) -> dict:
        """Average."""
        mean = sum(results) / len(results)
        return {'mae': mean, 'coco/AR@100': 1.0, 'coco/car_precision': mean, **self.more}


class At(Hook):
    """Do something when an iteration has been done."""

    priority = 'VERY_LOW'

    def __init__(self, iteration: int, action: Callable[[], None]) -> None:
        self.iteration = iteration
        self.action = action

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Act."""
        if runner.iter + 1 == self.iteration:
            self.action()


def make_runner(work_dir: Path, epochs: int = 2, workers: int = 0, **changes: Any) -> Runner:
    """A runner with the hook; ``hook`` holds its arguments, the rest replaces the runner's."""
    torch.set_num_threads(1)
    hook = {'type': 'mmext.MLflowHook', 'interval': 1, 'system_interval_s': 0}
    hook.update(changes.pop('hook', {}))
    loader = {
        'batch_size': 2,
        'num_workers': workers,
        'dataset': Points(),
        'sampler': {'type': 'DefaultSampler', 'shuffle': False},
        'collate_fn': {'type': 'default_collate'},
    }
    saving = changes.pop('saving', {'save_best': 'mae', 'rule': 'less'})
    settings: dict[str, Any] = {
        'model': Line(),
        'work_dir': str(work_dir),
        'train_dataloader': loader,
        'val_dataloader': loader,
        'test_dataloader': loader,
        'train_cfg': {'by_epoch': True, 'max_epochs': epochs},
        'val_cfg': {},
        'test_cfg': {},
        'val_evaluator': Evaluator(Error()),
        'test_evaluator': Evaluator(Error()),
        'optim_wrapper': {'optimizer': {'type': 'SGD', 'lr': 0.01}},
        'default_scope': 'mmext',
        'default_hooks': {
            'mlflow': hook,
            'checkpoint': {
                'type': 'CheckpointHook',
                'interval': 1,
                **saving,
            },
        },
        'log_level': 'WARNING',
        'experiment_name': uuid.uuid4().hex,
        'cfg': Config({'lr': 0.01, 'pipeline': [{'type': 'Resize', 'scale': [4, 4]}]}),
    }
    return Runner(**{**settings, **changes})


def train_until(work_dir: str, signal_number: int) -> None:
    """Train in a process of its own that is sent a signal after iteration 7 of 10."""

    def end() -> None:
        time.sleep(0.5)  # the spool is a tenth of a second behind
        os.kill(os.getpid(), signal_number)

    make_runner(Path(work_dir), hook={'close_timeout_s': 60.0}, custom_hooks=[At(7, end)]).train()


def train_to(work_dir: str, uri: str) -> None:
    """Train in a process of its own, into a store."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background of a shell
    hook = {'tracking_uri': uri, 'experiment': Path(work_dir).name}
    make_runner(Path(work_dir), epochs=1, hook=hook).train()


def main() -> None:
    """Train as one rank of several: ``tiny_training.py WORK_DIR``."""
    # mmengine's own start-up of a group asks for a GPU even for gloo
    torch.distributed.init_process_group('gloo')
    wrapper = {'type': 'MMDistributedDataParallel', 'device_ids': None}
    config = Config({'model_wrapper_cfg': wrapper})
    make_runner(Path(sys.argv[1]), launcher='pytorch', cfg=config).train()
    loaded = [name for name in ('mlflow',) if name in sys.modules]
    print(f'RANK {os.environ["RANK"]} loaded {loaded}')


if __name__ == '__main__':
    main()
