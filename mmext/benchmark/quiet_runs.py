"""Runs inside a benchmark: the host's runner without a word, a tracker or files to keep."""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmext.configuration import load_config, rebase_data_root, set_mlflow, set_precision


def quiet_config(name: str, data: Path, precision: str, folder: Path) -> Any:
    """A config for short runs on a data set of the benchmark's own, without workers.

    Args:
        name: of the config.
        data: folder of the data set.
        precision: see :func:`set_quiet`.
        folder: of the benchmark's files; logs go into ``logs`` in it.
    """
    config = load_config(name)
    rebase_data_root(config, str(data.absolute()))
    set_quiet(config, precision, folder / 'logs')
    set_alone(config)
    return config


def set_quiet(config: Any, precision: str, folder: Path) -> None:
    """Make a config one of a run whose numbers the benchmark shows, in place.

    Args:
        config: of a training or a test.
        precision: see :func:`~mmext.configuration.set_precision`.
        folder: for logs.
    """
    set_mlflow(config, 'off')
    set_precision(config, precision)
    config.merge_from_dict(
        dict(
            work_dir=str(folder),
            log_level='ERROR',
            launcher='none',
            experiment_name=f'benchmark_{uuid.uuid4().hex}',  # the host keeps objects by it
        )
    )


def set_alone(config: Any) -> None:
    """Let no loader start workers, in place: runs of a benchmark are short and many."""
    for loop in ('train', 'val', 'test'):
        if loader := config.get(f'{loop}_dataloader'):
            loader.update(num_workers=0, persistent_workers=False)


def set_length(config: Any, steps: int) -> None:
    """Train for some steps, in place; nothing is validated or kept before their end."""
    config.train_cfg.update(max_iters=steps, val_interval=steps + 1)
    config.default_hooks.checkpoint.update(interval=steps + 1, save_last=False)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What is printed within is not shown."""
    with open(os.devnull, 'w') as nowhere, contextlib.redirect_stdout(nowhere):
        yield
