"""Whole runs on the default SQLite store: what is logged, and how runs end and go on."""

import json
import math
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from mmengine.evaluator import Evaluator

from mmext.hooks.mlflow_logging.hook import MLflowHook


def test_zero_config_run_is_complete(tiny: ModuleType, work_dir: Path, logged: Any) -> None:
    runner = tiny.make_runner(work_dir, log_level='INFO')
    runner.train()

    run = logged.only_run()
    assert run.info.status == 'FINISHED'
    (text,) = (path.read_text() for path in work_dir.glob('*/*.log'))
    assert f'mlflow ui --backend-store-uri {logged.uri}' in text
    assert run.data.params == {
        'lr': '0.01', 'pipeline.0.type': 'Resize', 'pipeline.0.scale': '[4, 4]',
    }  # fmt: skip
    steps = list(range(1, 11))
    pace = ('train_pace/time', 'train_pace/data_time')
    for key in ('train/loss', 'train/lr', 'train_accuracy/acc_at_1', *pace):
        assert logged.steps(key) == steps
    assert [p.value for p in logged.history('train_pace/epoch')] == [s / 5 for s in steps]
    assert logged.steps('val/mae') == logged.steps('val/coco/AR_at_100') == [5, 10]
    raw = runner.message_hub.get_scalar('train/loss').data[0]
    assert [p.value for p in logged.history('train/loss')] == pytest.approx(list(raw), abs=0)


def test_artifacts_of_a_run(tiny: ModuleType, work_dir: Path, logged: Any, tmp_path: Path) -> None:
    tiny.make_runner(work_dir, hook={'system_interval_s': 60.0}).train()

    artifacts = logged.artifacts()
    for expected in ('config.py', 'environment/requirements.txt', 'environment/environment.json'):
        assert expected in artifacts
    assert 'torch==' in logged.read('environment/requirements.txt', tmp_path).decode()
    table = json.loads(logged.read('tables/val_classwise.json', tmp_path))
    assert table['columns'] == ['step', 'class', 'coco/precision']
    assert [row[:2] for row in table['data']] == [[5, 'car'], [10, 'car']]
    plots = [name for name in artifacts if name.startswith('images/val~confusion+step+')]
    assert len([name for name in plots if name.endswith('.png')]) == 2
    assert 'system/cpu_utilization_percentage' in logged.only_run().data.metrics
    inputs = logged.only_run().inputs.dataset_inputs
    assert {tag.value for item in inputs for tag in item.tags} == {'train', 'val'}


