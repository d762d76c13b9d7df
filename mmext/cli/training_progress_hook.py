"""A progress bar for a training that is watched by a person."""

from contextlib import ExitStack
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from rich.console import Console

from mmext.progress import progress_bar


class TrainingProgressHook(Hook):
    """Shows iterations, speed and time left of a training.

    Args:
        console: where to; the terminal by default.
    """

    priority = 'LOWEST'

    def __init__(self, console: Console | None = None) -> None:
        self._console = console
        self._open = ExitStack()

    def before_train(self, runner: Runner) -> None:
        """Show the bar."""
        bar = progress_bar('training', runner.max_iters, 'it', self._console)
        self._advance = self._open.enter_context(bar)
        self._advance(runner.iter)

    def after_train_iter(self, runner: Runner, *arguments: Any, **keywords: Any) -> None:
        """Move the bar."""
        self._advance(1)

    def after_run(self, runner: Runner) -> None:
        """Let the bar go."""
        self._open.close()
