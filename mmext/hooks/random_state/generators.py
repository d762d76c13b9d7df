"""The states of the random generators that a training draws from, and seeds for single samples."""

import itertools
import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import get_worker_info


def random_state() -> dict[str, Any]:
    """States of Python's, NumPy's and torch's generators, that of the present GPU included.

    Returns:
        Plain numbers, texts, tuples and tensors.
    """
    name, keys, *rest = np.random.get_state(legacy=True)
    return {
        'python': random.getstate(),
        'numpy': (str(name), [int(key) for key in keys], *rest),
        'torch': torch.get_rng_state(),
        # a rank has one GPU: to ask the others would start each of them in this process
        'cuda': [torch.cuda.get_rng_state()] if torch.cuda.is_initialized() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Go on drawing where :func:`random_state` was called; a GPU that is not there is left out."""
    version, numbers, gauss = state['python']
    random.setstate((version, tuple(numbers), gauss))
    name, keys, *rest = state['numpy']
    np.random.set_state((name, np.array(keys, np.uint32), *rest))
    torch.set_rng_state(state['torch'].cpu())
    if state['cuda'] and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'][0].cpu())


def seed_generators(*numbers: int) -> None:
    """Seed all generators of this process by some numbers; each set of numbers is a stream."""
    words = np.random.SeedSequence(numbers).generate_state(4)
    random.seed(int(words[0]))
    np.random.seed(int(words[1]))
    torch.manual_seed((int(words[2]) << 32) + int(words[3]))


class SeededBatch(list[Any]):
    """The indices of a batch; a worker that takes one of them is seeded for it.

    Args:
        indices: of the samples.
        numbers: seed of the run, rank and number of the batch in the training.
    """

    def __init__(self, indices: Sequence[Any] = (), numbers: tuple[int, ...] = ()) -> None:
        super().__init__(indices)
        self.numbers = numbers

    def __iter__(self) -> Iterator[Any]:
        """Iterate the indices; in the process of the training nothing is seeded."""
        in_worker = get_worker_info() is not None
        for place, index in enumerate(super().__iter__()):
            if in_worker:
                seed_generators(*self.numbers, place)
            yield index


class SeededBatches:
    """A batch sampler whose batches know their number.

    Args:
        batches: the batch sampler of a data loader.
        seed: of the run.
        rank: of the process.
        first: number of the next batch.
    """

    def __init__(self, batches: Any, seed: int, rank: int, first: int) -> None:
        self._batches = batches
        self._numbers = (seed, rank)
        self._next = first
        self._left_out = 0

    def skip(self, count: int) -> None:
        """Leave out the next batches, of a sampler that does not end; nothing is loaded."""
        self._left_out = count
        self._next += count

    def __iter__(self) -> Iterator[SeededBatch]:
        """Iterate the batches; a second pass goes on counting."""
        left_out, self._left_out = self._left_out, 0
        for batch in itertools.islice(self._batches, left_out, None):
            self._next += 1
            yield SeededBatch(batch, (*self._numbers, self._next - 1))

    def __len__(self) -> int:
        """The number of batches of a pass."""
        return len(self._batches)

    def __getattr__(self, name: str) -> Any:
        """What else the loader and mmengine ask of a batch sampler."""
        if name == '_batches':  # in a copy, before it has its values
            raise AttributeError(name)
        return getattr(self._batches, name)
