"""A progress bar for a training that is watched by a person."""

import time
from contextlib import ExitStack
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from rich import get_console
from rich.console import Console

from mmext.progress import progress_bar

_PASSED_OVER, _TIMED = 5, 20  # iterations: the first ones warm up


class TrainingProgressHook(Hook):
    """Shows iterations, speed and time left of a training, and early how long it takes here.

    Args:
        console: where to; the terminal by default.
    """

    priority = 'LOWEST'

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or get_console()
        self._open = ExitStack()
        self._seen, self._since = 0, 0.0

    def before_train(self, runner: Runner) -> None:
        """Show the bar."""
        bar = progress_bar('training', runner.max_iters, 'it', self._console)
        self._advance = self._open.enter_context(bar)
        self._advance(runner.iter)

    def after_train_iter(self, runner: Runner, *arguments: Any, **keywords: Any) -> None:
        """Move the bar."""
        self._advance(1)
        self._seen += 1
        if self._seen == _PASSED_OVER:
            self._since = time.monotonic()
        elif self._seen == _PASSED_OVER + _TIMED:
            seconds = (time.monotonic() - self._since) / _TIMED * runner.max_iters
            self._console.print(f'about {max(1, round(seconds / 60))} minutes on this machine')

    def after_run(self, runner: Runner) -> None:
        """Let the bar go."""
        self._open.close()
