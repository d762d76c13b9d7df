"""tools/setup_env.py and its parts: steps are skipped, resumed and redone as its docstring says."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
sys.path.append(str(TOOLS))

import setup_env  # noqa: E402
from environment import commands, mmcv_wheel, steps  # noqa: E402


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the set-up work below ``tmp_path``."""
    for module, name in ((steps, 'STAMPS'), (commands, 'WORK'), (mmcv_wheel, 'WHEELS')):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(module, name, tmp_path / name)
    monkeypatch.setattr(commands, 'PYTHON', Path(sys.executable))


class Steps:
    """Three steps that note when they are done; the second can be told to fail."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.failing = False

    def run(self, second: str = 'same') -> list[str]:
        """Carry the steps out; return those that were really done."""
        self.done = []
        step = steps.Step
        steps.carry_out(
            [
                step('one', 'first', lambda: self.done.append('one')),
                step('two', 'second', self.two, (second,)),
                step('three', 'third', lambda: self.done.append('three')),
            ]
        )
        return self.done

    def two(self) -> None:
        if self.failing:
            raise commands.SetupError('told to fail')
        self.done.append('two')


def test_second_run_does_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    three = Steps()
    assert three.run() == ['one', 'two', 'three']
    assert '[2/3] second ...' in capsys.readouterr().out
    assert three.run() == []
    assert capsys.readouterr().out == ''


def test_failed_step_is_redone_and_finished_ones_are_not() -> None:
    three = Steps()
    three.failing = True
    with pytest.raises(commands.SetupError):
        three.run()
    assert three.done == ['one']
    three.failing = False
    assert three.run() == ['two', 'three']


def test_changed_input_redoes_the_step_and_those_behind_it() -> None:
    three = Steps()
    three.run()
    assert three.run(second='other') == ['two', 'three']
    three.failing = True
    with pytest.raises(commands.SetupError):  # going back is a change as well
        three.run()
    three.failing = False
    assert three.run(second='other') == ['two', 'three']


def test_failure_shows_the_end_of_the_log() -> None:
    code = 'for i in range(99): print("line", i)\nraise SystemExit(3)'
    with pytest.raises(commands.SetupError) as caught:
        commands.run('noisy', sys.executable, '-c', code)
    text = str(caught.value)
    assert text.endswith('line 98')
    assert 'line 60' not in text
    assert 'noisy.log' in text


def test_counter_of_ninja_is_shown(tmp_path: Path) -> None:
    log = tmp_path / 'log'
    log.write_text('[1/78] c++ a\n[12/78] c++ b\nwarning: something\n')
    assert commands.counted(log) == '12 of 78 files'
    log.write_text('Collecting torch\n')
    assert commands.counted(log) == ''


def test_termination_ends_the_whole_tree(tmp_path: Path) -> None:
    mark = tmp_path / 'children'
    inner = f'import os, time; open({str(mark)!r}, "a").write(f"{{os.getpid()}} "); time.sleep(60)'
    outer = (
        f'import subprocess, sys; {inner[:-14]}subprocess.run([sys.executable, "-c", {inner!r}])'
    )
    code = (
        f'import sys, pathlib; sys.path.insert(0, {str(TOOLS)!r})\n'
        'import setup_env\n'
        'from environment import commands, steps\n'
        f'commands.WORK = steps.STAMPS = pathlib.Path({str(tmp_path)!r})\n'
        'setup_env.check_machine = lambda: None\n'
        f'action = lambda: commands.run("log", sys.executable, "-c", {outer!r})\n'
        'steps.plan = lambda: [steps.Step("name", "text", action)]\n'
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
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The real builds take minutes; here the compiler is a program that always fails."""
    flags_of_builds: list[tuple[str, ...]] = []

    def build_wheel(build: Path, source: Path, *flags: str) -> Path:
        flags_of_builds.append(flags)
        return build / 'mmcv.whl'

    (commands.WORK / 'key' / 'source').mkdir(parents=True)
    monkeypatch.setattr(mmcv_wheel, 'CXX', 'false')
    monkeypatch.setattr(mmcv_wheel, 'with_cuda', lambda: False)
    monkeypatch.setattr(mmcv_wheel, 'build_wheel', build_wheel)
    assert mmcv_wheel.compile_mmcv('key').name == 'mmcv.whl'
    assert flags_of_builds == [()]
    assert 'the plain way' in capsys.readouterr().out


def test_cache_gets_whole_wheels_only() -> None:
    build = commands.WORK / 'build'
    build.mkdir()
    (build / 'mmcv-1.whl').write_text('content')
    kept = mmcv_wheel.keep(build / 'mmcv-1.whl', mmcv_wheel.WHEELS / 'key')
    assert kept.read_text() == 'content'
    assert [path.name for path in kept.parent.iterdir()] == ['mmcv-1.whl']
    assert not build.exists()


def test_old_python_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, 'version_info', (3, 9, 2, 'final', 0))
    with pytest.raises(commands.SetupError, match=r'3\.11'):
        setup_env.check_machine()


def test_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmcv_wheel, 'CXX', 'no-such-compiler')
    with pytest.raises(commands.SetupError, match='no-such-compiler'):
        setup_env.check_machine()


def test_constraints_pin_what_is_compiled() -> None:
    assert mmcv_wheel.pinned('onedl-mmcv').startswith('onedl-mmcv==')
    with pytest.raises(commands.SetupError, match='numpy=='):
        mmcv_wheel.pinned('numpy')
