"""A training that was stopped and resumed has the losses of one that was not."""

import random
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, get_worker_info

from mmext.hooks.random_state.generators import (
    SeededBatch,
    SeededBatches,
    random_state,
    seed_generators,
    set_random_state,
)
from mmext.hooks.random_state.hook import KEY

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
) -> dict[int, float]:
    """Train and return the loss of each iteration."""
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
    )
    runner.register_hook(kept)
    with suppress(KeyboardInterrupt):
        runner.train()
    del runner, loader
    return kept.losses


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> Any:
    torch.set_num_threads(1)
    monkeypatch.setattr('time.sleep', lambda _: None)  # mmengine's pause between two passes
    yield
    MMLogger._instance_dict.clear()


@pytest.mark.parametrize(
    ('loop', 'workers', 'batch_sampler'),
    [
        (ITERATIONS, 0, None),
        (ITERATIONS, 1, None),
        (ITERATIONS, 1, PairBatches),
        (EPOCHS, 0, None),
        (EPOCHS, 2, None),
    ],
    ids=[
        'iterations',
        'iterations, worker',
        'iterations, own batches',
        'epochs',
        'epochs, workers',
    ],
)
def test_resumed_losses_are_equal(
    loop: dict[str, Any], workers: int, batch_sampler: Any, tmp_path: Path
) -> None:
    by_epoch = loop is EPOCHS
    last, checkpoint = (20, 'epoch_2.pth') if by_epoch else (12, 'iter_5.pth')
    start = 10 if by_epoch else 5
    unbroken = losses(tmp_path / 'unbroken', loop, workers, batch_sampler)
    first = losses(tmp_path / 'killed', loop, workers, batch_sampler, stop_after=start + 2)
    rest = losses(tmp_path / 'killed', loop, workers, batch_sampler, resume_from=checkpoint)
    assert sorted(unbroken) == list(range(last)) and sorted(rest) == list(range(start, last))
    assert unbroken == first | rest
    assert len(set(unbroken.values())) == last


def test_without_the_hook_they_are_not(tmp_path: Path) -> None:
    """So that the test above can fail."""
    unbroken = losses(tmp_path, ITERATIONS, 0, hook=False)
    rest = losses(tmp_path, ITERATIONS, 0, resume_from='iter_5.pth', hook=False)
    assert any(rest[step] != unbroken[step] for step in rest)


def test_checkpoints_hold_plain_data(tmp_path: Path) -> None:
    losses(tmp_path, ITERATIONS, 0, stop_after=6)
    stored = torch.load(tmp_path / 'iter_5.pth', weights_only=False)[KEY]
    torch.save(stored, tmp_path / 'state.pth')
    again = torch.load(tmp_path / 'state.pth', weights_only=True)
    set_random_state(again)
    drawn = (random.random(), np.random.rand(), float(torch.rand(())))
    set_random_state(stored)
    assert drawn == (random.random(), np.random.rand(), float(torch.rand(())))


def test_state_goes_round() -> None:
    def draw() -> list[float]:
        return [random.gauss(0, 1), np.random.randn(), float(torch.randn(()))]

    draw()  # half of a pair of normal numbers is kept in the states
    state = random_state()
    expected = [draw(), draw()]
    set_random_state(state)
    assert [draw(), draw()] == expected


def test_streams_differ_by_each_number() -> None:
    def draw(*numbers: int) -> tuple[float, float, float]:
        seed_generators(*numbers)
        return random.random(), np.random.rand(), float(torch.rand(()))

    drawn = [draw(0, 0, 1), draw(0, 1, 0), draw(1, 0, 0), draw(0, 0, 0), draw(0, 0, 1)]
    assert drawn[0] == drawn[-1] and len(set(drawn)) == 4


def test_batches_count_on_and_leave_out() -> None:
    batches = SeededBatches([[1, 2], [3], [4]], seed=7, rank=1, first=5)
    assert [(list(b), b.numbers) for b in batches] == [
        ([1, 2], (7, 1, 5)),
        ([3], (7, 1, 6)),
        ([4], (7, 1, 7)),
    ]
    assert [b.numbers[-1] for b in batches] == [8, 9, 10] and len(batches) == 3
    batches = SeededBatches([[1, 2], [3], [4]], seed=7, rank=1, first=0)
    batches.skip(2)
    assert [(list(b), b.numbers[-1]) for b in batches] == [([4], 2)]


def test_nothing_is_seeded_in_the_process_of_the_training() -> None:
    seed_generators(1)
    expected = np.random.rand()
    seed_generators(1)
    assert get_worker_info() is None
    taken: Sequence[int] = list(SeededBatch([4, 5], (0, 0, 0)))
    assert taken == [4, 5] and np.random.rand() == expected
