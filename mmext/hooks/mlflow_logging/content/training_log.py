"""What a training leaves in the log: the scalars of the message hub, raw, and the gradient norm."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from mmext.hooks.mlflow_logging.content.gradients import GradientNorm
from mmext.hooks.mlflow_logging.delivery import records
from mmext.hooks.mlflow_logging.delivery.records import Record

# MLflow's page shows groups and their curves by the alphabet: the losses are to come first
_OF_THE_PACE = (
    'base_lr', 'base_momentum', 'data_time', 'epoch', 'grad_norm', 'memory', 'time',
    'waited_for_data',
)  # fmt: skip
_ACCURACY = re.compile(r'(?:^|[._])acc(?:uracy)?(?:$|[._@\d])')  # acc, s0.acc, acc_seg, cls_acc


class TrainingLog:
    """The curves of one session.

    Args:
        put: takes records.
        interval: log every so many iterations, and the last.
        scalars: the histories of mmengine's message hub; what is in them now is old.
        optimizer: whose gradient norm is measured; None where it is among the scalars anyway.
    """

    def __init__(
        self,
        put: Callable[[Record], None],
        interval: int,
        scalars: Mapping[str, Any],
        optimizer: torch.optim.Optimizer | None,
    ) -> None:
        self._put = put
        self._interval = interval
        self._scalars = scalars
        self._seen: dict[str, np.ndarray] = {n: buffer.data[0] for n, buffer in scalars.items()}
        self._gradient_norm = None if optimizer is None else GradientNorm(optimizer)

    def is_logged(self, step: int, last_step: int) -> bool:
        """Whether an iteration, counted from 1, belongs in the log."""
        return step % self._interval == 0 or step == last_step

    def expect(self) -> None:
        """The iteration that begins will be logged."""
        if self._gradient_norm is not None:
            self._gradient_norm.want()

    def add(self, step: int, epoch: float) -> None:
        """Log an iteration.

        Args:
            step: iterations done.
            epoch: epochs done.
        """
        values = self._fresh_scalars()
        values['train/epoch'] = epoch
        if self._gradient_norm is not None and (norm := self._gradient_norm.take()) is not None:
            values['train/grad_norm'] = norm
        self._put(records.metrics({_curve(n): v for n, v in values.items()}, step, once=True))

    def close(self) -> None:
        """Leave the optimizer alone."""
        if self._gradient_norm is not None:
            self._gradient_norm.remove()

    def _fresh_scalars(self) -> dict[str, float]:
        """The training scalars that were updated since the last call.

        A history that grows is a new array; holding on to the last one tells
        an update apart from a value left over from earlier iterations.
        """
        values: dict[str, float] = {}
        for name, buffer in self._scalars.items():
            if name.startswith('train/'):
                history: np.ndarray = buffer.data[0]
                if history is not self._seen.get(name):
                    self._seen[name] = history
                    values[name] = float(history[-1])
        return values


def _curve(name: str) -> str:
    """The curve of a scalar: what is no loss, score or rate has a group of its own.

    >>> _curve('train/loss'), _curve('train/data_time'), _curve('train/s0.acc')
    ('train/loss', 'train_pace/data_time', 'train_accuracy/s0.acc')
    """
    group, _, last = name.rpartition('/')
    if group != 'train':
        return name
    if last in _OF_THE_PACE:
        return f'train_pace/{last}'
    return f'train_accuracy/{last}' if _ACCURACY.search(last) else name
