"""The trials of a sweep as a table and as a file."""

import csv
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from mmext.sweep import studies
from mmext.sweep.studies import Judging
from mmext.sweep.sweep import Plan, options_of, short_name

_SHOWN = 10
_WORDS = dict(complete='trained', pruned='stopped early', fail='failed', running='at work')


def ranked(study: Any, judging: Judging) -> list[tuple[Any, float | None]]:
    """The trials with the best value of each, best first, those without one last.

    Args:
        study: Optuna's.
        judging: what was measured.
    """
    found: list[tuple[Any, float | None]] = []
    for trial in studies.trials_of(study):
        value = judging.best(trial.intermediate_values.values())
        found.append((trial, value if value == value else None))
    sign = 1 if judging.minimize else -1

    def key(entry: tuple[Any, float | None]) -> tuple[bool, float]:
        return entry[1] is None, sign * (entry[1] or 0.0)

    return sorted(found, key=key)


def table(study: Any, judging: Judging, keys: Sequence[str]) -> Table:
    """The best ten trials.

    Args:
        study: Optuna's.
        judging: what was measured.
        keys: that were searched.
    """
    names = [short_name(key, keys) for key in keys]
    made = Table('trial', judging.metric, *names, 'end', title=f'trials of {study.study_name}')
    entries = ranked(study, judging)
    for trial, value in entries[:_SHOWN]:
        made.add_row(str(trial.number), *_cells(trial, value, keys))
    if len(entries) > _SHOWN:
        made.caption = f'{len(entries) - _SHOWN} more in trials.csv'
    return made


def _cells(trial: Any, value: float | None, keys: Sequence[str]) -> list[str]:
    """Value, parameters and end of a trial."""
    params = [trial.params.get(key, '') for key in keys]
    state = studies.state_of(trial)
    return [
        '–' if value is None else f'{value:.4f}',
        *(f'{param:.4g}' if isinstance(param, float) else str(param) for param in params),
        _WORDS.get(state, state),
    ]


def write_csv(path: Path, study: Any, judging: Judging, keys: Sequence[str]) -> None:
    """All trials, best first, with full numbers."""
    with path.open('w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(['trial', judging.metric, 'end', *keys])
        for trial, value in ranked(study, judging):
            cells = [trial.params.get(key, '') for key in keys]
            shown = '' if value is None else value
            writer.writerow([trial.number, shown, studies.state_of(trial), *cells])


def best_lines(study: Any, plan: Plan) -> list[str]:
    """What to do with the best trial, line by line; none if no trial was measured.

    Args:
        study: Optuna's.
        plan: of the sweep.
    """
    trial, value = next(iter(ranked(study, plan.judging)), (None, None))
    if trial is None or value is None:
        return ['no trial was measured']
    folder = plan.folder(trial.number).path
    options = [*plan.options, *options_of(trial.params)]
    again = ['mmext', 'train', plan.config, *plan.flags, '--cfg-options', *options]
    return [
        f'best: trial {trial.number}, {plan.judging.metric} {value:.4f}',
        f'  look at it   {shlex.join(["mmext", "serve", str(folder)])}',
        f'  train again  {shlex.join(again)}',
    ]


def markdown(study: Any, plan: Plan) -> str:
    """The best ten trials, for MLflow's page of the sweep."""
    keys, metric = list(plan.space), plan.judging.metric
    names = [short_name(key, keys) for key in keys]
    heads = ['trial', metric, *names, 'end']
    rows = ['| ' + ' | '.join(heads) + ' |', '|---' * len(heads) + '|']
    for trial, value in ranked(study, plan.judging)[:_SHOWN]:
        rows.append(f'| trial_{trial.number} | {" | ".join(_cells(trial, value, keys))} |')
    again = ''.join(f'    {line.strip()}\n' for line in best_lines(study, plan)[1:])
    return '\n'.join([*rows, '', 'The best one:', '', again])
