"""A training that was stopped and resumed has the losses of one that was not."""

import json
import os
import random
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import get_worker_info

from mmext.errors import InputError
from mmext.hooks.random_state.generators import (
    SeededBatch,
    SeededBatches,
    random_state,
    seed_generators,
    set_random_state,
)
from mmext.hooks.random_state.hook import KEY, RANKS_KEY

sys.path.append(str(Path(__file__).parent))
from sampling_training import EPOCHS, ITERATIONS, PairBatches, losses

pytestmark = pytest.mark.usefixtures('fresh_runs')


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


@pytest.mark.parametrize('loop', ['iterations', 'epochs'])
def test_resumed_losses_are_equal_on_each_of_two_ranks(loop: str, tmp_path: Path) -> None:
    """Two gloo processes, unbroken, and killed and resumed; each rank draws on its own."""
    last, start = (12, 6) if loop == 'epochs' else (12, 5)
    checkpoint = 'epoch_2.pth' if loop == 'epochs' else 'iter_5.pth'
    unbroken = on_two_ranks(tmp_path / 'unbroken', loop)
    first = on_two_ranks(tmp_path / 'killed', loop, stop_after=start + 2)
    rest = on_two_ranks(tmp_path / 'killed', loop, resume_from=checkpoint)
    for rank in (0, 1):
        assert sorted(unbroken[rank]) == list(range(last))
        assert sorted(rest[rank]) == list(range(start, last))
        assert unbroken[rank] == first[rank] | rest[rank]
    assert not {*unbroken[0].values()} & {*unbroken[1].values()}


def on_two_ranks(folder: Path, loop: str, **options: Any) -> list[dict[int, float]]:
    """The losses of each rank."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = str(probe.getsockname()[1])
    group = {'WORLD_SIZE': '2', 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': port}
    script = Path(__file__).with_name('sampling_training.py')
    ranks = [
        subprocess.Popen(
            [sys.executable, script, folder, loop, json.dumps(options)],
            env={**os.environ, **group, 'RANK': rank, 'LOCAL_RANK': rank},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in ('0', '1')
    ]
    try:
        outputs = [process.communicate(timeout=400)[0] for process in ranks]
    finally:
        for process in ranks:
            process.kill()
    lines = [output.rpartition('LOSSES ')[2].splitlines() for output in outputs]
    assert all(line for line in lines), '\n'.join(outputs)
    return [{int(k): v for k, v in json.loads(line[0]).items()} for line in lines]


def test_without_the_hook_they_are_not(tmp_path: Path) -> None:
    """So that the test above can fail."""
    unbroken = losses(tmp_path, ITERATIONS, 0, hook=False)
    rest = losses(tmp_path, ITERATIONS, 0, resume_from='iter_5.pth', hook=False)
    assert any(rest[step] != unbroken[step] for step in rest)


@pytest.mark.parametrize(
    'entry', [{KEY: {'python': 1}}, {KEY: 'x'}, {RANKS_KEY: 7}, {RANKS_KEY: [[]]}]
)
def test_spoiled_states_are_said(entry: dict[str, Any], tmp_path: Path) -> None:
    losses(tmp_path, ITERATIONS, 0, stop_after=6)
    file = tmp_path / 'iter_5.pth'
    torch.save({**torch.load(file, weights_only=False), **entry}, file)
    with pytest.raises(InputError, match=r'random generators in the checkpoint .* are spoiled'):
        losses(tmp_path, ITERATIONS, 0, resume_from='iter_5.pth')


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
