"""What the hook asks mmengine's runner."""

from pathlib import Path
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmengine.hooks import CheckpointHook
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmengine.runner.base_loop import BaseLoop

from mmext.drawing.panels import Classes


def name_of(runner: Runner) -> str:
    """The config file's name, or the work folder's where there is none."""
    file = runner.cfg.filename
    return Path(file).stem if file else Path(runner.work_dir).resolve().name


def built_loops(runner: Runner) -> dict[str, Any]:
    """The loops of this call of the runner; those not built yet are configs still."""
    loops = {'train': runner._train_loop, 'val': runner._val_loop, 'test': runner._test_loop}
    return {name: loop for name, loop in loops.items() if isinstance(loop, BaseLoop)}


def is_training(runner: Runner) -> bool:
    """Whether this call of the runner trains."""
    return isinstance(runner._train_loop, BaseLoop)


def keeps_best(runner: Runner) -> bool:
    """Whether the run looks for a best checkpoint."""
    hooks = (hook for hook in runner.hooks if isinstance(hook, CheckpointHook))
    return any(hook.save_best is not None for hook in hooks)


def unclipped_optimizer(runner: Runner) -> torch.optim.Optimizer | None:
    """The optimizer, where mmengine does not measure the gradient norm for clipping anyway."""
    wrapper = runner.optim_wrapper
    optimizer = getattr(wrapper, 'optimizer', None)
    if not isinstance(optimizer, torch.optim.Optimizer) or wrapper.clip_grad_kwargs:
        return None
    return optimizer


def classes_of(runner: Runner, mode: str) -> Classes:
    """The classes of the data set of a loop."""
    metainfo = getattr(built_loops(runner)[mode].dataloader.dataset, 'metainfo', None) or {}
    return Classes.of(metainfo)


def epochs_done(runner: Runner, step: int) -> float:
    """Epochs after a number of iterations, also where the loop does not count them."""
    loader: Any = runner.train_dataloader
    if isinstance(runner.train_loop, EpochBasedTrainLoop):
        return float(step / len(loader))
    batch_size = loader.batch_size or getattr(loader.batch_sampler, 'batch_size', 1)
    return float(step * batch_size * get_world_size() / len(loader.dataset))
