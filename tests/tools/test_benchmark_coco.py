"""tools/benchmark.py coco: detectors measured side by side, by real runs."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS

from mmext.benchmark.memory import MemoryJob, measure_here, peak_mib
from mmext.benchmark.pictures import write_pictures
from mmext.benchmark.report import Report, load_report
from mmext.errors import run_tool

Tool = Callable[[str], ModuleType]


@pytest.fixture(scope='module')
def out(
    config_file: Path,
    trained: Path,
    call: Callable[..., None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The results of a run with a trained and an untrained net."""
    folder = tmp_path_factory.mktemp('benchmark')
    wide = config_file.with_name('wide.py')
    wide.write_text(
        "_base_ = 'tiny.py'\nmodel = dict(neck=dict(out_channels=32), "
        'bbox_head=dict(in_channels=32))\n'
    )
    call(
        *('benchmark', 'coco', f'{config_file}={trained}/epoch_2.pth', wide),
        *('--precision', 'fp32', 'bf16', '--rounds', 2, '--batch-size', 2, '--threads', 1),
        *('--images', config_file.parent / 'images', '--out', folder, '--skip', 'memory'),
    )
    return folder


@pytest.fixture(scope='module')
def report(out: Path) -> Report:
    """Its data."""
    return load_report(out / 'results.json')


def test_measures_every_model_in_every_precision(report: Report) -> None:
    assert [(line.label, line.precision) for line in report.lines] == [
        ('tiny', 'fp32'),
        ('tiny', 'bf16'),
        ('wide', 'fp32'),
        ('wide', 'bf16'),
    ]
    for line in report.lines:
        assert line.device == 'cpu' and line.input_shape == (64, 64)
        for found in (line.latency_ms, line.batch_ms, line.step_ms):
            assert found is not None and found.count == 2
            assert 0 < found.q1 <= found.median <= found.q3
        assert line.pre_ms and line.net_ms and line.post_ms
        assert line.memory_mib is None and line.step_memory_mib is None
    tiny, _, wide, _ = report.lines
    assert tiny.parameters and wide.parameters and wide.parameters > tiny.parameters
    assert tiny.flops and wide.flops and wide.flops > tiny.flops
    assert report.settings['pictures'] == '2 of 64x64 px'
    assert report.machine['threads'] == '1'


def test_accuracy_is_that_of_the_test_program(
    report: Report,
    config_file: Path,
    trained: Path,
    call: Callable[..., None],
    tmp_path: Path,
) -> None:
    call('test', config_file, trained / 'epoch_2.pth', '--work-dir', tmp_path)
    (found,) = tmp_path.glob('*/*.json')
    expected = {key: value for key, value in json.loads(found.read_text()).items() if 'coco' in key}
    tiny, half, wide, _ = report.lines
    assert expected and tiny.accuracy == expected
    assert half.accuracy.keys() == expected.keys()
    assert wide.accuracy == {} and 'untrained' in wide.notes[0]


def test_writes_table_csv_and_plot(out: Path) -> None:
    table = (out / 'results.md').read_text()
    assert table.count('| tiny |') == 2 and '| box AP |' in table
    assert '](results.png)' in table
    assert (out / 'results.csv').read_text().count('\n') == 5
    assert (out / 'results.png').stat().st_size > 5000


def test_logs_a_run_for_each_line_below_one_parent(out: Path, report: Report) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f'sqlite:///{out / "mlflow.db"}')
    experiment = client.get_experiment_by_name('benchmark')
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if 'mlflow.parentRunId' not in run.data.tags]
    children = [run for run in runs if run is not parent]
    assert {run.data.tags['mlflow.parentRunId'] for run in children} == {parent.info.run_id}
    assert {run.info.status for run in runs} == {'FINISHED'}
    files = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert files == {'results.json', 'results.md', 'results.csv', 'results.png'}
    assert parent.data.params['run'] == report.run
    logged = {run.info.run_name: run.data.metrics for run in children}
    tiny = report.lines[0]
    metrics = logged['tiny fp32 cpu']
    assert tiny.latency_ms is not None and tiny.step_ms is not None
    assert metrics['latency_ms'] == pytest.approx(tiny.latency_ms.median)
    assert metrics['training_iterations_per_second'] == pytest.approx(1e3 / tiny.step_ms.median)
    assert metrics['coco/bbox_mAP'] == tiny.accuracy['coco/bbox_mAP']
    assert len(logged) == 4


