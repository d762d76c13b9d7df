"""A training that draws at every step; run as a script it is one of two gloo ranks."""

import json
import os
import random
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import mmext  # noqa: F401
from mmext.hooks.random_state.generators import seed_generators

NUM_IMAGES = 10
ITERATIONS = dict(type='IterBasedTrainLoop', max_iters=12, val_interval=3)
EPOCHS = dict(type='EpochBasedTrainLoop', max_epochs=4, val_interval=1)


class Flipped(Dataset[Tensor]):
    """Rows of numbers that a transform turns around, by all three kinds of generators."""

    def __len__(self) -> int:
        return NUM_IMAGES

    def __getitem__(self, index: int) -> Tensor:
        row = torch.arange(4.0) + index
        if np.random.rand() < 0.5:
            row = row.flip(0)
        return row * (0.5 + random.random()) + torch.rand(())


class Sampling(BaseModel):
    """A layer with dropout that learns from a random half of its outputs, as RoI heads do."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 8)

    def forward(self, *rows: Tensor, mode: str = 'tensor') -> Any:
        outputs = nn.functional.dropout(self.layer(torch.stack(rows)), 0.3)
        if mode != 'loss':
            return [torch.rand(3)]  # validation draws as well
        chosen = np.random.permutation(8)[: 2 + random.randrange(3)]
        return dict(loss=outputs[:, torch.randperm(8)[:4]].square().mean() + len(chosen))


class Draws(BaseMetric):
    """A metric that is a random number."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        """Keep one thing: the host warns of none."""
        self.results.append(1)

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Draw."""
        return {'score': float(np.random.rand())}


class PairBatches:
    """A batch sampler of its own making, as the one that goes by aspect ratio."""

    def __init__(self, sampler: Any, batch_size: int) -> None:
        self.sampler, self.batch_size = sampler, batch_size

    def __iter__(self) -> Any:
        batch: list[int] = []
        for index in self.sampler:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield batch
                batch = []

    def __len__(self) -> int:
        return NUM_IMAGES // self.batch_size


class Losses(Hook):
    """Keeps the losses, and stops a training as a kill does."""

    def __init__(self, stop_after: int | None) -> None:
        self.losses: dict[int, float] = {}
        self.stop_after = stop_after

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Note the loss."""
        self.losses[runner.iter] = float(outputs['loss'].detach())
        if runner.iter + 1 == self.stop_after:
            raise KeyboardInterrupt


def losses(
    folder: Path,
    loop: dict[str, Any],
    workers: int,
    batch_sampler: Any = None,
    resume_from: str | None = None,
    stop_after: int | None = None,
    hook: bool = True,
    rank: int | None = None,
) -> dict[int, float]:
    """Train and return the loss of each iteration, of a rank if there are two."""
    seed_generators(0)
    model = Sampling()
    seed_generators(np.random.SeedSequence().entropy % 2**32)  # as a new process
    by_epoch = loop is EPOCHS
    kept = Losses(stop_after)
    kind = DefaultSampler if by_epoch else InfiniteSampler
    sampler = kind(Flipped(), shuffle=True, seed=3)  # type: ignore[arg-type]
    batches = batch_sampler and batch_sampler(sampler, batch_size=2)
    options: dict[str, Any] = (
        dict(batch_sampler=batches) if batches else dict(sampler=sampler, batch_size=2)
    )
    wrapper = {'type': 'MMDistributedDataParallel', 'device_ids': None}
    ranks: dict[str, Any] = dict(launcher='pytorch', cfg=Config(dict(model_wrapper_cfg=wrapper)))
    loader: Any = DataLoader(
        Flipped(), num_workers=workers, persistent_workers=workers > 0, collate_fn=list, **options
    )
    runner = Runner(
        model=model,
        work_dir=str(folder),
        train_dataloader=loader,
        val_dataloader=dict(
            dataset=Flipped(), batch_size=5, sampler=dict(type='DefaultSampler', shuffle=False)
        ),
        val_evaluator=Evaluator(Draws()),
        val_cfg=dict(type='ValLoop'),
        train_cfg=dict(loop),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01)),
        default_hooks=dict(
            checkpoint=dict(
                type='CheckpointHook', interval=1 if by_epoch else 5, by_epoch=by_epoch
            ),
            **(dict(random_state=dict(type='mmext.RandomStateHook')) if hook else {}),
        ),
        randomness=dict(seed=3),
        experiment_name=f'{folder.name}_{resume_from}_{stop_after}',
        load_from=resume_from and str(folder / resume_from),
        resume=resume_from is not None,
        log_level='ERROR',
        **({} if rank is None else ranks),
    )
    runner.register_hook(kept)
    with suppress(KeyboardInterrupt):
        runner.train()
    del runner, loader
    return kept.losses


def main() -> None:
    """``sampling_training.py FOLDER LOOP OPTIONS``."""
    torch.distributed.init_process_group('gloo')
    torch.set_num_threads(1)
    folder, loop, options = sys.argv[1:]
    rank = int(os.environ['RANK'])
    shape = {'epochs': EPOCHS, 'iterations': ITERATIONS}[loop]
    found = losses(Path(folder), shape, 0, rank=rank, **json.loads(options))
    print('LOSSES', json.dumps(found), flush=True)
    os._exit(0)  # the other rank may be gone


if __name__ == '__main__':
    main()
