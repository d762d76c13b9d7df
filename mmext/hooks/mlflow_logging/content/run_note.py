"""What a person reads first on the page of a run: what it is, how to repeat it, how good it is."""

import math
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmext.hooks.mlflow_logging.delivery import records
from mmext.hooks.mlflow_logging.delivery.records import Record

_MOST_ROWS, _MOST_COLUMNS, _LONGEST = 16, 4, 160
_SETS = ('train', 'val', 'test')
_TITLES = {'val': 'Validation', 'test': 'Test'}


def about(config: Mapping[str, Any]) -> Record:
    """The section on what the run is made from.

    Args:
        config: free of credentials.
    """
    lines = [
        *facts_table(config),
        '',
        'Started with',
        '',
        '```bash',
        command(sys.argv),
        '```',
        '',
        'Artifacts: `config.py` is the whole config, `code/` and `environment/` say what it ran '
        'with, `panels/` shows truth beside prediction, `tables/` the classes one by one.',
    ]
    return records.note({'about': '\n'.join(lines)}, once=True)


def facts_table(config: Mapping[str, Any]) -> list[str]:
    """What a run is made from, as the lines of a table."""
    rows = [f'| {name} | {cell(text)} |' for name, text in _facts(config) if text]
    return ['| | |', '|---|---|', *rows]


class ResultsNote:
    """The results of the last evaluations, as a table.

    Args:
        mode: ``val`` or ``test``.
    """

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._columns: dict[int, Mapping[str, float]] = {}

    def add(self, step: int, values: Mapping[str, float]) -> Record:
        """The section with one more evaluation, the latest to the right.

        Args:
            step: training iterations done.
            values: the metrics of all classes together.
        """
        self._columns[step] = values
        shown = sorted(self._columns)[-_MOST_COLUMNS:]
        values_at = [self._columns[at].items() for at in shown]
        # a metric gives nan where there is nothing to measure
        known = (name for values in values_at for name, value in values if math.isfinite(value))
        names = list(dict.fromkeys(known))
        lines = [
            f'#### {_TITLES.get(self._mode, self._mode)}',
            '',
            '| after iterations | ' + ' | '.join(f'{at:,}' for at in shown) + ' |',
            '|---|' + '---:|' * len(shown),
        ]
        for name in names[:_MOST_ROWS]:
            cells = [number(self._columns[at].get(name)) for at in shown]
            lines.append(f'| {cell(name)} | ' + ' | '.join(cells) + ' |')
        if len(names) > _MOST_ROWS:
            lines += ['', f'{len(names) - _MOST_ROWS} more are among the metrics.']
        return records.note({self._mode: '\n'.join(lines)})


def command(arguments: Sequence[str]) -> str:
    """A command line as it would be typed."""
    program, *rest = arguments or ['']
    path = Path(program)
    words = ['python', program]
    if program.startswith('mmext '):  # as mmext.__main__ names it
        words = program.split(' ', 1)
    elif path.parent.name == 'tools' and path.stem in ('train', 'test'):
        words = ['mmext', path.stem]
    return shlex.join([*words, *rest])


def _facts(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    model = _mapping(config.get('model'))
    backbone = _mapping(model.get('backbone'))
    yield 'model', _joined(model.get('type'), _described(backbone))
    for name in _SETS:
        loader = _mapping(config.get(f'{name}_dataloader'))
        yield name, ', '.join(dict.fromkeys(_files(loader.get('dataset'))))
    schedule = _mapping(config.get('train_cfg'))
    for key, unit in (('max_iters', 'iterations'), ('max_epochs', 'epochs')):
        if schedule.get(key):
            yield 'schedule', f'{schedule[key]} {unit}'
    loader = _mapping(config.get('train_dataloader'))
    yield 'batch', f'{loader["batch_size"]} a process' if loader.get('batch_size') else ''
    wrapper = _mapping(config.get('optim_wrapper'))
    optimizer = _mapping(wrapper.get('optimizer'))
    rate = optimizer.get('lr')
    yield 'optimizer', _joined(optimizer.get('type'), None if rate is None else f'lr {rate}')
    yield 'work folder', str(config.get('work_dir') or '')
    yield 'goes on from', str(config.get('load_from') or '')


def _files(dataset: Any) -> Iterator[str]:
    """The annotation files of a data set, and of those that it wraps."""
    if isinstance(dataset, list | tuple):
        for part in dataset:
            yield from _files(part)
    elif isinstance(dataset, Mapping):
        if dataset.get('ann_file'):
            yield str(Path(str(dataset.get('data_root') or ''), str(dataset['ann_file'])))
        for key in ('dataset', 'datasets'):
            yield from _files(dataset.get(key))


def _described(backbone: Mapping[str, Any]) -> str:
    kind, depth = backbone.get('type'), backbone.get('depth')
    return f'{kind or ""}{f"-{depth}" if depth else ""}'


def _joined(*parts: Any) -> str:
    return ', '.join(str(part) for part in parts if part)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def cell(text: str) -> str:
    """A text on one line, and without what ends a cell or begins markup."""
    flat = ' '.join(text.split())[:_LONGEST]
    return ''.join(f'\\{char}' if char in '\\|`*_<[' else char for char in flat)


def number(value: float | None) -> str:
    """Four digits of a metric; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return '–' if value is None else str(value)
    return f'{value:.4g}'
