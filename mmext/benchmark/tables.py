"""A report as a Markdown table and as CSV."""

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from mmext.benchmark import accuracy
from mmext.benchmark.report import Line, Report
from mmext.benchmark.timing import Spread


class Column(NamedTuple):
    """A column of the Markdown table: title, and the cell of a line ('' where there is none)."""

    title: str
    cell: Callable[[Line], str]


def markdown(report: Report) -> str:
    """The table with what was measured, then how, where, and the notes."""
    columns = [c for c in _columns(report) if any(c.cell(line) for line in report.lines)]
    rows = [[column.cell(line) or '–' for column in columns] for line in report.lines]
    head = [[column.title for column in columns], ['---'] * len(columns)]
    table = '\n'.join(f'| {" | ".join(row)} |' for row in [*head, *rows])
    return f'{table}\n\n{_explanation(report)}\n'


def comma_separated(report: Report) -> str:
    """All numbers, one line for each model, device and precision."""
    rows = [dict(_flat(line, report)) for line in report.lines]
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval='', lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _columns(report: Report) -> list[Column]:
    size = report.batch_size
    scores = [
        Column(name, lambda line, name=name: _number(accuracy.columns(line.accuracy).get(name), 1))  # type: ignore[misc]
        for name in accuracy.COLUMNS
    ]
    return [
        Column('model', lambda line: line.label),
        Column('device', lambda line: line.device if _several(report, 'device') else ''),
        Column('precision', lambda line: line.precision),
        *scores,
        Column('input', lambda line: 'x'.join(map(str, line.input_shape or ()))),
        Column('params, M', lambda line: _number(line.parameters, 1, 1e-6)),
        Column('GFLOPs', lambda line: _number(line.flops, 1, 1e-9)),
        Column('latency, ms', lambda line: _spread(line.latency_ms)),
        Column('pre / net / post, ms', _stages),
        Column(f'images/s, batch {size}', lambda line: _rate(line.batch_ms, size)),
        Column('peak MiB', lambda line: _number(line.memory_mib, 0)),
        Column(f'training it/s, batch {size}', lambda line: _rate(line.step_ms, 1)),
        Column('training MiB', lambda line: _number(line.step_memory_mib, 0)),
    ]


def _several(report: Report, attribute: str) -> bool:
    return len({getattr(line, attribute) for line in report.lines}) > 1


def _explanation(report: Report) -> str:
    facts = ', '.join(f'{name} {value}' for name, value in report.machine.items())
    settings = ', '.join(f'{name} {value}' for name, value in report.settings.items())
    lines = [
        f'Run {report.run}, {report.started}. Machine: {facts}. Measured: {settings}.',
        'Medians with quartiles; all models took turns in one process. Latency is from the file '
        'to the prediction; net is the time in modules and the proposal head, post the rest of '
        'the prediction. One multiply-add is one FLOP. A training step has its data in memory.',
    ]
    return '\n'.join([*lines, *_notes(report)])


def _notes(report: Report) -> Iterator[str]:
    """Every note once, with the lines that it is about."""
    of_label = Counter(line.label for line in report.lines)
    noted: dict[str, list[Line]] = {}
    for line in report.lines:
        for note in line.notes:
            noted.setdefault(note, []).append(line)
    for note, lines in noted.items():
        if len(lines) == len(report.lines):
            yield f'- all: {note}'
            continue
        counts = Counter(line.label for line in lines)
        names = [
            line.label
            if counts[line.label] == of_label[line.label]
            else f'{line.label} ({line.precision}, {line.device})'
            for line in lines
        ]
        yield f'- {", ".join(dict.fromkeys(names))}: {note}'


def _flat(line: Line, report: Report) -> Iterator[tuple[str, Any]]:
    names = ('label', 'source', 'checkpoint', 'device', 'precision', 'parameters', 'flops')
    yield 'run', report.run
    for name in names:
        yield name, getattr(line, name)
    yield 'input_shape', 'x'.join(map(str, line.input_shape or ()))
    yield from line.accuracy.items()
    for name in ('latency_ms', 'batch_ms', 'step_ms'):
        measured: Spread | None = getattr(line, name)
        if measured is not None:
            yield name, measured.median
            yield f'{name}_q1', measured.q1
            yield f'{name}_q3', measured.q3
    for name in ('pre_ms', 'net_ms', 'post_ms', 'memory_mib', 'step_memory_mib'):
        yield name, getattr(line, name)
    yield 'batch_size', report.batch_size
    yield 'notes', '; '.join(line.notes)


def _number(value: float | None, digits: int, factor: float = 1.0) -> str:
    return '' if value is None else f'{value * factor:,.{digits}f}'


def _spread(value: Spread | None) -> str:
    if value is None:
        return ''
    digits = 1 if value.median < 100 else 0
    return f'{value.median:.{digits}f} ({value.q1:.{digits}f}–{value.q3:.{digits}f})'


def _stages(line: Line) -> str:
    if line.pre_ms is None or line.net_ms is None or line.post_ms is None:
        return ''
    return ' / '.join(f'{value:.1f}' for value in (line.pre_ms, line.net_ms, line.post_ms))


def _rate(value: Spread | None, per_call: int) -> str:
    return '' if value is None else f'{per_call * 1e3 / value.median:.2f}'
