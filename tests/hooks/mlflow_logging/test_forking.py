"""Forks while the writer's threads work hard. Each in a process of its own, with a time limit.

A child that waits for ever is killed and told apart by its exit code; the window in which a
fork is dangerous is made so wide that every fork falls into it.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_ENVIRONMENT = {**os.environ, 'PYTHONPATH': str(Path(__file__).parents[3])}
_PRELUDE = """
import os, sys, threading, time
from pathlib import Path
sys.path.insert(0, os.getcwd())
from mmext.hooks.mlflow_logging.delivery import records
from mmext.hooks.mlflow_logging.delivery.spool import Spool
from mmext.hooks.mlflow_logging.delivery.writer import RunWriter

def fork(action, limit_s=10.0):
    '''Exit code of a child; it is killed after the limit.'''
    pid = os.fork()
    if pid == 0:
        action()
        os._exit(0)
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, 9)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

class Shipper:
    done, offset, rejected, left, hindrance = True, 0, 0, 0, None
    def ship(self):
        pass
    def beat(self):
        pass

def wait_for(path):
    end = time.monotonic() + 20
    while not Path(path).exists() and time.monotonic() < end:
        time.sleep(0.002)
    assert Path(path).exists()

def nothing():
    pass

spool = Spool(Path('spool', 's.jsonl'))
assert spool.claim()
"""

RunScript = Callable[[str], str]


@pytest.fixture
def run_script(tmp_path: Path, run_to_end: Callable[..., Any]) -> RunScript:
    """Runs Python code in a process and a folder of its own; returns what it printed."""

    def run(code: str) -> str:
        command = [sys.executable, '-c', _PRELUDE + code]
        done = run_to_end(command, timeout_s=400, cwd=tmp_path, env=_ENVIRONMENT)
        assert done.returncode == 0, done.stdout + done.stderr
        return str(done.stdout.strip())

    return run


_SLOW = """
from pathlib import Path
import time
Path('importing').touch()
time.sleep(1.0)
ready = True
"""


@pytest.mark.parametrize('thread', ['jobs', 'ship'])
def test_a_module_that_a_thread_imports_can_be_imported_in_a_child(
    run_script: RunScript, tmp_path: Path, thread: str
) -> None:
    (tmp_path / 'slow.py').write_text(_SLOW)
    printed = run_script(f"""
class Importing(Shipper):
    def ship(self):
        import slow

def job():
    import slow
    yield records.tags({{'made': 1}})

writer = RunWriter(spool, Importing() if {thread!r} == 'ship' else Shipper())
if {thread!r} == 'jobs':
    writer.put(job)
wait_for('importing')

def use():
    import slow
    assert slow.ready

print(fork(use), fork(use))
writer.close('FINISHED')
""")
    assert printed == '0 0'


def test_an_import_that_outlasts_the_patience_is_still_waited_for(
    run_script: RunScript, tmp_path: Path
) -> None:
    (tmp_path / 'slow.py').write_text(_SLOW)
    printed = run_script("""
from mmext.hooks.mlflow_logging.delivery import forking
forking.PATIENCE_S = 0.05

class Importing(Shipper):
    def ship(self):
        import slow
        time.sleep(60)  # and hangs afterwards

writer = RunWriter(spool, Importing())
wait_for('importing')

def use():
    import slow
    assert slow.ready

start = time.monotonic()
print(fork(use), time.monotonic() - start < 20)
writer.close('FINISHED', limit_s=0.1)
""")
    assert printed == '0 True'


def test_children_neither_wait_for_the_spool_nor_write_to_it(run_script: RunScript) -> None:
    """A quarter of a gigabyte goes to the spool while children are made all the time."""
    printed = run_script("""
import json
writer = RunWriter(spool, Shipper())
text = 'x' * 2_000_000
codes = []
for index in range(15):
    for part in range(8):
        writer.put(records.text(text, f'{index}/{part}'))
    time.sleep(0.01 * (index % 12))
    codes.append(fork(nothing, limit_s=5.0))
    if codes[-1]:
        break
writer.close('FINISHED')
names = [json.loads(line).get('artifact') for line in spool.path.open()]
print(set(codes), names == [f'{i}/{p}' for i in range(15) for p in range(8)] + [None])
""")
    assert printed == '{0} True'


def test_a_hanging_server_holds_up_one_fork_and_not_for_long(run_script: RunScript) -> None:
    printed = run_script("""
class Hanging(Shipper):
    def ship(self):
        Path('hanging').touch()
        time.sleep(60)

writer = RunWriter(spool, Hanging())
wait_for('hanging')
pauses, codes = [], []
for _ in range(10):
    start = time.monotonic()
    codes.append(fork(nothing))
    pauses.append(time.monotonic() - start)
print(set(codes), pauses[0] < 20, max(pauses[1:]) < 1)
writer.close('KILLED', limit_s=0.1)
""")
    assert printed == '{0} True True'


def test_threads_go_on_after_the_fork_and_rest_within_long_work(run_script: RunScript) -> None:
    printed = run_script("""
from mmext.hooks.mlflow_logging.delivery import forking

class Long(Shipper):
    parts = 0
    def ship(self):
        while Long.parts < 400:
            Long.inside = True
            time.sleep(0.005)
            Long.parts += 1
            Long.inside = False
            forking.rest()

writer = RunWriter(spool, Long())
while not Long.parts:
    time.sleep(0.001)

def look():
    os._exit(int(Long.inside))

codes = {fork(look) for _ in range(40)}
before = Long.parts
end = time.monotonic() + 10
while Long.parts == before and time.monotonic() < end:
    time.sleep(0.01)
print(codes, before < 400, Long.parts > before)
writer.close('KILLED', limit_s=0.1)
""")
    assert printed == '{0} True True'


def test_a_child_may_log_a_run_of_its_own(run_script: RunScript) -> None:
    printed = run_script("""
writer = RunWriter(spool, Shipper())

def own():
    child_spool = Spool(Path('spool', 'child.jsonl'))
    assert child_spool.claim()
    child = RunWriter(child_spool, Shipper())
    child.put(records.tags({'a': 1}))
    child.close('FINISHED')
    os._exit(0 if fork(nothing) == 0 else 3)

print(fork(own, limit_s=20), Path('spool/child.jsonl').read_text().count('close'))
writer.close('FINISHED')
""")
    assert printed == '0 1'


def test_loader_workers_may_import_what_the_ship_thread_imports(
    work_dir: Path, run_to_end: Callable[..., Any]
) -> None:
    """A real training: its workers are made while MLflow's store is being imported."""
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from tiny_training import Points, make_runner

class Curious(Points):
    def __getitem__(self, index):
        import mlflow.store.tracking.sqlalchemy_store, mlflow.store.db.utils
        return super().__getitem__(index)

loader = dict(batch_size=2, num_workers=2, dataset=Curious(), timeout=60,
              sampler=dict(type='DefaultSampler', shuffle=False),
              collate_fn=dict(type='default_collate'))
make_runner(Path({str(work_dir)!r}), train_dataloader=loader, val_dataloader=loader).train()
print('trained')
"""
    done = run_to_end([sys.executable, '-c', code], env=_ENVIRONMENT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip().endswith('trained')
