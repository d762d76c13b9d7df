"""Studies of the real Optuna: what goes on, what is refused, what is stopped."""

import math
from pathlib import Path
from typing import Any

import pytest

from mmext.errors import InputError
from mmext.sweep import studies
from mmext.sweep.space import Choice, Range
from mmext.sweep.studies import Judging, Reporter

pytest.importorskip('optuna', reason="pip install 'mmext[sweep]'")
SPACE = {'lr': Range(1e-4, 1e-1, log=True), 'depth': Choice(('18', '34'))}
AP = Judging('coco/bbox_mAP', minimize=False, pruner='median')


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f'sqlite:///{tmp_path / "study.db"}'


def opened(address: str, judging: Judging = AP, **options: Any) -> Any:
    space = options.pop('space', SPACE)
    return studies.open_study(address, 'sweep', space, judging, **options)


def asked(study: Any, space: Any = SPACE) -> int:
    return int(study.ask(studies.distributions(space)).number)


def test_values_are_of_the_space_and_the_same_for_a_seed(address: str, tmp_path: Path) -> None:
    drawn = []
    for place in (address, f'sqlite:///{tmp_path / "again.db"}'):
        study = opened(place, seed=3)
        for _ in range(12):
            studies.tell(study, asked(study), 'complete', 0.5)
        drawn.append([trial.params for trial in studies.trials_of(study)])
    assert drawn[0] == drawn[1]
    assert all(1e-4 <= params['lr'] <= 1e-1 for params in drawn[0])
    assert {params['depth'] for params in drawn[0]} == {'18', '34'}
    logs = [math.log10(params['lr']) for params in drawn[0]]
    assert min(logs) < -3 and max(logs) > -2  # over orders of magnitude


def test_a_study_that_goes_on_draws_other_values(address: str) -> None:
    first = asked(opened(address, sampler='random'))
    second = asked(opened(address, sampler='random'))
    trials = studies.trials_of(opened(address))
    assert trials[first].params != trials[second].params


def test_a_grid_takes_each_once(address: str) -> None:
    space = {'lr': Range(0.0, 1.0, step=0.5), 'depth': SPACE['depth']}
    study = opened(address, space=space, sampler='grid')
    for _ in range(6):
        studies.tell(study, asked(study, space), 'complete', 1.0)
    found = {tuple(sorted(trial.params.items())) for trial in studies.trials_of(study)}
    assert len(found) == 6


def test_what_does_not_go_on(address: str) -> None:
    opened(address)
    with pytest.raises(InputError, match=r'judged by coco/bbox_mAP so far, more is better'):
        opened(address, AP._replace(metric='mIoU'))
    with pytest.raises(InputError, match='more is better'):
        opened(address, AP._replace(minimize=True))
    with pytest.raises(InputError, match='the choices of depth were 18,34'):
        opened(address, space={**SPACE, 'depth': Choice(('18', '50'))})
    opened(address, space={**SPACE, 'lr': Range(1e-3, 1e-2)})  # a range may become narrower


def test_a_storage_that_is_none() -> None:
    with pytest.raises(InputError, match='--storage nonsense://x'):
        opened('nonsense://x')


def reporter(monkeypatch: pytest.MonkeyPatch, address: str, number: int) -> Reporter:
    written = studies.written_trial(address, 'sweep', number, AP)
    monkeypatch.setenv(studies.TRIAL_VARIABLE, written)
    found = Reporter.from_environment()
    assert found is not None
    return found


def test_reports_arrive_and_the_worse_half_is_stopped(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = opened(address)
    for quality in (0.5, 0.6, 0.7, 0.8):  # each is better than those before: none is stopped
        number = asked(study)
        own = reporter(monkeypatch, address, number)
        assert not own.report(quality / 2, 1, is_last=False)
        assert not own.report(quality, 2, is_last=True)
        studies.tell(study, number, 'complete', quality)
    number = asked(study)
    own = reporter(monkeypatch, address, number)
    assert own.report(0.29, 1, is_last=False)  # the median of the others is 0.325
    assert not own.report(0.29, 2, is_last=True)  # at the end there is nothing to stop
    own.report(0.9, 1, is_last=False)  # a training that goes on validates once more
    own.finish()
    trial = studies.trials_of(opened(address))[number]
    assert trial.intermediate_values == {1: 0.29, 2: 0.29}
    assert trial.user_attrs == {'stopped_at': 1, 'ended': True}
    number = asked(study)
    assert not reporter(monkeypatch, address, number).report(0.33, 1, is_last=False)


def test_a_training_of_no_sweep_reports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(studies.TRIAL_VARIABLE, raising=False)
    assert Reporter.from_environment() is None


@pytest.mark.parametrize(
    ('values', 'minimize', 'best'),
    [
        ([0.1, 0.3, 0.2], False, 0.3),
        ([0.3, 0.1], True, 0.1),
        ([math.nan, 0.2, math.inf], False, 0.2),
    ],
)
def test_the_best_value(values: list[float], minimize: bool, best: float) -> None:
    assert AP._replace(minimize=minimize).best(values) == best


def test_no_value_is_none() -> None:
    assert math.isnan(AP.best([])) and math.isnan(AP.best([math.nan]))
