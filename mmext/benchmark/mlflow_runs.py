"""A report in MLflow: one run for each line below one parent, which has the files."""

import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from mmext.benchmark import accuracy
from mmext.benchmark.report import Line, Report
from mmext.errors import InputError
from mmext.hooks.mlflow_logging.delivery.answers import Outage, Refusal
from mmext.hooks.mlflow_logging.delivery.names import encode
from mmext.hooks.mlflow_logging.delivery.store import resolve_store
from mmext.hooks.mlflow_logging.delivery.tracking import Point, RunRequest, Tracking

EXPERIMENT = 'benchmark'


def log_report(report: Report, files: Sequence[Path], folder: Path, uri: str | None) -> str:
    """Log a report and return the id of the parent run.

    Args:
        report: what to log.
        files: table, plot and data, as artifacts of the parent.
        folder: has the store when neither ``uri`` nor ``MLFLOW_TRACKING_URI`` names one.
        uri: of the tracking server or store.

    Raises:
        InputError: the store does not take it.
    """
    store = resolve_store(uri, folder)
    try:
        tracking = Tracking(store)
        parent = _open(tracking, report, f'benchmark {report.started}', None)
        facts = {**report.machine, **report.settings, 'run': report.run}
        tracking.log_params(parent, {encode(key): value for key, value in facts.items()})
        for file in files:
            tracking.log_file(parent, str(file), None)
        for line in report.lines:
            name = f'{line.label} {line.precision} {line.device}'
            child = _open(tracking, report, name, parent)
            _log_line(tracking, child, line, report.batch_size)
        tracking.terminate(parent, 'FINISHED', _now_ms())
    except (Outage, Refusal) as error:
        raise InputError(f'--mlflow {store.tracking_uri}: {error}') from error
    return parent


def line_metrics(line: Line, batch_size: int) -> dict[str, float]:
    """The numbers of a line that were measured, by name."""
    values = {
        'parameters': line.parameters,
        'flops': line.flops,
        'pre_ms': line.pre_ms,
        'net_ms': line.net_ms,
        'post_ms': line.post_ms,
        'memory_mib': line.memory_mib,
        'training_memory_mib': line.step_memory_mib,
        **line.accuracy,
        **{
            f'percent/{name.replace(" ", "_")}': value
            for name, value in accuracy.columns(line.accuracy).items()
        },
    }
    if line.latency_ms is not None:
        values['latency_ms'] = line.latency_ms.median
    if line.batch_ms is not None:
        values['images_per_second'] = batch_size * 1e3 / line.batch_ms.median
    if line.step_ms is not None:
        values['training_iterations_per_second'] = 1e3 / line.step_ms.median
    return {name: float(value) for name, value in values.items() if value is not None}


def _open(tracking: Tracking, report: Report, name: str, parent: str | None) -> str:
    key = uuid.uuid4().hex
    request = RunRequest(
        key=key,
        session=key,
        run_id=None,
        continues=False,
        experiment=EXPERIMENT,
        name=name,
        start_ms=_now_ms(),
        tags={'mmext.benchmark': report.run},
        parent=parent,
    )
    return tracking.open_run(request).run_id


def _log_line(tracking: Tracking, run_id: str, line: Line, batch_size: int) -> None:
    params = {
        'model': line.label,
        'config': line.source,
        'checkpoint': line.checkpoint or 'none',
        'device': line.device,
        'precision': line.precision,
        'batch_size': str(batch_size),
        'input_shape': str(line.input_shape),
    }
    tracking.log_params(run_id, params)
    now = _now_ms()
    points = [
        Point(encode(name), value, now, 0) for name, value in line_metrics(line, batch_size).items()
    ]
    tags = {'mmext.notes': '; '.join(line.notes)} if line.notes else {}
    for start in range(0, len(points), 500):
        tracking.log_points(run_id, points[start : start + 500], tags)
    tracking.terminate(run_id, 'FINISHED', now)


def _now_ms() -> int:
    return int(time.time() * 1000)