def test_shows_results_again_but_not_of_two_runs(
    out: Path, tool: Tool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main = tool('benchmark').main
    results = out / 'results.json'
    assert run_tool(main, ['show', str(results), '--out', str(tmp_path / 'again')]) == 0
    assert (tmp_path / 'again/results.md').read_text() == (out / 'results.md').read_text()
    other = json.loads(results.read_text()) | {'run': 'another'}
    (tmp_path / 'other.json').write_text(json.dumps(other))
    assert run_tool(main, ['show', str(results), str(tmp_path / 'other.json')]) == 2
    assert '2 runs cannot be compared' in capsys.readouterr().err


def test_memory_comes_from_processes_of_their_own(
    config_file: Path, call: Callable[..., None], tmp_path: Path
) -> None:
    call(
        *('benchmark', 'coco', config_file, '--precision', 'fp32', '--rounds', 1),
        *('--batch-size', 1, '--skip', 'flops', 'training', '--out', tmp_path, '--mlflow', 'off'),
    )
    (line,) = load_report(tmp_path / 'results.json').lines
    # 64x64 pixels and 16 channels: tens of MiB, less than one process that holds torch
    assert line.memory_mib is not None and 1 < line.memory_mib < 300
    assert line.step_memory_mib is None and line.flops is None
    assert not (tmp_path / 'mlflow.db').exists()


def test_memory_of_a_training_step(config_file: Path, tmp_path: Path) -> None:
    """In this process, which has its libraries loaded: only that it runs, and grows."""
    files = [str(file) for file in write_pictures(tmp_path, 2)]
    job = MemoryJob(str(config_file), 'fp32', 'cpu', files, training=True, threads=1)
    assert 0 <= measure_here(job) < 1000
    with pytest.raises(RuntimeError, match=r'error: config file not found: .*/gone\.py'):
        peak_mib(replace(job, spec='gone.py'))


@METRICS.register_module()
class StoppingMetric(BaseMetric):
    """Somebody presses Ctrl-C during the evaluation."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        raise KeyboardInterrupt

    def compute_metrics(self, results: list) -> dict:
        raise AssertionError


def test_a_run_that_is_stopped_keeps_what_it_has(
    config_file: Path, trained: Path, call: Callable[..., None], tmp_path: Path
) -> None:
    stopping = config_file.with_name('stopping.py')
    stopping.write_text(
        "_base_ = 'tiny.py'\ntest_evaluator = dict(_delete_=True, type='StoppingMetric')\n"
    )
    with pytest.raises(KeyboardInterrupt):
        call(
            *('benchmark', 'coco', f'{stopping}={trained}/epoch_2.pth', '--precision', 'fp32'),
            *('--rounds', 1, '--batch-size', 1, '--threads', 1, '--out', tmp_path),
            *('--skip', 'memory', 'training', 'flops'),
        )
    (line,) = load_report(tmp_path / 'results.json').lines
    assert line.latency_ms is not None and line.accuracy == {}


def test_what_a_model_cannot_do_is_a_note(
    config_file: Path, data: Path, tool: Tool, tmp_path: Path, trained: Path
) -> None:
    shutil.copy(config_file, tmp_path / 'nodata.py')
    broken = tmp_path / 'notraining.py'
    broken.write_text("_base_ = 'nodata.py'\noptim_wrapper = dict(optimizer=dict(gone=1))\n")
    arguments: list[Any] = [
        *('coco', f'{broken}={trained}/epoch_2.pth', tmp_path / 'nodata.py'),
        *('--precision', 'fp32', '--rounds', 1, '--batch-size', 1, '--skip', 'memory', 'flops'),
        *('--out', tmp_path, '--mlflow', 'off'),
        *('--cfg-options', f'data_root={tmp_path}/gone'),
    ]
    assert run_tool(tool('benchmark').main, [str(item) for item in arguments]) == 0
    first, second = load_report(tmp_path / 'results.json').lines
    assert first.step_ms is None and second.step_ms is not None
    assert first.latency_ms is not None
    assert [note.partition(':')[0] for note in first.notes] == ['no training step', 'no accuracy']
    assert 'gone' in first.notes[0] and f'{tmp_path}/gone/annotations.json' in first.notes[1]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['gone.py'], 'config file not found'),
        (['{config}', '--rounds', '0'], '--rounds: expected 1 or more, got 0'),
        (['{config}', '--precision', 'auto', 'fp32'], 'auto stands for several'),
        (['{config}', '--images', '{empty}'], '--images: no images in'),
        (['{config}', '--device', 'cuda:9'], '--device cuda:9: '),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str],
    message: str,
    config_file: Path,
    tool: Tool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / 'empty').mkdir()
    filled = [
        argument.format(config=config_file, empty=tmp_path / 'empty') for argument in arguments
    ]
    main = tool('benchmark').main
    assert run_tool(main, ['coco', *filled, '--out', str(tmp_path / 'out')]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1
