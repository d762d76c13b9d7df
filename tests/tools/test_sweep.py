"""mmext sweep: real trainings, one that a killed sweep has left, one that is left behind."""

import csv
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from mlflow import MlflowClient

from mmext.errors import run_tool
from mmext.sweep import studies
from mmext.sweep.space import parse_search
from mmext.sweep.studies import Judging

optuna = pytest.importorskip('optuna', reason="pip install 'mmext[sweep]'")
Tool = Callable[[str], ModuleType]
SEARCH = 'optim_wrapper.optimizer.lr=0.005:0.02:log'
METRIC = 'coco/bbox_mAP'


def a_killed_sweep(address: str, work_dir: Path) -> None:
    """Three trials that were better than any detector, and one that was being trained."""
    key, values = parse_search(SEARCH)
    study = studies.open_study(address, 'lr', {key: values}, Judging(METRIC, False, 'median'))
    for number in range(4):
        trial = study.ask(studies.distributions({key: values}))
        if number < 3:
            for epoch in (1, 2):
                trial.report(2.0, epoch)
            studies.tell(study, number, 'complete', 2.0)
    (work_dir / 'trial_0003').mkdir(parents=True)


def test_a_sweep_goes_on_trains_and_stops(
    config_file: Path, tmp_path: Path, tool: Tool, capfd: pytest.CaptureFixture[str]
) -> None:
    work_dir, address = tmp_path / 'work', f'sqlite:///{tmp_path / "study.db"}'
    a_killed_sweep(address, work_dir)
    command = [
        str(config_file), '--search', SEARCH, '--metric', METRIC, '--trials', '5', '--name', 'lr',
        '--work-dir', str(work_dir), '--storage', address, '--no-pretrained',
        '--cfg-options', 'train_cfg.val_interval=1', 'default_hooks.checkpoint.interval=1',
    ]  # fmt: skip
    assert run_tool(tool('sweep').main, command) == 0, capfd.readouterr()
    printed = capfd.readouterr().out
    trials = optuna.load_study(study_name='lr', storage=address).get_trials()
    assert [trial.state.name for trial in trials[3:]] == ['COMPLETE', 'PRUNED']
    assert list(trials[3].intermediate_values) == [1, 2]
    assert list(trials[4].intermediate_values) == [1]  # one epoch was enough
    assert trials[3].value == max(trials[3].intermediate_values.values())
    assert 'trial 3 (4 of 5): lr 0.' in printed and 'stopped early' in printed
    assert (work_dir / 'trial_0003/epoch_2.pth').is_file()
    assert not (work_dir / 'trial_0004/epoch_2.pth').exists()
    rows = list(csv.DictReader((work_dir / 'trials.csv').open()))
    assert [row['trial'] for row in rows[:3]] == ['0', '1', '2'] and len(rows) == 5
    assert f'mmext serve {work_dir}/trial_0000' in printed
    check_mlflow(f'sqlite:///{work_dir}/mlflow.db', trials, address)
    assert run_tool(tool('sweep').main, command) == 0  # there are as many as planned
    assert len(optuna.load_study(study_name='lr', storage=address).get_trials()) == 5


