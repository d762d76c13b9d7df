"""A real MLflow server over HTTP that goes away at the start, in the middle, at the end."""

import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mmext.hooks.mlflow_logging.delivery.replay import reap, replay


@pytest.fixture
def experiment(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)


def _hook(runner: Any) -> Any:
    return next(hook for hook in runner.hooks if type(hook).__name__ == 'MLflowHook')


def _only_run(logged: Any, experiment: str) -> Any:
    found = logged.client.get_experiment_by_name(experiment)
    (run,) = logged.client.search_runs([found.experiment_id])
    return run


def _steps(logged: Any, run: Any, key: str) -> list[int]:
    return [p.step for p in logged.client.get_metric_history(run.info.run_id, key)]


def test_run_over_http(
    tiny: ModuleType, tmp_path: Path, server: Any, reader: Any, experiment: str
) -> None:
    runner = tiny.make_runner(tmp_path, hook={'tracking_uri': server.uri, 'experiment': experiment})
    runner.train()
    place = _hook(runner).whereabouts
    runner.test()

    logged = reader(server.uri)
    run = _only_run(logged, experiment)
    assert place == f'{server.uri}/#/runs/{run.info.run_id}'
    assert run.info.status == 'FINISHED'
    assert _steps(logged, run, 'train/loss') == list(range(1, 11))
    assert _steps(logged, run, 'test/mae') == [10]
    names = [entry.path for entry in logged.client.list_artifacts(run.info.run_id)]
    assert {'config.py', 'checkpoints', 'images', 'tables'} <= set(names)
    assert not (tmp_path / 'mlflow.db').exists()


def test_server_dies_and_comes_back_in_the_middle(
    tiny: ModuleType, tmp_path: Path, server: Any, reader: Any, experiment: str
) -> None:
    pauses: list[float] = []

    def timed(action: Any) -> Any:
        def act() -> None:
            time.sleep(2.5)  # time for a delivery, before and during the outage
            start = time.monotonic()
            action()
            pauses.append(time.monotonic() - start)

        return act

    hooks = [tiny.At(4, timed(server.kill)), tiny.At(8, timed(server.start))]
    tiny.make_runner(
        tmp_path,
        epochs=3,
        hook={'tracking_uri': server.uri, 'experiment': experiment, 'close_timeout_s': 60.0},
        custom_hooks=hooks,
    ).train()

    logged = reader(server.uri)
    run = _only_run(logged, experiment)
    assert run.info.status == 'FINISHED'
    assert _steps(logged, run, 'train/loss') == list(range(1, 16))
    assert _steps(logged, run, 'val/mae') == [5, 10, 15]


def test_without_a_server_all_is_kept_and_replayed_once(
    tiny: ModuleType, tmp_path: Path, server: Any, reader: Any, experiment: str
) -> None:
    server.kill()
    hook = {'tracking_uri': server.uri, 'experiment': experiment, 'close_timeout_s': 0.5}
    start = time.monotonic()
    runner = tiny.make_runner(tmp_path, hook=hook)
    runner.train()
    assert _hook(runner).whereabouts == (
        f'not sent yet; later: python tools/mlflow_replay.py {tmp_path}'
    )
    runner.test()
    assert time.monotonic() - start < 60, 'a dead server must not hold up the training'
    assert [result.outcome for result in replay(tmp_path)] == ['kept', 'kept']

    server.start()
    assert [result.outcome for result in replay(tmp_path)] == ['sent', 'sent']
    # as if the process had died after sending and before noting it
    for state in (tmp_path / 'mlflow_spool').glob('*.state.json'):
        state.unlink()
    assert [result.outcome for result in replay(tmp_path)] == ['sent', 'sent']

    logged = reader(server.uri)
    run = _only_run(logged, experiment)
    assert run.info.status == 'FINISHED'
    assert _steps(logged, run, 'train/loss') == list(range(1, 11))
    assert _steps(logged, run, 'test/mae') == [10]


def test_acceptance_outage_crash_and_resume(
    tiny: ModuleType, tmp_path: Path, server: Any, reader: Any, experiment: str
) -> None:
    """Server killed and restarted, training crashed and resumed: one run, every point once."""

    def explode() -> None:
        raise RuntimeError

    hook = {'tracking_uri': server.uri, 'experiment': experiment, 'close_timeout_s': 0.5}
    crash = [tiny.At(7, server.kill), tiny.At(13, explode)]
    with pytest.raises(RuntimeError):
        tiny.make_runner(tmp_path, epochs=4, hook=hook, custom_hooks=crash).train()
    server.start()
    hook['close_timeout_s'] = 60.0
    tiny.make_runner(
        tmp_path, epochs=4, hook=hook, resume=True, load_from=str(tmp_path / 'epoch_2.pth')
    ).train()

    logged = reader(server.uri)
    run = _only_run(logged, experiment)
    assert run.info.status == 'FINISHED'
    assert _steps(logged, run, 'train/loss') == list(range(1, 21))
    assert _steps(logged, run, 'val/mae') == [5, 10, 15, 20]


def test_silent_runs_are_reaped(server: Any, reader: Any, experiment: str) -> None:
    """Runs whose work folder is out of reach."""
    client = reader(server.uri).client
    place = client.create_experiment(experiment)
    now_ms = int(time.time() * 1000)
    beats = {'silent': now_ms - 7_200_000, 'alive': now_ms - 60_000, 'foreign': None}
    runs = {}
    for name, beat in beats.items():
        tags = {} if beat is None else {'mmext.heartbeat': str(beat)}
        runs[name] = client.create_run(place, tags=tags, run_name=name).info.run_id

    assert list(reap(server.uri, stale_after_s=3600)) == [runs['silent']]
    assert list(reap(server.uri, stale_after_s=3600)) == []

    ended = client.get_run(runs['silent'])
    assert ended.info.status == 'KILLED' and ended.info.end_time == beats['silent']
    for name in ('alive', 'foreign'):
        assert client.get_run(runs[name]).info.status == 'RUNNING'
