"""What a validation or a test leaves in the log: curves, a table by class, plots, pictures."""

import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from mmext.drawing.panels import Classes
from mmext.hooks.mlflow_logging.content import evaluation
from mmext.hooks.mlflow_logging.content.panel_collector import (
    AnyPanel,
    PanelCollector,
    sheet_records,
    truth_is_resized,
)
from mmext.hooks.mlflow_logging.content.run_note import ResultsNote
from mmext.hooks.mlflow_logging.delivery import records
from mmext.hooks.mlflow_logging.delivery.records import Record
from mmext.hooks.mlflow_logging.delivery.writer import Job


class EvaluationLog:
    """The evaluations of one session.

    Args:
        put: takes records, and jobs that make records on another thread.
        images: this many are shown at every evaluation.
        introduces: whether photo and truth are shown at step 0, where MLflow's
            slider begins; not again in a resumed run.
        logger: is told what is left out: outputs of a model and results of a metric may be
            anything, and must not end a training here.
    """

    def __init__(
        self,
        put: Callable[[Record | Job], None],
        images: int,
        introduces: bool,
        logger: logging.Logger | None = None,
    ) -> None:
        self._logger = logger or logging.getLogger(__name__)
        self._put = put
        self._images = images
        self._introduces = introduces
        self._introduced: set[str] = set()
        self._collector: PanelCollector | None = None
        self._classes = Classes(())
        self._shown: list[AnyPanel] = []
        self._tables: dict[str, evaluation.ClasswiseTable] = {}
        self._notes: dict[str, ResultsNote] = {}
        self._results: dict[int, dict[str, float]] = {}
        self.example: np.ndarray | None = None
        """The first picture that was shown, (H, W, 3) RGB uint8."""

    def begin(self, loader: Any, classes: Classes) -> None:
        """An evaluation on a data loader starts; ``classes`` are those of its data set."""
        self._classes = classes
        self._collector = None
        with self._spared('pictures'):
            batch_size = loader.batch_size or 1
            self._collector = PanelCollector(
                self._images,
                min(len(loader) * batch_size, len(loader.dataset)),
                batch_size,
                resized_truth=truth_is_resized(loader.dataset),
            )

    def collect(self, mode: str, step: int, batch: tuple[int, Any, Sequence[Any]]) -> None:
        """Copy the pictures to show from a batch: its index, its data, the model's outputs."""
        if self._collector is None or not self._images:
            return
        panels: list[AnyPanel] = []
        collector, self._collector = self._collector, None  # where it fails, it is over
        with self._spared('pictures'):
            panels = collector.collect(*batch)
            self._collector = collector
        for panel in panels:
            self.example = panel.image if self.example is None else self.example
            first = self._introduces and panel.name not in self._introduced
            self._introduced.add(panel.name)
            self._shown.append(panel)
            self._put(functools.partial(panel.records, mode, step, self._classes, first))

    def finish(
        self,
        mode: str,
        step: int,
        results: Mapping[str, Any],
        metrics: Iterable[Any],
        once: bool,
    ) -> None:
        """Log the results.

        Args:
            mode: ``val`` or ``test``.
            step: global training iterations done.
            results: what the evaluator returned.
            metrics: the evaluator's parts, which may offer plots.
            once: see :func:`~mmext.hooks.mlflow_logging.delivery.records.metrics`.
        """
        classes = self._classes.names
        values = {f'{mode}/{name}': value for name, value in evaluation.scalars(results).items()}
        self._put(records.metrics(values, step, once=once))
        with self._spared('the description'):
            self._results[step] = evaluation.of_all_classes(results, classes)
            note = self._notes.setdefault(mode, ResultsNote(mode))
            self._put(note.add(step, self._results[step]))
        artifact = f'tables/{mode}_classwise.json'
        table = self._tables.setdefault(mode, evaluation.ClasswiseTable(artifact))
        with self._spared('class by class results'):
            record = table.add(evaluation.split_by_class(results, classes), step)
            if record is not None:
                self._put(record)
        shown, self._shown = self._shown, []
        self._put(lambda: sheet_records(shown, mode, step))
        sources = [results, *metrics]
        self._put(lambda: evaluation.plot_records(sources, classes, mode, step))

    def evidence(self, step: int | None) -> tuple[np.ndarray | None, dict[str, float]]:
        """The first picture that was shown, and the results of the evaluation at a step."""
        return self.example, {} if step is None else self._results.get(step, {})

    @contextmanager
    def _spared(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._logger.warning(f'MLflow leaves out {what}: {type(error).__name__}: {error}')
