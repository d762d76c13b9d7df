"""Optuna's side of a sweep: the study, its samplers and pruners, what its trials have reported.

The only file that imports Optuna (Akiba et al., KDD 2019, arXiv:1907.10902). A process that trains
reports to the study itself, by :class:`Reporter`; what it needs for that comes in the environment
and in no config, as the address of a study may hold a password.
"""

import json
import math
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from mmext.errors import InputError, MissingPackageError
from mmext.sweep.space import Choice, Values, shuffled_grid

TRIAL_VARIABLE = 'MMEXT_SWEEP_TRIAL'
SAMPLERS = ('tpe', 'random', 'grid')
PRUNERS = ('median', 'halving', 'none')
_WARM_UP = 4  # trials that median pruning waits for


class Judging(NamedTuple):
    """What is measured.

    Attributes:
        metric: a name among the results of a validation.
        minimize: whether less is better.
        pruner: of ``PRUNERS``.
    """

    metric: str
    minimize: bool
    pruner: str

    def best(self, values: Any) -> float:
        """The best of some values, nan if there is none."""
        finite = [value for value in values if math.isfinite(value)]
        if not finite:
            return math.nan
        return min(finite) if self.minimize else max(finite)


def optuna() -> Any:
    """The package.

    Raises:
        MissingPackageError: it is not installed.
    """
    try:
        import optuna as package
    except ImportError:
        raise MissingPackageError(
            "mmext sweep needs optuna: pip install 'mmext[sweep]', or pip install optuna"
        ) from None
    package.logging.set_verbosity(package.logging.WARNING)
    return package


def open_study(
    address: str,
    name: str,
    space: Mapping[str, Values],
    judging: Judging,
    sampler: str = 'tpe',
    seed: int = 0,
) -> Any:
    """The study of a name, a new one or one that goes on.

    Args:
        address: of Optuna's storage, as ``sqlite:///study.db``.
        name: of the study.
        space: key to values.
        judging: must be as it was where the study goes on.
        sampler: of ``SAMPLERS``.
        seed: of its draws.

    Returns:
        Optuna's ``Study``.

    Raises:
        InputError: no such storage, another metric or direction than before, other choices.
    """
    package = optuna()
    try:
        study = package.create_study(
            storage=package.storages.get_storage(address),
            study_name=name,
            direction='minimize' if judging.minimize else 'maximize',
            pruner=_pruner(judging.pruner),
            load_if_exists=True,
        )
    except Exception as error:  # of whatever data base the address names
        raise InputError(f'--storage {address}: {" ".join(str(error).split())[:300]}') from error
    _check_as_before(study, space, judging)
    samplers, begun = package.samplers, len(trials_of(study))
    kind = samplers.TPESampler if sampler == 'tpe' else samplers.RandomSampler
    study.sampler = kind(seed=seed + begun)  # that of the trials before would draw them again
    if sampler == 'grid':  # Optuna's own works in its own loop alone
        for values in shuffled_grid(space, seed):
            study.enqueue_trial(values, skip_if_exists=True)
    return study


def _pruner(kind: str) -> Any:
    pruners = optuna().pruners
    if kind == 'median':
        return pruners.MedianPruner(n_startup_trials=_WARM_UP)
    return pruners.SuccessiveHalvingPruner() if kind == 'halving' else pruners.NopPruner()


def _check_as_before(study: Any, space: Mapping[str, Values], judging: Judging) -> None:
    choices = {key: list(v.texts) for key, v in space.items() if isinstance(v, Choice)}
    now = dict(metric=judging.metric, minimize=judging.minimize)
    before = study.user_attrs.get('judging')
    if before is None:
        study.set_user_attr('judging', now)
        study.set_user_attr('choices', choices)
        return
    other = '; name another --name or --work-dir for a new sweep'
    if before != now:
        raise InputError(
            f'sweep {study.study_name!r} goes on: it has judged by {before["metric"]} so far, '
            f'{"less" if before["minimize"] else "more"} is better{other}'
        )
    known = study.user_attrs.get('choices', {})
    for key in known.keys() & choices.keys():
        if known[key] != choices[key]:
            raise InputError(
                f'sweep {study.study_name!r} goes on: the choices of {key} were '
                f'{",".join(known[key])}{other}'
            )


def distributions(space: Mapping[str, Values]) -> dict[str, Any]:
    """The space in Optuna's words."""
    kinds = optuna().distributions
    found: dict[str, Any] = {}
    for key, values in space.items():
        if isinstance(values, Choice):
            found[key] = kinds.CategoricalDistribution(values.texts)
        elif values.whole:
            step = 1 if values.step is None else int(values.step)
            found[key] = kinds.IntDistribution(
                int(values.low), int(values.high), log=values.log, step=step
            )
        else:
            found[key] = kinds.FloatDistribution(
                values.low, values.high, log=values.log, step=values.step
            )
    return found


def trials_of(study: Any) -> list[Any]:
    """All trials, as Optuna's ``FrozenTrial``."""
    return list(study.get_trials(deepcopy=False))


def state_of(trial: Any) -> str:
    """``'running'``, ``'complete'``, ``'pruned'``, ``'fail'`` or ``'waiting'``."""
    return str(trial.state.name).lower()


def tell(study: Any, number: int, state: str, value: float | None = None) -> None:
    """End a trial.

    Args:
        study: of the trial.
        number: of it.
        state: ``'complete'``, ``'pruned'`` or ``'fail'``.
        value: of a complete one.
    """
    states = optuna().trial.TrialState
    study.tell(number, value, state=states[state.upper()], skip_if_finished=True)


class Reporter:
    """Reports the validations of the trial that this process trains.

    Args:
        address: of the storage.
        study: name of the study.
        number: of the trial.
        judging: what is measured.
    """

    def __init__(self, address: str, study: str, number: int, judging: Judging) -> None:
        package = optuna()
        self.judging = judging
        self._storage = package.storages.get_storage(address)
        self._study = package.load_study(
            storage=self._storage, study_name=study, pruner=_pruner(judging.pruner)
        )
        study_id = self._storage.get_study_id_from_name(study)
        self._id = self._storage.get_trial_id_from_study_id_trial_number(study_id, number)

    @classmethod
    def from_environment(cls) -> 'Reporter | None':
        """The reporter of this process, None where it is no trial."""
        written = os.environ.get(TRIAL_VARIABLE)
        if not written:
            return None
        trial = json.loads(written)
        judging = Judging(**trial.pop('judging'))
        return cls(judging=judging, **trial)

    def report(self, value: float, step: int, is_last: bool) -> bool:
        """Report a value.

        Args:
            value: of the metric.
            step: epochs or iterations done; one that was reported already keeps its value.
            is_last: whether the training ends here anyway.

        Returns:
            Whether the trial is not worth going on.
        """
        reported = self._storage.get_trial(self._id).intermediate_values
        if step not in reported:
            self._storage.set_trial_intermediate_value(self._id, step, float(value))
        if is_last:
            return False
        pruned = bool(self._study.pruner.prune(self._study, self._storage.get_trial(self._id)))
        if pruned:
            self._storage.set_trial_user_attr(self._id, 'stopped_at', step)
        return pruned

    def finish(self) -> None:
        """Note that the training has come to its end, in case nobody waits for it."""
        self._storage.set_trial_user_attr(self._id, 'ended', True)


def written_trial(address: str, study: str, number: int, judging: Judging) -> str:
    """What the environment of a training tells :meth:`Reporter.from_environment`."""
    return json.dumps(dict(address=address, study=study, number=number, judging=judging._asdict()))
