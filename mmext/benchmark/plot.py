"""Speed against accuracy as a picture."""

from pathlib import Path

from mmext.benchmark import accuracy
from mmext.benchmark.report import Line, Report

# the measure of the whole task before those of its parts
_HEADLINES = ('PQ', 'keypoint AP', 'mask AP', 'box AP', 'mIoU')
_MARKERS = {'fp32': 'o', 'bf16': 's', 'fp16': '^'}


def plot(report: Report, path: Path) -> str | None:
    """Draw latency against accuracy; against the number of parameters where none was measured.

    Args:
        report: with latencies.
        path: a PNG file to write.

    Returns:
        The caption, or None when there is nothing to draw.
    """
    timed = [line for line in report.lines if line.latency_ms is not None]
    measure = _common_measure(timed)
    if measure is None:
        lines = [line for line in timed if line.parameters is not None]
        what = 'parameters, millions'
        caption = 'Parameters against the latency of one picture; accuracy was not measured'
    else:
        lines = [line for line in timed if measure in accuracy.columns(line.accuracy)]
        what, caption = f'{measure}, percent', f'{measure} against the latency of one picture'
    if not lines:
        return None
    shown = {line.label for line in lines}
    hidden = dict.fromkeys(line.label for line in timed if line.label not in shown)
    if hidden:
        caption += f'; without {measure}, not shown: {", ".join(hidden)}'
    _draw(lines, measure, what, f'{caption}.\n{_place(report)}', path)
    return caption


def _draw(lines: list[Line], measure: str | None, what: str, title: str, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5.5), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    labels = list(dict.fromkeys(line.label for line in lines))
    for line in lines:
        spread = line.latency_ms
        assert spread is not None
        height = _height(line, measure)
        axes.errorbar(
            spread.median,
            height,
            xerr=[[spread.median - spread.q1], [spread.q3 - spread.median]],
            fmt=_MARKERS[line.precision],
            color=f'C{labels.index(line.label) % 10}',
            capsize=3,
            label=f'{line.label}, {line.precision}, {line.device}',
        )
    axes.set_xlabel('latency, ms (median and quartiles)')
    axes.set_ylabel(what)
    axes.set_title(title, fontsize=8)
    axes.grid(alpha=0.3)
    axes.margins(0.1)
    figure.legend(loc='outside lower center', fontsize=7, ncols=2)
    figure.savefig(path, dpi=130)


def _common_measure(lines: list[Line]) -> str | None:
    """The headline that most lines have; the first one where several do."""
    found = [column for line in lines for column in accuracy.columns(line.accuracy)]
    return max(_HEADLINES, key=found.count) if found else None


def _height(line: Line, measure: str | None) -> float:
    if measure is not None:
        return accuracy.columns(line.accuracy)[measure]
    assert line.parameters is not None
    return line.parameters / 1e6


def _place(report: Report) -> str:
    machine = report.machine
    return f'{machine.get("CPU")}, threads: {machine.get("threads")}, run {report.run}'
