"""How much of a training is spent waiting for data."""

import time
from collections import deque

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmext.registry import HOOKS

KEY = 'train/waited_for_data'
"""Of the message hub: the share of the last steps' time, 0 to 1."""

_TOO_MUCH = 0.2
_WINDOW = 100  # steps


@HOOKS.register_module()
class DataWaitHook(Hook):
    """Says which share of the time steps wait for their batch, and warns once if it is large.

    A step begins to wait when all hooks of the step before are done, and ends to when it has its
    batch. Validation and the saving of checkpoints are no waiting, nor is the start of the workers
    before the first step.

    Args:
        window: the share is that of so many steps; the warning comes after as many.
    """

    priority = 'LOWEST'  # what other hooks do is no waiting

    def __init__(self, window: int = _WINDOW) -> None:
        self._window = window
        self._waits: deque[float] = deque(maxlen=window)  # s
        self._steps: deque[float] = deque(maxlen=window)
        self._waited = self._passed = 0.0
        self._began = self._idle_since = 0.0
        self._is_first, self._has_warned = True, False

    def before_train_epoch(self, runner: Runner) -> None:
        """The next batch is asked for."""
        self._idle_since = time.perf_counter()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: object = None) -> None:
        """The batch is there."""
        self._began = time.perf_counter()
        if self._is_first:
            return
        self._waits.append(self._began - self._idle_since)
        self._waited += self._waits[-1]
        self._passed += self._waits[-1]
        waited = sum(self._waits)
        runner.message_hub.update_scalar(KEY, waited / (waited + sum(self._steps)))
        self._warn(runner, waited / (waited + sum(self._steps)))

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: object = None,
        outputs: object = None,
    ) -> None:
        """The step is done, the next batch is asked for."""
        self._idle_since = time.perf_counter()
        if not self._is_first:  # it warms up
            self._steps.append(self._idle_since - self._began)
            self._passed += self._steps[-1]
        self._is_first = False

    def after_val_epoch(self, runner: Runner, metrics: object = None) -> None:
        """A validation was no waiting."""
        self._idle_since = time.perf_counter()

    def after_train(self, runner: Runner) -> None:
        """Sum up."""
        if self._passed:
            runner.logger.info(f'waited for data: {self._waited / self._passed:.1%} of the steps')

    def _warn(self, runner: Runner, share: float) -> None:
        if self._has_warned or len(self._waits) < self._window or share < _TOO_MUCH:
            return
        self._has_warned = True
        workers = runner.train_dataloader.num_workers
        runner.logger.warning(
            f'{share:.0%} of the last {self._window} steps was spent waiting for data, with '
            f'num_workers={workers} in train_dataloader: more of them prepare more batches while '
            'the network computes; smaller photos on a nearer disk are read sooner'
        )
