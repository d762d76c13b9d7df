"""A progress bar with speed and time left."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
        if not speed:
            return Text('')
        text = f'{speed:.1f} {self.unit}/s' if speed >= 1 else f'{1 / speed:.1f} s/{self.unit}'
        return Text(text)


@contextmanager
def progress_bar(
    description: str, total: int | None, unit: str, console: Console | None = None
) -> Iterator[Callable[[int], None]]:
    """Show a bar while the context lasts.

    Args:
        description: text before the bar.
        total: number of steps; None when unknown, the bar then only counts.
        unit: what a step is.
        console: where to; the terminal by default.

    Yields:
        A function that moves the bar by a number of steps.
    """
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
