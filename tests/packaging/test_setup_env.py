"""tools/setup_env.py: steps are skipped, resumed and redone as its docstring says."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / 'tools' / 'setup_env.py'


@pytest.fixture
def setup_env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the script as a module that works below ``tmp_path``."""
    spec = importlib.util.spec_from_file_location('setup_env', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, 'setup_env', module)
    spec.loader.exec_module(module)
    for name, folder in (('STAMPS', 'venv/stamps'), ('WORK', 'work'), ('WHEELS', 'wheels')):
        (tmp_path / folder).mkdir(parents=True)
        monkeypatch.setattr(module, name, tmp_path / folder)
    monkeypatch.setattr(module, 'PYTHON', Path(sys.executable))
    return module


class Steps:
    """Three steps that note when they are done; the second can be told to fail."""

    def __init__(self, setup_env: ModuleType) -> None:
        self.setup_env = setup_env
        self.done: list[str] = []
        self.failing = False

    def run(self, second: str = 'same') -> list[str]:
        """Carry the steps out; return those that were really done."""
        self.done = []
        step = self.setup_env.Step
        steps = [
            step('one', 'first', lambda: self.done.append('one')),
            step('two', 'second', self.two, (second,)),
            step('three', 'third', lambda: self.done.append('three')),
        ]
        self.setup_env.carry_out(steps)
        return self.done

    def two(self) -> None:
        if self.failing:
            raise self.setup_env.SetupError('told to fail')
        self.done.append('two')


def test_second_run_does_nothing(setup_env: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    steps = Steps(setup_env)
    assert steps.run() == ['one', 'two', 'three']
    assert '[2/3] second ...' in capsys.readouterr().out
    assert steps.run() == []
    assert capsys.readouterr().out == ''


def test_failed_step_is_redone_and_finished_ones_are_not(setup_env: ModuleType) -> None:
    steps = Steps(setup_env)
    steps.failing = True
    with pytest.raises(setup_env.SetupError):
        steps.run()
    assert steps.done == ['one']
    steps.failing = False
    assert steps.run() == ['two', 'three']


def test_changed_input_redoes_the_step_and_those_behind_it(setup_env: ModuleType) -> None:
    steps = Steps(setup_env)
    steps.run()
    assert steps.run(second='other') == ['two', 'three']
    steps.failing = True
    with pytest.raises(setup_env.SetupError):  # going back is a change as well
        steps.run()
    steps.failing = False
    assert steps.run(second='other') == ['two', 'three']


def test_failure_shows_the_end_of_the_log(setup_env: ModuleType) -> None:
    code = 'for i in range(99): print("line", i)\nraise SystemExit(3)'
    with pytest.raises(setup_env.SetupError) as caught:
        setup_env.run('noisy', sys.executable, '-c', code)
    text = str(caught.value)
    assert text.endswith('line 98')
    assert 'line 60' not in text
    assert 'noisy.log' in text


def test_counter_of_ninja_is_shown(setup_env: ModuleType, tmp_path: Path) -> None:
    log = tmp_path / 'log'
    log.write_text('[1/78] c++ a\n[12/78] c++ b\nwarning: something\n')
    assert setup_env.counted(log) == '12 of 78 files'
    log.write_text('Collecting torch\n')
    assert setup_env.counted(log) == ''


def test_termination_ends_the_whole_tree(tmp_path: Path) -> None:
    mark = tmp_path / 'children'
    inner = f'import os, time; open({str(mark)!r}, "a").write(f"{{os.getpid()}} "); time.sleep(60)'
    outer = (
        f'import subprocess, sys; {inner[:-14]}subprocess.run([sys.executable, "-c", {inner!r}])'
    )
    code = (
        f'import sys, pathlib; sys.path.insert(0, {str(SCRIPT.parent)!r})\n'
        'import setup_env\n'
        f'setup_env.WORK = setup_env.STAMPS = pathlib.Path({str(tmp_path)!r})\n'
        'setup_env.check_machine = lambda: None\n'
        f'action = lambda: setup_env.run("log", sys.executable, "-c", {outer!r})\n'
        'setup_env.plan = lambda: [setup_env.Step("name", "text", action)]\n'
        'sys.exit(setup_env.main())'
    )
    process = subprocess.Popen([sys.executable, '-c', code], stderr=subprocess.PIPE, text=True)
    children = _wait_for_words(mark, 2)
    process.send_signal(signal.SIGTERM)
    assert 'interrupted' in process.communicate(timeout=20)[1]
    assert process.returncode == 130
    for child in children:
        _wait_until_gone(int(child))


def _wait_for_words(path: Path, count: int) -> list[str]:
    for _ in range(400):
        if path.exists() and len(words := path.read_text().split()) == count:
            return words
        time.sleep(0.05)
    raise TimeoutError(f'{path} did not get {count} words')


def _wait_until_gone(pid: int) -> None:
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        status = Path(f'/proc/{pid}/stat')
        if status.exists() and status.read_text().rpartition(')')[2].split()[0] == 'Z':
            return  # ended; its new parent has not asked for its status yet
        time.sleep(0.05)
    raise TimeoutError(f'process {pid} is still there')


def test_plain_build_follows_when_the_short_one_fails(
    setup_env: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The real builds take minutes; here the compiler is a program that always fails."""
    flags_of_builds: list[tuple[str, ...]] = []

    def build_wheel(build: Path, source: Path, *flags: str) -> Path:
        flags_of_builds.append(flags)
        return build / 'mmcv.whl'

    (setup_env.WORK / 'key' / 'source').mkdir(parents=True)
    monkeypatch.setattr(setup_env, 'CXX', 'false')
    monkeypatch.setattr(setup_env, 'with_cuda', lambda: False)
    monkeypatch.setattr(setup_env, 'build_wheel', build_wheel)
    assert setup_env.compile_mmcv('key').name == 'mmcv.whl'
    assert flags_of_builds == [()]
    assert 'the plain way' in capsys.readouterr().out


def test_cache_gets_whole_wheels_only(setup_env: ModuleType) -> None:
    build = setup_env.WORK / 'build'
    build.mkdir()
    (build / 'mmcv-1.whl').write_text('content')
    kept = setup_env.keep(build / 'mmcv-1.whl', setup_env.WHEELS / 'key')
    assert kept.read_text() == 'content'
    assert [path.name for path in kept.parent.iterdir()] == ['mmcv-1.whl']
    assert not build.exists()


def test_old_python_is_turned_away(setup_env: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup_env.sys, 'version_info', (3, 9, 2, 'final', 0))
    with pytest.raises(setup_env.SetupError, match=r'3\.11'):
        setup_env.check_machine()


def test_missing_compiler_is_named(setup_env: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup_env, 'CXX', 'no-such-compiler')
    with pytest.raises(setup_env.SetupError, match='no-such-compiler'):
        setup_env.check_machine()


def test_constraints_pin_what_is_compiled(setup_env: ModuleType) -> None:
    assert setup_env.pinned('onedl-mmcv').startswith('onedl-mmcv==')
    with pytest.raises(setup_env.SetupError, match='numpy=='):
        setup_env.pinned('numpy')
