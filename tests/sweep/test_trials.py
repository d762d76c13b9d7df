"""Folders of trials and their locks, how trainings end, and what a sweep makes of it."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from mmext.errors import InputError
from mmext.hooks.mixed_precision.overflow import ADVICE
from mmext.sweep import studies, sweep, table
from mmext.sweep.space import Choice, Range
from mmext.sweep.studies import Judging
from mmext.sweep.sweep import Plan
from mmext.sweep.trial_process import Ended, TrialFolder

pytest.importorskip('optuna', reason="pip install 'mmext[sweep]'")
SPACE = {'optimizer.lr': Range(1e-4, 1e-1, log=True), 'model.depth': Choice(('18', '34'))}
AP = Judging('coco/bbox_mAP', minimize=False, pruner='none')


def test_a_folder_belongs_to_one_training(tmp_path: Path) -> None:
    """Also to one whose sweep has died."""
    first, second = TrialFolder(tmp_path / 'trial'), TrialFolder(tmp_path / 'trial')
    assert first.claim() and not second.claim()
    assert first._lock is not None
    training = subprocess.Popen(['sleep', '60'], pass_fds=(first._lock,))
    first.release()
    assert not second.claim()
    training.kill()
    training.wait()
    assert second.claim()
    second.release()


@pytest.mark.parametrize(
    ('code', 'printed', 'ended'),
    [
        (0, 'all well', Ended(0, '', False)),
        (2, 'x\nerror: no such file\n\n', Ended(2, 'no such file', False)),
        (2, f'error: lost. {ADVICE}\n', Ended(2, f'lost. {ADVICE}', True)),
        (-9, '', Ended(-9, 'ended by signal 9', False)),
        (3, '', Ended(3, 'exit code 3', False)),
    ],
)
def test_how_a_training_has_ended(code: int, printed: str, ended: Ended, tmp_path: Path) -> None:
    folder = TrialFolder(tmp_path)
    folder.output.write_text(printed)
    assert folder._ended(code) == ended


def study_in(tmp_path: Path) -> tuple[Any, str, Plan]:
    address = f'sqlite:///{tmp_path / "study.db"}'
    study = studies.open_study(address, 'sweep', SPACE, AP)
    return study, address, Plan('mine.py', SPACE, AP, 1, tmp_path / 'work')


def begun(study: Any, plan: Plan, values: dict[int, float]) -> Any:
    """A trial as a sweep that was killed leaves it."""
    trial = study.ask(studies.distributions(SPACE))
    for step, value in values.items():
        trial.report(value, step)
    plan.folder(trial.number).path.mkdir(parents=True)
    return trial


def test_a_training_that_outlived_its_sweep_is_not_done_again(tmp_path: Path) -> None:
    study, address, plan = study_in(tmp_path)
    begun(study, plan, {1: 0.2, 2: 0.5, 3: 0.4}).set_user_attr('ended', True)
    said: list[str] = []
    sweep.run(study, address, plan, said.append)
    (trial,) = studies.trials_of(study)
    assert studies.state_of(trial) == 'complete' and trial.value == 0.5  # its best
    assert said[0].startswith('trial 0 (1 of 1): lr ')
    assert not plan.folder(0).output.exists()  # nothing was trained


def test_a_training_that_lives_is_left_alone(tmp_path: Path) -> None:
    study, address, plan = study_in(tmp_path)
    begun(study, plan, {})
    living = plan.folder(0)
    assert living.claim()
    sweep.run(study, address, plan)
    assert studies.state_of(studies.trials_of(study)[0]) == 'running'
    living.release()


def test_a_folder_of_another_sweep_is_not_used(tmp_path: Path) -> None:
    study, address, plan = study_in(tmp_path)
    other = plan.folder(0)
    assert other.claim()
    with pytest.raises(InputError, match='another training is at work there'):
        sweep.run(study, address, plan)
    other.release()


@pytest.mark.parametrize(
    ('ended', 'values', 'state'),
    [
        (Ended(0, '', False), {1: 0.3}, 'complete'),
        (Ended(2, 'lost', True), {1: 0.3}, 'pruned'),  # the sampler is to learn from it
        (Ended(2, 'lost', True), {}, 'pruned'),
        (Ended(1, 'broken', False), {1: 0.3}, 'fail'),
        (Ended(0, '', False), {1: float('nan')}, 'fail'),
    ],
)
def test_what_a_sweep_makes_of_an_end(
    ended: Ended, values: dict[int, float], state: str, tmp_path: Path
) -> None:
    study, _, plan = study_in(tmp_path)
    begun(study, plan, values)
    reason = sweep._tell(study, plan, 0, ended, lambda line: None)
    assert studies.state_of(studies.trials_of(study)[0]) == state
    assert (reason is not None) == (state == 'fail')


def test_the_best_come_first(tmp_path: Path) -> None:
    study, _, plan = study_in(tmp_path)
    for values in ({1: 0.1}, {}, {1: 0.3, 2: 0.2}):
        begun(study, plan, values)
    assert [trial.number for trial, _ in table.ranked(study, AP)] == [2, 0, 1]
    less = AP._replace(minimize=True)
    assert [trial.number for trial, _ in table.ranked(study, less)] == [0, 2, 1]
    lines = table.best_lines(study, plan)
    assert lines[0] == 'best: trial 2, coco/bbox_mAP 0.3000'
    assert '--cfg-options optimizer.lr=' in lines[2] and 'trial_0002' in lines[1]
    assert table.markdown(study, plan).splitlines()[2].startswith('| trial_2 | 0.3000 | ')
