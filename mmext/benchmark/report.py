"""The result of one run as data.

Timings of different runs met different loads, threads and machines: they are never put into one
table, see :func:`one_report`.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mmext.benchmark.timing import Spread
from mmext.errors import InputError

RESULTS = 'results.json'
FORMAT = 1
"""Raise it with every change that older files do not fit."""


@dataclass
class Line:
    """One model on one device in one precision; None where something was not measured.

    Attributes:
        label: of the model.
        source: its config as named on the command line.
        checkpoint: its weights; None for an untrained net.
        device: as torch names it.
        precision: 'fp32', 'bf16' or 'fp16'.
        parameters: their number.
        flops: multiply-adds of one picture.
        input_shape: height and width that they are of.
        accuracy: the evaluator's numbers by its own names.
        latency_ms: from a file to its prediction, batch 1.
        pre_ms: its preprocessing, median.
        net_ms: its net, median.
        post_ms: its post-processing, median.
        batch_ms: from the files of a batch to their predictions.
        memory_mib: peak of that, weights included.
        step_ms: a training step of a batch.
        step_memory_mib: peak of that, weights and optimiser included.
        notes: what has to be known about the numbers, and why some are missing.
    """

    label: str
    source: str
    checkpoint: str | None
    device: str
    precision: str
    parameters: int | None = None
    flops: float | None = None
    input_shape: tuple[int, int] | None = None
    accuracy: dict[str, float] = field(default_factory=dict)
    latency_ms: Spread | None = None
    pre_ms: float | None = None
    net_ms: float | None = None
    post_ms: float | None = None
    batch_ms: Spread | None = None
    memory_mib: float | None = None
    step_ms: Spread | None = None
    step_memory_mib: float | None = None
    notes: list[str] = field(default_factory=list)


@dataclass
class Report:
    """One run.

    Attributes:
        run: its id.
        started: its start, ISO 8601 with the offset from UTC.
        machine: facts by name, see :mod:`.machine`.
        settings: facts by name: pictures, rounds, batch size.
        lines: in the order of the command line.
    """

    run: str
    started: str
    machine: dict[str, str]
    settings: dict[str, str]
    lines: list[Line]

    @property
    def batch_size(self) -> int:
        """Pictures of a batch."""
        return int(self.settings['batch size'])

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps({'format': FORMAT, **asdict(self)}, indent=1) + '\n')


def load_report(path: str | Path) -> Report:
    """Read what :meth:`Report.save` wrote.

    Raises:
        InputError: no such file, or none of this program.
    """
    if not Path(path).is_file():
        raise InputError(f'no such results: {Path(path).absolute()}')
    try:
        content = json.loads(Path(path).read_text())
        if content.pop('format') != FORMAT:
            raise InputError('another format')
        lines = [_line(entry) for entry in content.pop('lines')]
        return Report(**content, lines=lines)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f'{path} holds no results of `benchmark.py coco`: {error}') from error


def one_report(reports: Sequence[Report]) -> Report:
    """The report, refusing what was not measured together.

    Args:
        reports: of one run; a run that was given twice counts once.

    Raises:
        InputError: they are of different runs.
    """
    runs = {report.run: report for report in reports}
    if len(runs) > 1:
        shown = '; '.join(
            f'{report.started} on {report.machine.get("CPU")}: '
            + ', '.join(dict.fromkeys(line.label for line in report.lines))
            for report in runs.values()
        )
        raise InputError(
            f'{len(runs)} runs cannot be compared ({shown}): load, threads and machine may differ. '
            'Measure all models in one run of `benchmark.py coco`'
        )
    (report,) = runs.values()
    return report


def _line(entry: dict[str, Any]) -> Line:
    for key in ('latency_ms', 'batch_ms', 'step_ms'):
        if entry[key] is not None:
            entry[key] = Spread(**entry[key])
    if entry['input_shape'] is not None:
        entry['input_shape'] = tuple(entry['input_shape'])
    return Line(**entry)
