"""Progress that goes to a file: few lines, none wrapped, with speed and time left."""

import io

import pytest
from rich.console import Console

from mmext.progress import ProgressLines, progress_bar


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def lines_of(total: int | None, steps: int, step_s: float, begin: int = 0) -> list[str]:
    file, clock = io.StringIO(), Clock()
    console = Console(file=file, width=20)
    lines = ProgressLines('a long description', total, 'picture', console, clock)
    if begin:
        lines.advance(begin)
    for _ in range(steps):
        clock.seconds += step_s
        lines.advance(1)
    lines.end()
    return file.getvalue().splitlines()


def test_a_line_at_each_tenth() -> None:
    found = lines_of(100, 100, 2.0)
    assert len(found) == 10
    assert found[0] == 'a long description 10/100 picture, 0:00:20, 2.0 s/picture, 0:03:00 left'
    assert found[-1] == 'a long description 100/100 picture, 0:03:20, 2.0 s/picture'


def test_not_more_often_than_every_ten_seconds() -> None:
    found = lines_of(1000, 1000, 0.025)  # 25 s
    assert [line.split(', ')[0].split()[-2] for line in found] == [
        '400/1000',
        '800/1000',
        '1000/1000',
    ]
    assert '40.0 picture/s' in found[0]


def test_a_number_that_is_unknown() -> None:
    found = lines_of(None, 70, 1.0)
    assert found == [
        'a long description 30 picture, 0:00:30, 1.0 picture/s',
        'a long description 60 picture, 0:01:00, 1.0 picture/s',
        'a long description 70 picture, 0:01:10, 1.0 picture/s',
    ]


def test_what_a_run_before_has_done_does_not_count_as_speed() -> None:
    found = lines_of(100, 20, 10.0, begin=80)
    assert '90/100 picture, 0:01:40, 10.0 s/picture, 0:01:40 left' in found[0]


def test_nothing_done() -> None:
    assert lines_of(5, 0, 1.0) == ['a long description 0/5 picture, 0:00:00']


@pytest.mark.parametrize('is_terminal', [True, False])
def test_a_bar_is_for_terminals(is_terminal: bool) -> None:
    file = io.StringIO()
    console = Console(file=file, width=60, force_terminal=is_terminal)
    with progress_bar('work', 3, 'step', console) as advance:
        advance(3)
    assert ('\x1b' in file.getvalue()) == is_terminal
    assert ('work 3/3 step' in file.getvalue()) != is_terminal
