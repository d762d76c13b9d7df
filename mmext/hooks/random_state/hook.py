"""Random numbers of a resumed training, as if it had not stopped."""

from typing import Any

import torch
from mmengine.dataset import InfiniteSampler
from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner

from mmext.errors import InputError
from mmext.hooks.random_state.generators import (
    SeededBatches,
    random_state,
    seed_generators,
    set_random_state,
)
from mmext.hooks.saving_times import saves_after_epoch, saves_after_iter
from mmext.registry import HOOKS

KEY = 'mmext_random_state'
"""Of the states of rank 0 in a checkpoint."""

RANKS_KEY = 'mmext_random_states_of_ranks'
"""Of the states of all ranks, where there are several."""

_SPOILED = (
    f'the states of the random generators in the checkpoint ({KEY}, {RANKS_KEY}) are spoiled: '
    'go on from another one (--resume FILE), or start from its weights (load_from)'
)


@HOOKS.register_module()
class RandomStateHook(Hook):
    """Stores the states of all random generators with each checkpoint, and resumes them.

    - The process of the training goes on with the states of the checkpoint: the sampling of RoIs,
      dropout, transforms without workers. Each rank has its own. Rank 0 gathers them when a
      checkpoint of the host's hook is due; a rank without states in the checkpoint, as in a
      training on more ranks than before, is seeded anew by seed, rank and iteration.
    - Workers are seeded for each sample by seed, rank, number of the batch and place in it. What a
      transform draws depends neither on the number of workers nor on when the training was
      resumed.
    - Validation draws from the same generators, and puts them back.
    """

    priority = 'VERY_HIGH'  # before validation and saving hooks

    def __init__(self) -> None:
        self._resumed: list[dict[str, Any]] = []
        self._gathered: tuple[int, list[dict[str, Any]]] = (-1, [])
        self._before_validation: dict[str, Any] | None = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Take the states of a checkpoint that is resumed."""
        if runner._resume:
            first = [checkpoint[KEY]] if KEY in checkpoint else []
            self._resumed = checkpoint.get(RANKS_KEY, first)
            if not isinstance(self._resumed, list):
                raise InputError(_SPOILED)

    def before_train(self, runner: Runner) -> None:
        """Give the loader a generator of its own, and its batches their numbers."""
        loader, seed, rank = runner.train_dataloader, int(runner.seed), get_rank()
        loader.generator = torch.Generator().manual_seed(seed + rank)
        if loader.batch_sampler is not None:
            batches = _numbered(runner.train_loop, loader.batch_sampler, (seed, rank))
            # torch forbids a plain assignment, because an iterator may have the old one
            object.__setattr__(loader, 'batch_sampler', batches)

    def before_train_epoch(self, runner: Runner) -> None:
        """Go on with the states of the checkpoint, once; the start of a run draws no more."""
        states, self._resumed = self._resumed, []
        if not states:
            return
        if get_rank() >= len(states):
            seed_generators(int(runner.seed), get_rank(), runner.iter)
            return
        try:
            set_random_state(states[get_rank()])
        except (TypeError, ValueError, KeyError, IndexError, AttributeError, RuntimeError) as error:
            raise InputError(_SPOILED) from error

    def after_train_iter(self, runner: Runner, *arguments: Any, **keywords: Any) -> None:
        """Gather the states of all ranks before they are saved."""
        if saves_after_iter(runner):
            self._gather(runner.iter + 1)

    def after_train_epoch(self, runner: Runner) -> None:
        """Gather the states of all ranks before they are saved."""
        if saves_after_epoch(runner):
            self._gather(runner.iter)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Store the states."""
        checkpoint[KEY] = random_state()
        step, states = self._gathered
        if step == checkpoint['meta'].get('iter'):
            checkpoint[RANKS_KEY] = states

    def _gather(self, step: int) -> None:
        if get_world_size() > 1:
            self._gathered = (step, all_gather_object(random_state()))

    def before_val(self, runner: Runner) -> None:
        """Note the states."""
        self._before_validation = random_state()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Put them back, before the best checkpoint is saved."""
        if self._before_validation is not None:
            set_random_state(self._before_validation)
            self._gather(runner.iter)
        self._before_validation = None


def _numbered(loop: Any, batch_sampler: Any, seeds: tuple[int, int]) -> SeededBatches:
    """The batches of a loader, numbered from the start of the training.

    A resumed loop over iterations first leaves out what was trained on. Of a sampler without end
    the batches do it; else mmengine takes them from the loader, which counts them as well.
    """
    if not isinstance(loop, IterBasedTrainLoop) or loop.fast_forward_on_resume:
        return SeededBatches(batch_sampler, *seeds, first=loop.iter)
    batches = SeededBatches(batch_sampler, *seeds, first=0)
    if isinstance(batch_sampler.sampler, InfiniteSampler):
        loop.dataloader_iterator.skip_iter = batches.skip
    return batches
