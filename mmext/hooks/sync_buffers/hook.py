"""Averages the buffers of a model over the ranks, so that all of them evaluate one network."""

from typing import Any

from mmengine.dist import all_reduce_params, is_distributed
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmext.registry import HOOKS


@HOOKS.register_module()
class SyncBuffersHook(Hook):
    """Gives every rank the mean of the BatchNorm statistics, after every iteration.

    mmengine's hook of this name acts at the end of an epoch, which is after the evaluations
    and checkpoints of a run that counts iterations.
    """

    priority = 'NORMAL'  # before checkpoints are written

    def after_train_iter(self, runner: Runner, *arguments: Any, **keywords: Any) -> None:
        """Average the floating-point buffers."""
        if is_distributed():
            buffers = [b for b in runner.model.buffers() if b.is_floating_point()]
            all_reduce_params(buffers, op='mean')
