"""The loop of a sweep: ask for values, train, tell how good they were."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmext.errors import InputError
from mmext.sweep import studies
from mmext.sweep.space import Values, text
from mmext.sweep.studies import Judging
from mmext.sweep.trial_process import Ended, TrialFolder

FAILURES_IN_A_ROW = 3  # end a sweep


@dataclass(frozen=True)
class Plan:
    """What a sweep does.

    Attributes:
        config: file of the config.
        space: key to the values that are tried.
        judging: what is measured.
        trials: in all, those of earlier starts included.
        work_dir: folder of the trials' folders.
        flags: of every training.
        options: of every training, ``KEY=VALUE``.
        added: more of them, which make it a trial; ``{number}`` is its number.
        tracking_uri: MLflow's store of the runs, or ``off``.
        group: the name of the run that they lie below.
    """

    config: str
    space: Mapping[str, Values]
    judging: Judging
    trials: int
    work_dir: Path
    flags: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    tracking_uri: str = 'off'
    group: str = 'sweep'

    def folder(self, number: int) -> TrialFolder:
        """The folder of a trial."""
        return TrialFolder(self.work_dir / f'trial_{number:04d}')


def run(study: Any, address: str, plan: Plan, say: Callable[[str], None] = print) -> None:
    """Train until there are as many trials as planned.

    Trials that a sweep before has left unfinished come first: they go on where they stopped.
    Several sweeps may share a study; each takes other trials.

    Args:
        study: Optuna's.
        address: of its storage, for the trainings.
        plan: what is done.
        say: prints a line.

    Raises:
        InputError: three trainings in a row have failed.
    """
    failures = 0
    while (found := _next_trial(study, plan)) is not None:
        number, folder = found
        try:
            trial = studies.trials_of(study)[number]
            say(f'trial {number} ({_ordinal(study)} of {plan.trials}): {values_text(trial.params)}')
            reason = _train(study, address, plan, number, folder, say)
        finally:
            folder.release()
        failures = 0 if reason is None else failures + 1
        if failures == FAILURES_IN_A_ROW:
            raise InputError(
                f'{failures} trainings in a row have failed, the last one with: {reason} '
                f'(all it has printed: {folder.output})'
            )


def values_text(params: Mapping[str, Any]) -> str:
    """Values for people, each with the shortest name that is its own.

    >>> values_text({'optim_wrapper.optimizer.lr': 0.0012345678, 'model.backbone.depth': '18'})
    'lr 0.001235, depth 18'
    """
    shown = {key: f'{v:.4g}' if isinstance(v, float) else v for key, v in params.items()}
    return ', '.join(f'{short_name(key, params)} {value}' for key, value in shown.items())


def short_name(key: str, keys: Any) -> str:
    """The shortest end of a dotted key that no other key ends with.

    >>> short_name('a.optimizer.lr', ['a.optimizer.lr', 'b.lr'])
    'optimizer.lr'
    """
    parts = key.split('.')
    for count in range(1, len(parts)):
        end = '.'.join(parts[-count:])
        if sum(other == end or other.endswith(f'.{end}') for other in keys) == 1:
            return end
    return key


def options_of(params: Mapping[str, Any]) -> list[str]:
    """Values as ``--cfg-options`` takes them."""
    return [f'{key}={text(value)}' for key, value in params.items()]


def _next_trial(study: Any, plan: Plan) -> tuple[int, TrialFolder] | None:
    """Number and claimed folder of the trial to train; None where there are enough."""
    begun = [t for t in studies.trials_of(study) if studies.state_of(t) != 'waiting']
    for trial in begun:
        folder = plan.folder(trial.number)
        is_dead = studies.state_of(trial) == 'running' and folder.path.is_dir() and folder.claim()
        if not is_dead:
            continue
        if studies.state_of(studies.trials_of(study)[trial.number]) == 'running':
            return trial.number, folder
        folder.release()  # its sweep has told its end meanwhile
    if len(begun) >= plan.trials:
        return None
    number = study.ask(studies.distributions(plan.space)).number
    folder = plan.folder(number)
    if not folder.claim():
        raise InputError(
            f'{folder.path}: another training is at work there; name another --work-dir'
        )
    return number, folder


def _ordinal(study: Any) -> int:
    return sum(studies.state_of(trial) != 'waiting' for trial in studies.trials_of(study))


def _train(
    study: Any,
    address: str,
    plan: Plan,
    number: int,
    folder: TrialFolder,
    say: Callable[[str], None],
) -> str | None:
    """Train a trial and tell its end; returns why it has failed, None if it has not."""
    trial = studies.trials_of(study)[number]
    shown = set(trial.intermediate_values)

    def watch() -> None:
        values = studies.trials_of(study)[number].intermediate_values
        for step in sorted(set(values) - shown):
            shown.add(step)
            say(f'  at {step}: {plan.judging.metric} {values[step]:.4f}')

    if trial.user_attrs.get('ended'):
        ended = Ended(0, '', False)
    else:
        added = [option.replace('{number}', str(number)) for option in plan.added]
        options = [*added, *plan.options, *options_of(trial.params)]
        flags = [*plan.flags, '--mlflow', plan.tracking_uri, '--cfg-options', *options]
        written = studies.written_trial(address, study.study_name, number, plan.judging)
        ended = folder.train(plan.config, flags, written, watch)
    watch()
    return _tell(study, plan, number, ended, say)


def _tell(
    study: Any, plan: Plan, number: int, ended: Ended, say: Callable[[str], None]
) -> str | None:
    trial = studies.trials_of(study)[number]
    best = plan.judging.best(trial.intermediate_values.values())
    if ended.diverged:  # the sampler learns from it; a failed trial would be forgotten
        studies.tell(study, number, 'pruned')
        say('  diverged: its values are too bold')
        return None
    if ended.code != 0 or math.isnan(best):
        reason = ended.reason or f'no validation gave a number for {plan.judging.metric}'
        studies.tell(study, number, 'fail')
        say(f'  failed: {reason}')
        return reason
    if 'stopped_at' in trial.user_attrs:
        studies.tell(study, number, 'pruned')
        say(f'  stopped early, others were better; its best: {best:.4f}')
        return None
    studies.tell(study, number, 'complete', best)
    leader = study.best_trial
    say(f'  its best: {best:.4f}; best of all: {leader.value:.4f} (trial {leader.number})')
    return None
