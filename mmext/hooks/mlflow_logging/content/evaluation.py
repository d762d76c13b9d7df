"""An evaluation's results as curves, tables and plots.

Numbers become curves. What else a metric gives out is recognised by its form:

* class by class numbers, either nested (``{'classwise': {'car': {'AP': 0.3}}}``)
  or as flat keys that begin or end with a class name
  (``car_precision``, ``iou/car``), become one table, a row for each class;
* an attribute or a result ``confusion_matrix`` (rows truth, columns
  prediction) becomes a plot;
* an attribute or a result ``pr_curves`` (name to recall and precision)
  becomes a plot.
"""

import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mmext.hooks.mlflow_logging.content.images import image_records
from mmext.hooks.mlflow_logging.delivery import records
from mmext.hooks.mlflow_logging.delivery.records import Record

Rows = dict[str, dict[str, float]]

_MOST_CURVES, _MOST_TICKS, _MOST_NUMBERS = 20, 40, 25


def scalars(results: Mapping[str, Any]) -> dict[str, float]:
    """The results that are single numbers."""
    return {key: number for key, value in results.items() if (number := _number(value)) is not None}


def of_all_classes(results: Mapping[str, Any], classes: Sequence[str]) -> dict[str, float]:
    """The single numbers that are of no class alone.

    >>> of_all_classes({'coco/car_precision': 0.5, 'coco/mAP': 0.4}, ['car', 'dog'])
    {'coco/mAP': 0.4}
    """
    by_length = sorted(classes, key=len, reverse=True)
    return {k: v for k, v in scalars(results).items() if _class_of(k, by_length) is None}


def split_by_class(results: Mapping[str, Any], classes: Sequence[str]) -> Rows:
    """The class by class numbers among the results, ``{class: {measure: value}}``.

    >>> split_by_class({'coco/car_precision': 0.5, 'coco/mAP': 0.4}, ['car', 'dog'])
    {'car': {'coco/precision': 0.5}}
    """
    rows: Rows = {}
    by_length = sorted(classes, key=len, reverse=True)  # 'wine glass' before 'glass'
    for key, value in results.items():
        if isinstance(value, Mapping):
            for name, measures in _nested_rows(key, value, set(classes)):
                rows.setdefault(name, {}).update(measures)
        elif (number := _number(value)) is not None:
            found = _class_of(key, by_length)
            if found is not None:
                name, measure = found
                rows.setdefault(name, {})[measure] = number
    return {name: rows[name] for name in classes if name in rows}


class ClasswiseTable:
    """All evaluations of a session in one table, so that a class can be followed.

    Args:
        artifact: where the table lies, a ``.json`` path.
    """

    def __init__(self, artifact: str) -> None:
        self._artifact = artifact
        self._rows: list[dict[str, Any]] = []

    def add(self, rows: Rows, step: int) -> Record | None:
        """The table with the rows of one more evaluation; None while it is empty."""
        self._rows += [{'step': step, 'class': name, **rows[name]} for name in rows]
        if not self._rows:
            return None
        columns = list(dict.fromkeys(key for row in self._rows for key in row))
        cells = [[_json_cell(row.get(column)) for column in columns] for row in self._rows]
        return records.table(columns, cells, self._artifact)


def plot_records(
    sources: Iterable[Any], classes: Sequence[str], mode: str, step: int
) -> Iterator[Record]:
    """Plots of what the metrics (or result mappings) offer; see the module's text."""
    sources = list(sources)
    for name, offered, draw in (
        ('confusion', 'confusion_matrix', _confusion_of),
        ('precision_recall', 'pr_curves', lambda curves, source, classes: draw_pr_curves(curves)),
    ):
        found = [(_offered(source, offered), source) for source in sources]
        found = [(value, source) for value, source in found if value is not None and len(value)]
        for value, source in found:
            own = _offered(source, 'prefix') if len(found) > 1 else None
            key = '/'.join(filter(None, (mode, own, name)))  # two metrics, two sliders
            yield from image_records(key, draw(value, source, classes), step)