def test_gradient_norm_is_measured_where_nothing_clips(
    tiny: ModuleType, work_dir: Path, logged: Any
) -> None:
    runner = tiny.make_runner(work_dir, epochs=1)
    norms: list[float] = []

    def note(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        (group,) = optimizer.param_groups
        norms.append(math.sqrt(sum(p.grad.square().sum().item() for p in group['params'])))

    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.optim_wrapper.optimizer.register_step_pre_hook(note)
    runner.train()

    assert [p.value for p in logged.history('train_pace/grad_norm')] == pytest.approx(
        norms, rel=1e-5
    )


def test_best_checkpoint_is_kept_once(tiny: ModuleType, work_dir: Path, logged: Any) -> None:
    runner = tiny.make_runner(work_dir)
    runner.train()

    tags = logged.only_run().data.tags
    best = Path(runner.message_hub.get_info('best_ckpt'))
    assert tags['mmext.best.checkpoint'] == f'checkpoints/{best.name}'
    assert float(tags['mmext.best.score']) == runner.message_hub.get_info('best_score')
    assert logged.artifacts('checkpoints') == [f'checkpoints/{best.name}']
    assert not list(work_dir.glob('mlflow_spool/*.files')), 'sent files must not stay behind'
    assert best.exists(), 'the run must keep its own checkpoint'


@pytest.mark.parametrize(
    ('policy', 'expected'),
    [
        ('none', set()),
        ('last', {'epoch_3.pth'}),
        ('every', {'epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth'}),
    ],
)
def test_checkpoint_policies(
    tiny: ModuleType, work_dir: Path, logged: Any, policy: str, expected: set[str]
) -> None:
    tiny.make_runner(work_dir, epochs=3, hook={'checkpoints': policy}).train()

    sent = {Path(path).name for path in logged.artifacts('checkpoints')}
    assert {name for name in sent if not name.startswith('best')} == expected


def test_train_then_test_is_one_run(tiny: ModuleType, work_dir: Path, logged: Any) -> None:
    runner = tiny.make_runner(work_dir)
    runner.train()
    runner.test()
    # a process of its own that knows only the work folder and a checkpoint
    tiny.make_runner(work_dir, load_from=str(work_dir / 'epoch_2.pth')).test()

    assert logged.only_run().info.status == 'FINISHED'
    assert logged.steps('test/mae') == [10, 10]
    assert logged.steps('train/loss') == list(range(1, 11))


def test_a_new_training_is_a_new_run(tiny: ModuleType, work_dir: Path, logged: Any) -> None:
    tiny.make_runner(work_dir, epochs=1).train()
    tiny.make_runner(work_dir, epochs=1).train()

    assert [run.info.status for run in logged.runs()] == ['FINISHED', 'FINISHED']


def test_exception_ends_failed_with_traceback(
    tiny: ModuleType, work_dir: Path, logged: Any, tmp_path: Path
) -> None:
    def explode() -> None:
        raise RuntimeError('out of luck')

    runner = tiny.make_runner(work_dir, custom_hooks=[tiny.At(7, explode)])
    with pytest.raises(RuntimeError, match='out of luck'):
        runner.train()

    assert logged.only_run().info.status == 'FAILED'
    assert logged.only_run().data.tags['mmext.outcome'] == 'failed'
    assert 'RuntimeError: out of luck' in logged.read('traceback.txt', tmp_path).decode()
    assert logged.steps('train/loss') == list(range(1, 7))


def test_ctrl_c_ends_killed(tiny: ModuleType, work_dir: Path, logged: Any) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tiny.make_runner(work_dir, custom_hooks=[tiny.At(3, interrupt)]).train()

    assert logged.only_run().info.status == 'KILLED'


def test_resume_continues_the_run_without_doubled_points(
    tiny: ModuleType, work_dir: Path, logged: Any, tmp_path: Path
) -> None:
    def explode() -> None:
        raise RuntimeError

    # dies in iteration 8, has a checkpoint of iteration 5
    with pytest.raises(RuntimeError):
        tiny.make_runner(work_dir, epochs=3, custom_hooks=[tiny.At(8, explode)]).train()
    config = type(tiny.make_runner(tmp_path).cfg)({'lr': 0.5, 'new': 1})
    tiny.make_runner(
        work_dir, epochs=3, resume=True, load_from=str(work_dir / 'epoch_1.pth'), cfg=config
    ).train()

    run = logged.only_run()
    assert run.info.status == 'FINISHED'
    assert logged.steps('train/loss') == list(range(1, 16))
    assert logged.steps('val/mae') == [5, 10, 15]
    assert run.data.params['lr'] == '0.01', 'MLflow keeps the first value'
    assert run.data.params['new'] == '1'
    (diff,) = [path for path in logged.artifacts() if path.endswith('params_diff.json')]
    assert json.loads(logged.read(diff, tmp_path)) == {'lr': {'was': '0.01', 'is': '0.5'}}


def test_resume_before_the_first_checkpoint(tiny: ModuleType, work_dir: Path, logged: Any) -> None:
    def explode() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        tiny.make_runner(work_dir, custom_hooks=[tiny.At(3, explode)]).train()
    tiny.make_runner(work_dir, resume=True).train()

    assert logged.only_run().info.status == 'FINISHED'
    assert logged.steps('train/loss') == list(range(1, 11))


def test_resume_in_another_folder_finds_the_run(
    tiny: ModuleType, work_dir: Path, logged: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('MLFLOW_TRACKING_URI', f'sqlite:///{work_dir / "mlflow.db"}')
    tiny.make_runner(work_dir, epochs=1).train()
    tiny.make_runner(
        tmp_path / 'elsewhere', epochs=2, resume=True, load_from=str(work_dir / 'epoch_1.pth')
    ).train()

    assert logged.steps('train/loss') == list(range(1, 11))


def test_environment_and_config_choose_the_store(
    tiny: ModuleType, work_dir: Path, reader: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment, config = (work_dir / f'{name}.db' for name in ('environment', 'config'))
    for path in (environment, config):
        path.write_bytes((work_dir / 'mlflow.db').read_bytes())
    monkeypatch.setenv('MLFLOW_TRACKING_URI', f'sqlite:///{environment}')
    monkeypatch.setenv('MLFLOW_EXPERIMENT_NAME', 'named outside')

    tiny.make_runner(tmp_path / 'a', epochs=1).train()
    tiny.make_runner(tmp_path / 'b', epochs=1, hook={'tracking_uri': f'sqlite:///{config}'}).train()

    for path in (environment, config):
        run = reader(f'sqlite:///{path}').only_run()
        assert run.info.artifact_uri.startswith((work_dir / 'mlartifacts').as_uri())
        experiment = reader(f'sqlite:///{path}').client.get_experiment(run.info.experiment_id)
        assert experiment.name == 'named outside'


def test_children_share_a_parent(tiny: ModuleType, work_dir: Path, logged: Any) -> None:
    for fold in range(2):
        hook = {'parent': '2 folds', 'tags': {'fold': str(fold)}}
        tiny.make_runner(work_dir, epochs=1, hook=hook).train()

    (parent,) = [run for run in logged.runs() if run.info.run_name == '2 folds']
    children = [run for run in logged.runs() if run is not parent and 'fold' in run.data.tags]
    assert [run.data.tags['fold'] for run in children] == ['0', '1']
    assert {run.data.tags['mlflow.parentRunId'] for run in children} == {parent.info.run_id}


def test_non_finite_values_are_kept_and_counted(
    tiny: ModuleType, work_dir: Path, logged: Any
) -> None:
    metric = Evaluator(tiny.Error(nothing=float('nan'), much=float('inf')))
    tiny.make_runner(work_dir, epochs=2, val_evaluator=metric).train()

    assert all(math.isnan(point.value) for point in logged.history('val/nothing'))
    assert logged.steps('val/nothing') == logged.steps('val/much') == [5, 10]
    assert logged.only_run().data.tags['mmext.nonfinite'] == 'val/nothing: 2, val/much: 2'


def test_epochs_are_counted_where_the_loop_counts_none(
    tiny: ModuleType, work_dir: Path, logged: Any
) -> None:
    loop = {'by_epoch': False, 'max_iters': 6, 'val_interval': 6}
    tiny.make_runner(work_dir, train_cfg=loop, saving={'by_epoch': False, 'interval': 6}).train()

    assert [p.value for p in logged.history('train_pace/epoch')] == [s / 5 for s in range(1, 7)]


def test_the_place_of_an_overflow_is_a_tag(tiny: ModuleType, work_dir: Path, logged: Any) -> None:
    """As mixed precision announces it."""
    runner = tiny.make_runner(work_dir, epochs=1)
    hub = runner.message_hub
    places = iter(['neck.fpn_convs.0', 'roi_head.bbox_head'])
    for step in (2, 4):
        announce = tiny.At(step, lambda: hub.update_info('amp/first_nonfinite', next(places)))
        runner.register_hook(announce)
    runner.train()

    assert logged.only_run().data.tags['mmext.first_nonfinite'] == 'roi_head.bbox_head'


def test_resume_keeps_the_step_of_the_best(tiny: ModuleType, work_dir: Path, logged: Any) -> None:
    """The best of the first session stays the best; the second one only knows its file."""
    saving = {'save_best': 'mae', 'rule': 'greater'}  # which shrinks: the first is the best
    tiny.make_runner(work_dir, epochs=1, saving=saving).train()
    before = {k: v for k, v in logged.only_run().data.tags.items() if k.startswith('mmext.best')}
    tiny.make_runner(
        work_dir, epochs=2, saving=saving, resume=True, load_from=str(work_dir / 'epoch_1.pth')
    ).train()
    after = {k: v for k, v in logged.only_run().data.tags.items() if k.startswith('mmext.best')}

    assert before['mmext.best.step'] == '5'
    assert after == before


def test_a_model_may_predict_anything(tiny: ModuleType, work_dir: Path, logged: Any) -> None:
    """What cannot be shown is left out; no training ends for its pictures."""

    class Stacked(tiny.Line):
        def forward(self, x: torch.Tensor, y: torch.Tensor, mode: str = 'tensor') -> Any:
            out = super().forward(x, y, mode)
            return torch.stack([torch.cat(pair) for pair in out]) if mode == 'predict' else out

    metric = tiny.Error(ragged=[[1], [2, 3]], stacked=torch.zeros(2), nested={'x': [{}, 1]})
    tiny.make_runner(work_dir, epochs=1, model=Stacked(), val_evaluator=Evaluator(metric)).train()

    assert logged.only_run().info.status == 'FINISHED'
    assert logged.steps('val/mae') == [5]


def test_validation_afterwards_leaves_the_marks_of_the_training(
    tiny: ModuleType, work_dir: Path, logged: Any
) -> None:
    """They keep a resumed training from logging its steps again."""
    runner = tiny.make_runner(work_dir)
    runner.train()
    runner.val()
    marks = json.loads(logged.only_run().data.tags['mmext.last_step'])
    assert marks == {'train': 10, 'train_accuracy': 10, 'train_pace': 10, 'val': 10}

    tiny.make_runner(
        work_dir, epochs=2, resume=True, load_from=str(work_dir / 'epoch_1.pth')
    ).train()
    assert logged.steps('train/loss') == list(range(1, 11))


def test_the_hub_may_be_saved_while_the_run_is_opened(
    tiny: ModuleType, work_dir: Path, logged: Any
) -> None:
    """It is copied key by key for a checkpoint; a new key then would end the training."""
    runner = tiny.make_runner(work_dir, epochs=1)
    hub, keys = runner.message_hub, []
    runner.register_hook(tiny.At(1, lambda: keys.append(set(hub.runtime_info))))
    runner.register_hook(tiny.At(2, lambda: hub.update_scalar('train/mine', 0.5)))
    runner.train()

    assert logged.steps('train/mine') == [2]
    assert 'mmext_mlflow_run_id' in keys[0]
    assert hub.get_info('mmext_mlflow_run_id') == logged.only_run().info.run_id


def test_interval_keeps_the_last_iteration(tiny: ModuleType, work_dir: Path, logged: Any) -> None:
    tiny.make_runner(work_dir, hook={'interval': 4}).train()

    assert logged.steps('train/loss') == [4, 8, 10]


def test_a_password_that_is_a_part_of_the_path_loses_no_files(
    tiny: ModuleType, work_dir: Path, logged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``PASSWORD=ubuntu`` where people work in the home of a user of that name."""
    monkeypatch.setenv('DATABASE_PASSWORD', work_dir.parent.name)
    tiny.make_runner(work_dir, epochs=1, hook={'run_name': f'of {work_dir.parent.name}'}).train()

    run = logged.only_run()
    assert run.info.run_name == 'of ***'
    assert 'mmext.rejected' not in run.data.tags and logged.artifacts('checkpoints')
    (spool,) = (work_dir / 'mlflow_spool').glob('*.jsonl')
    records = [json.loads(line) for line in spool.read_text().splitlines()]
    assert records[0]['tracking_uri'] == logged.uri, 'a later delivery would look elsewhere'
    assert all(str(work_dir) in record['path'] for record in records if 'path' in record)


def test_dataloader_forks_do_no_harm(tiny: ModuleType, work_dir: Path, logged: Any) -> None:
    tiny.make_runner(work_dir, workers=2).train()

    assert logged.only_run().info.status == 'FINISHED'
    assert logged.steps('train/loss') == list(range(1, 11))


def test_missing_mlflow_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(ImportError, match=re.escape("pip install 'mlflow>=3.8,<4'")):
        MLflowHook()


@pytest.mark.parametrize(
    'wrong',
    [
        {'interval': 0},
        {'checkpoints': 'some'},
        {'model': {'alias': 'a'}},
        {'model': {'registered_name': 'a', 'name': 'b'}},
    ],
)
def test_wrong_arguments_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MLflowHook(**wrong)
