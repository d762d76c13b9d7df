"""The store itself, a real one."""

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmext.hooks.mlflow_logging.delivery.answers import Outage
from mmext.hooks.mlflow_logging.delivery.store import resolve_store
from mmext.hooks.mlflow_logging.delivery.tracking import RunRequest, Tracking


@pytest.mark.parametrize('late_s', [0, 1.3])
def test_folds_that_start_in_one_moment_have_one_parent(
    late_s: float, work_dir: Path, logged: Any
) -> None:
    """Also where the run of one is stored after the others have looked which is the first."""
    store = resolve_store(None, work_dir)
    connections = [Tracking(store) for _ in range(4)]
    create_run = connections[0]._client.create_run

    def create_late(experiment_id: str, start_time: int, tags: Any, run_name: str) -> Any:
        if run_name == 'folds':
            time.sleep(late_s)
            start_time -= round(100 * late_s)  # ms: begun first, seen last
        return create_run(experiment_id, start_time, tags, run_name)

    connections[0]._client.create_run = create_late
    connections[0].open_run(RunRequest('first', 's', None, False, 'e', 'n', 5, {}))
    together, parents = threading.Barrier(4), []

    def open_fold(fold: int) -> None:
        request = RunRequest(f'k{fold}', f's{fold}', None, False, 'e', 'n', 5 + fold, {}, 'folds')
        together.wait()
        while True:
            try:
                run = connections[fold].open_run(request)
            except Outage:  # as the shipper does: again
                continue
            parents.append(run.tags['mlflow.parentRunId'])
            return

    threads = [threading.Thread(target=open_fold, args=(fold,)) for fold in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    (parent,) = [run.info.run_id for run in logged.runs() if run.info.run_name == 'folds']
    assert parents == [parent] * 4


def test_a_server_too_slow_for_groups_is_an_outage(
    work_dir: Path, logged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And leaves no run behind: whoever sends it tries again later."""
    monkeypatch.setattr('mmext.hooks.mlflow_logging.delivery.tracking._SETTLE_S', (0.0, 0.0, 0.0))
    request = RunRequest('k', 's', None, False, 'e', 'n', 5, {}, 'folds')
    with pytest.raises(Outage, match='took more than 0 s to make one run'):
        Tracking(resolve_store(None, work_dir)).open_run(request)
    assert logged.runs() == []


def test_a_run_that_others_opened_needs_no_experiment_of_ours(work_dir: Path, logged: Any) -> None:
    """``MLFLOW_RUN_ID``, as a job of MLflow's or a sweep sets it."""
    place = logged.client.create_experiment('theirs')
    theirs = logged.client.create_run(place).info.run_id
    before = [e.name for e in logged.client.search_experiments()]
    request = RunRequest('k', 's', theirs, False, 'ours', 'n', 5, {})

    opened = Tracking(resolve_store(None, work_dir)).open_run(request)

    assert (opened.run_id, opened.first) == (theirs, True)
    assert [e.name for e in logged.client.search_experiments()] == before


def test_a_store_is_made_once_by_processes_that_start_in_one_moment(
    tmp_path: Path, run_to_end: Callable[..., Any], reader: Callable[[str], Any]
) -> None:
    """Without a lock both make the tables, and the data base is spoiled for good."""
    code = (
        'import os, sys, time\n'
        'from mmext.hooks.mlflow_logging.delivery.store import resolve_store\n'
        'from mmext.hooks.mlflow_logging.delivery.tracking import RunRequest, Tracking\n'
        'import mlflow.store.tracking.sqlalchemy_store\n'
        'other = os.fork()\n'
        'Tracking(resolve_store(None, sys.argv[1])).open_run('
        'RunRequest(str(other), "s", None, False, "e", "n", 5, {}))\n'
        'if not other: os._exit(0)\n'
        'sys.exit(os.waitpid(other, 0)[1])\n'
    )
    done = run_to_end([sys.executable, '-c', code, tmp_path])
    assert done.returncode == 0, done.stderr
    assert len(reader(f'sqlite:///{tmp_path / "mlflow.db"}').runs()) == 2