def _confusion_of(matrix: Any, source: Any, classes: Sequence[str]) -> np.ndarray:
    own = _offered(source, 'classes')  # of a panoptic set things alone are detected
    return draw_confusion(np.asarray(matrix), own if own is not None else classes)


def draw_confusion(matrix: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """A confusion matrix as picture, rows scaled to shares.

    Args:
        matrix: (N, N) counts, rows truth, columns prediction; N may exceed the
            number of classes by one, the background.
        classes: names of the first rows.

    Returns:
        (H, W, 3) RGB uint8.
    """
    names = [*classes, 'background'][: len(matrix)]
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    figure, axes = _figure(6 + 0.15 * len(names), 5 + 0.15 * len(names))
    image = axes.imshow(shares, vmin=0, vmax=1, cmap='Blues')
    if len(names) <= _MOST_TICKS:
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
        axes.set_yticks(range(len(names)), names, fontsize=8)
    if len(names) <= _MOST_NUMBERS:
        for row, column in np.argwhere(matrix):
            color = 'white' if shares[row, column] > 0.5 else 'black'
            count = f'{matrix[row, column]:g}'
            axes.text(column, row, count, color=color, fontsize=7, ha='center', va='center')
    axes.set(xlabel='prediction', ylabel='truth', title='objects; color: share of the true class')
    figure.colorbar(image)
    return _rasterised(figure)


def draw_pr_curves(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> np.ndarray:
    """Precision over recall, the first 20 curves, as (H, W, 3) RGB uint8."""
    figure, axes = _figure(6, 5)
    for number, (name, (recall, precision)) in enumerate(list(curves.items())[:_MOST_CURVES]):
        width = 2.4 if str(name).startswith('all') else 1.1
        style = '-' if number < 10 else '--'  # there are ten colors
        axes.plot(recall, precision, style, label=str(name), linewidth=width)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel='recall', ylabel='precision')
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc='lower left', framealpha=0.6)
    return _rasterised(figure)


def _number(value: Any) -> float | None:
    if isinstance(value, str | bytes | bool) or getattr(value, 'ndim', 0) > 0:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _nested_rows(
    key: str, value: Mapping[Any, Any], classes: set[str]
) -> Iterator[tuple[str, dict[str, float]]]:
    """Rows of ``{class: {measure: x}}``, ``{class: x}`` or ``{measure: {class: x}}``."""
    for name, inner in value.items():
        if name in classes and isinstance(inner, Mapping):
            yield name, scalars(inner)
        elif name in classes and (number := _number(inner)) is not None:
            yield name, {key: number}
        elif isinstance(inner, Mapping):
            yield from _nested_rows(str(name), inner, classes)


def _class_of(key: str, classes_by_length: Sequence[str]) -> tuple[str, str] | None:
    """Class and measure of a flat key whose last part begins or ends with a class name."""
    group, slash, last = key.rpartition('/')
    for name in classes_by_length:
        for separator in '_/-:':
            if last.startswith(name + separator):
                return name, group + slash + last[len(name) + 1 :]
            if key.endswith(separator + name):
                return name, key[: -len(name) - 1]
    return None


def _offered(source: Any, name: str) -> Any:
    return source.get(name) if isinstance(source, Mapping) else getattr(source, name, None)


def _json_cell(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _figure(width: float, height: float) -> tuple[Any, Any]:
    """A figure without pyplot, which keeps global state and is for one thread only."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, layout='constrained')
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _rasterised(figure: Any) -> np.ndarray:
    buffer = io.BytesIO()
    figure.savefig(buffer, format='rgba')
    width, height = figure.canvas.get_width_height()
    rgba = np.frombuffer(buffer.getvalue(), np.uint8).reshape(height, width, 4)
    return np.ascontiguousarray(rgba[..., :3])
