"""A training of one layer that saves all the time, to be killed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import Dataset


class Rows(Dataset[Tensor]):
    """Four rows of ones."""

    metainfo: Mapping[str, Any] = {'classes': ('a', 'b')}

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Tensor:
        return torch.ones(2) * index


class Layer(BaseModel):
    """One layer, and ``size`` numbers to save with it."""

    def __init__(self, size: int = 1) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.register_buffer('ballast', torch.rand(size))

    def forward(self, *rows: Tensor, mode: str = 'tensor') -> Any:
        outputs = self.layer(torch.stack(rows))
        return dict(loss=outputs.square().mean()) if mode == 'loss' else [outputs]


class Rising(BaseMetric):
    """A metric that is better at each validation, so that each is a new best."""

    default_prefix = 'toy'
    count = 0

    def process(self, data_batch: Any, data_samples: Any) -> None:
        """Keep one thing: the host warns of none."""
        self.results.append(1)

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Count."""
        Rising.count += 1
        return {'score': float(Rising.count)}


def toy_runner(folder: Path, num_epochs: int, size: int = 1, **options: Any) -> Runner:
    """A runner that keeps one checkpoint and the best one."""
    loader: dict[str, Any] = dict(
        dataset=Rows(), batch_size=2, sampler=dict(type='DefaultSampler', shuffle=False)
    )
    defaults: dict[str, Any] = dict(
        model=Layer(size),
        work_dir=str(folder),
        train_dataloader=loader,
        val_dataloader=loader,
        val_evaluator=Evaluator(Rising()),
        val_cfg=dict(type='ValLoop'),
        train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=num_epochs),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01)),
        default_hooks=dict(
            checkpoint=dict(
                type='CheckpointHook', interval=1, max_keep_ckpts=1, save_best='toy/score',
                rule='greater',
            ),
            logger=dict(type='LoggerHook', interval=100),
        ),
        experiment_name=f'toy_{folder.name}',
        log_level='ERROR',
    )  # fmt: skip
    return Runner(**{**defaults, **options})