def check_mlflow(uri: str, trials: list[Any], address: str) -> None:
    """Two runs below one of the sweep, with their values, without the study's address."""
    client = MlflowClient(uri)
    (experiment,) = (e for e in client.search_experiments() if e.name == 'tiny')
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {'sweep_lr', 'trial_3', 'trial_4'}
    note = runs['sweep_lr'].data.tags['mlflow.note.content']
    assert f'| trial | {METRIC} | lr | end |' in note and '| trial_4 | ' in note
    assert note.count('(mmext sweep)') == 1
    for number in (3, 4):
        run = runs[f'trial_{number}']
        assert run.data.tags['mlflow.parentRunId'] == runs['sweep_lr'].info.run_id
        assert run.info.status == 'FINISHED'
        lr = trials[number].params['optim_wrapper.optimizer.lr']
        assert float(run.data.params['optim_wrapper.optimizer.lr']) == pytest.approx(lr)
        assert address not in str(run.data.to_dictionary())


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'nothing to search: --search'),
        (
            ['--search', 'optim_wrapper.optimiser.lr=1e-4:1e-2'],
            'did you mean optim_wrapper.optimizer.lr?',
        ),
        (['--search', 'model.neck.nothing=1:2'], 'model.neck has type, in_channels'),
        (['--search', 'optim_wrapper.optimizer.lr=-1.0:1.0'], 'optim_wrapper.optimizer.lr'),
        (['--search', SEARCH, SEARCH], 'is there twice'),
        (['--search', SEARCH], '--metric: name what is judged'),
        (['--search', SEARCH, '--metric', METRIC, '--sampler', 'grid'], 'a grid needs choices'),
        (['--search', SEARCH, '--metric', METRIC, '--name', 'a/b'], '--name a/b'),
        (
            ['--search', SEARCH, '--metric', METRIC, '--trials', '0'],
            '--trials: expected at least 1',
        ),
        (['--search', SEARCH, '--metric', METRIC, '--storage', 'x://'], '--storage x://'),
    ],
)
def test_one_line(
    arguments: list[str],
    message: str,
    config_file: Path,
    tmp_path: Path,
    tool: Tool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = [str(config_file), '--work-dir', str(tmp_path / 'work'), *arguments]
    assert run_tool(tool('sweep').main, command) == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1


def test_trainings_that_fail_end_a_sweep(
    config_file: Path,
    tmp_path: Path,
    tool: Tool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mmext.sweep import sweep

    monkeypatch.setattr(sweep, 'FAILURES_IN_A_ROW', 1)
    command = [
        str(config_file), '--search', SEARCH, '--metric', METRIC, '--work-dir', str(tmp_path),
        '--cfg-options', 'train_dataloader.dataset.ann_file=nowhere.json',
    ]  # fmt: skip
    assert run_tool(tool('sweep').main, command) == 2
    error = capsys.readouterr().err
    assert 'nowhere.json' in error and 'output.txt' in error and error.count('\n') == 1


def test_a_search_that_stands_in_the_config(config_file: Path, tmp_path: Path, tool: Tool) -> None:
    from mmext.cli.sweep_plan import plan_of

    own = tmp_path / 'own.py'
    own.write_text(
        f"_base_ = '{config_file}'\n"
        "sweep = dict(search={'optim_wrapper.optimizer.lr': dict(low=0.1, high=0.5), "
        "'train_dataloader.batch_size': [2, 4]}, metric='loss', minimize=True, trials=7)\n"
    )
    words = [str(own), '--search', 'train_dataloader.batch_size=4,8', '--work-dir', 'work']
    plan = plan_of(tool('sweep').build_parser().parse_args(words))
    assert plan.trials == 7 and plan.judging == Judging('loss', True, 'median')
    assert plan.space == dict(
        map(
            parse_search,
            ('optim_wrapper.optimizer.lr=0.1:0.5', 'train_dataloader.batch_size=4,8'),
        )
    )
    assert 'default_hooks.checkpoint.rule=less' in plan.added


def test_a_config_without_mlflow(
    config_file: Path, tmp_path: Path, tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None in the place of the hook; a trial starts from the options that are added to it."""
    from mmext.cli.sweep_plan import plan_of

    own = tmp_path / 'own.py'
    own.write_text(f"_base_ = '{config_file}'\ndefault_hooks = dict(mlflow=None)\n")
    monkeypatch.setenv('MLFLOW_TRACKING_URI', 'sqlite:///of_others.db')
    train = tool('train')
    configs: list[Any] = []
    monkeypatch.setattr(train, 'train', configs.append)
    words = [str(own), '--search', 'optim_wrapper.optimizer.lr=0.1,0.2', '--metric', 'loss']
    words += ['--work-dir', str(tmp_path / 'sweep')]
    for told in ('off', 'sqlite:///runs.db'):
        more = [] if told == 'off' else ['--mlflow', told]
        plan = plan_of(tool('sweep').build_parser().parse_args([*words, *more]))
        assert plan.tracking_uri == told
        command = [str(own), '--mlflow', plan.tracking_uri, '--no-pretrained', '--work-dir']
        train.main([*command, str(tmp_path / 'trial'), '--cfg-options', *plan.added])
    off, on = (config.default_hooks for config in configs)
    assert 'mlflow' not in off and 'sweep_mlflow' not in off
    assert 'mlflow' not in on and on.sweep_mlflow.tracking_uri == 'sqlite:///runs.db'
