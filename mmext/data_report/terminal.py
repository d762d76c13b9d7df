"""A report as text."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mmext.data_report import words
from mmext.data_report.problems import Problem, Weight
from mmext.data_report.report import PartReport, Report

_MAX_ROWS = 100
_PIPED_WIDTH = 160  # a pipe has no width; lines of rich's 80 would cut the tables
_COLORS = {Weight.STOPS: 'red', Weight.LEFT_OUT: 'yellow', Weight.LOOK: 'cyan'}


def print_report(report: Report, console: Console | None = None) -> None:
    """Print a report, the problems last: there they are seen."""
    if console is None:
        console = Console(highlight=False)
        if not console.is_terminal:
            console = Console(highlight=False, width=_PIPED_WIDTH)
    for part in report.parts:
        _print_part(part, console)
    _print_problems(report, console)


def _print_part(report: PartReport, console: Console) -> None:
    console.print(f'\n[bold]{escape(report.line)}[/]', soft_wrap=True)
    for name, text in words.facts(report):
        console.print(f'  {name}: {escape(text)}', soft_wrap=True)
    rows = list(enumerate(report.rows))
    shown = rows
    if len(rows) > _MAX_ROWS:  # the most frequent and the rarest
        ordered = sorted(rows, key=lambda item: -item[1].objects)
        shown = ordered[: _MAX_ROWS // 2] + ordered[-_MAX_ROWS // 2 :]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in words.CLASS_COLUMNS:
        table.add_column(column, justify='left' if column == 'class' else 'right', no_wrap=True)
    for label, row in shown:
        style = None if row.objects else 'dim'
        table.add_row(*map(escape, words.class_cells(label, row)), style=style)
    console.print(table)
    if len(rows) > len(shown):
        console.print(f'  the {len(shown) // 2} most frequent and the {len(shown) // 2} rarest of')
        console.print(f'  {len(rows)} classes; report.json (--out) has all')


def _print_problems(report: Report, console: Console) -> None:
    for weight in Weight:
        of_weight = [problem for problem in report.problems if problem.weight is weight]
        if of_weight:
            console.print(f'\n[bold {_COLORS[weight]}]{weight}[/]')
        for problem in of_weight:
            console.print(f'  {escape(line(problem))}', soft_wrap=True)
    if not report.problems:
        console.print('\nno problem found')
    else:
        console.print()


def line(problem: Problem) -> str:
    """``train: 3 photos are missing ...``."""
    return f'{problem.where}: {problem.text}'
