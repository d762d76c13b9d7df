"""When the host's checkpoint hooks will save, known on all ranks before one of them does."""

from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner


def saves_after_iter(runner: Runner) -> bool:
    """Whether a checkpoint is saved after the present iteration, asked in ``after_train_iter``."""
    return any(
        hook.every_n_train_iters(runner, hook.interval, hook.save_begin)
        or (hook.save_last and hook.is_last_train_iter(runner))
        for hook in runner.hooks
        if isinstance(hook, CheckpointHook) and not hook.by_epoch
    )


def saves_after_epoch(runner: Runner) -> bool:
    """Whether one is saved after the present epoch, asked in ``after_train_epoch``."""
    return any(
        hook.every_n_epochs(runner, hook.interval, hook.save_begin)
        or (hook.save_last and hook.is_last_train_epoch(runner))
        for hook in runner.hooks
        if isinstance(hook, CheckpointHook) and hook.by_epoch
    )
