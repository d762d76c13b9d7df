"""Which run a call of mmengine's runner belongs to: the one of its checkpoint, or a new one."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmengine.runner import Runner

from mmext.hooks.mlflow_logging.delivery.identity import HUB_ID, HUB_KEY, RunIdentity, is_key


@dataclass(frozen=True)
class LoadedCheckpoint:
    """What a checkpoint says about the run that wrote it.

    Attributes:
        key: of that run, None if it was not tracked.
        step: training iterations done.
    """

    key: str | None = None
    step: int = 0

    @classmethod
    def of(cls, checkpoint: Mapping[str, Any]) -> 'LoadedCheckpoint':
        """Read mmengine's checkpoint."""
        key = _entry(_entry(checkpoint.get('message_hub'), 'runtime_info'), HUB_KEY)
        step = _entry(checkpoint.get('meta'), 'iter')
        return cls(key if is_key(key) else None, step if isinstance(step, int) else 0)


def identity_of(runner: Runner, mode: str, loaded: LoadedCheckpoint) -> RunIdentity:
    """The run to continue, or a new one.

    A resumed training continues the run of its checkpoint, or the one in its
    work folder if it died before the first checkpoint. A test belongs to the
    run that trained its checkpoint. ``MLFLOW_RUN_ID`` names a run that
    somebody else has opened for us.

    Args:
        runner: as the loop starts: checkpoints are loaded.
        mode: ``train``, ``val`` or ``test``.
        loaded: the checkpoint that was loaded.
    """
    known = RunIdentity.load(runner.work_dir)
    resumes = mode == 'train' and runner._resume
    hub = runner.message_hub
    key = hub.get_info(HUB_KEY) if resumes else loaded.key if mode != 'train' else None
    if is_key(key) and (known is None or known.key != key):
        run_id = hub.get_info(HUB_ID) if resumes else None
        return RunIdentity(key, run_id if is_key(run_id) else None)
    if known is not None and (resumes or mode != 'train'):
        return known
    return RunIdentity.new(os.environ.get('MLFLOW_RUN_ID'))


def _entry(node: object, name: str) -> object:
    """An entry of a dict; None of what is none."""
    return node.get(name) if isinstance(node, Mapping) else None
