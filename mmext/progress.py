"""Progress with speed and time left: a bar in a terminal, a line now and then in a file."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich import get_console
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class SpeedColumn(ProgressColumn):
    """Steps a second, or seconds a step where they are slow."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        """Return the speed as text."""
        mean = task.completed / task.elapsed if task.elapsed else None
        speed = task.finished_speed or task.speed or mean
        return Text(_speed_text(speed, self.unit) if speed else '')


class ProgressLines:
    """Progress for a file or a pipe, where a bar would be cut into pieces.

    A line at each tenth of the steps, but not more often than every ten seconds; every half minute
    where their number is unknown; and one at the end.

    Args:
        description: text before the numbers.
        total: number of steps, None when unknown.
        unit: what a step is.
        console: where to.
        now: the clock, in seconds.
    """

    def __init__(
        self,
        description: str,
        total: int | None,
        unit: str,
        console: Console,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._description, self._total, self._unit = description, total, unit
        self._console, self._now = console, now
        self._done, self._started = 0, now()
        self._first, self._shown_at = 0, self._started
        self._next = total / 10 if total else 0.0

    def advance(self, steps: int) -> None:
        """Note that so many more steps are done."""
        now = self._now()
        if not self._done and now - self._started < _AT_ONCE_S:  # an earlier run has done them
            self._first = steps
            self._next += steps
        self._done += steps
        wait_s = _FILE_WAIT_S if self._total else _UNKNOWN_WAIT_S
        is_end = self._total is not None and self._done >= self._total
        if is_end or self._done < self._next or now - self._shown_at < wait_s:
            return
        if self._total:
            self._next = self._done + self._total / 10
        self._shown_at = now
        self._show(now)

    def end(self) -> None:
        """Show the last line."""
        self._show(self._now())

    def _show(self, now: float) -> None:
        seconds, steps = now - self._started, self._done - self._first
        of = '' if self._total is None else f'/{self._total}'
        parts = [f'{self._description} {self._done}{of} {self._unit}', _time_text(seconds)]
        if steps > 0 and seconds > 0:
            parts.append(_speed_text(steps / seconds, self._unit))
            if self._total and self._done < self._total:
                left = seconds / steps * (self._total - self._done)
                parts.append(f'{_time_text(left)} left')
        self._console.print(', '.join(parts), markup=False, highlight=False, soft_wrap=True)


_FILE_WAIT_S, _UNKNOWN_WAIT_S, _AT_ONCE_S = 10.0, 30.0, 0.01


def _speed_text(speed: float, unit: str) -> str:
    return f'{speed:.1f} {unit}/s' if speed >= 1 else f'{1 / speed:.1f} s/{unit}'


def _time_text(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


@contextmanager
def progress_bar(
    description: str, total: int | None, unit: str, console: Console | None = None
) -> Iterator[Callable[[int], None]]:
    """Show a bar while the context lasts, or lines where it would go to a file.

    Args:
        description: text before the bar.
        total: number of steps; None when unknown, the bar then only counts.
        unit: what a step is.
        console: where to; the terminal by default.

    Yields:
        A function that moves the bar by a number of steps.
    """
    console = console or get_console()
    if not console.is_terminal:
        lines = ProgressLines(description, total, unit, console)
        try:
            yield lines.advance
        finally:
            lines.end()
        return
    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        SpeedColumn(unit),
        TimeElapsedColumn(),
        TextColumn('<'),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(description, total=total)
        yield lambda steps: progress.advance(task, steps)
