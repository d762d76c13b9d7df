"""Make ``.venv`` with everything mmext needs; called by ``make``, stdlib only.

Six steps. Each leaves a stamp with a hash of what it depends on and is skipped
while that hash holds, so a second run takes no time, an interrupted run goes on
at the step it stopped in, and an edited constraints.txt or dependency list
redoes only the steps behind it. The output of pip and of the compiler goes to
log files; the end of a log is shown when its step fails.

mmcv has no wheel for this torch and needs 23 minutes on two cores when it is
compiled the plain way, nearly all of it spent on parsing torch's headers 78
times over. Here they are parsed once (a precompiled header) and the finished
wheel is kept in the user's cache for the next checkout.
"""

from __future__ import annotations  # an old Python must get as far as `check_machine`

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / '.venv'
PYTHON = VENV / 'bin' / 'python'
STAMPS = VENV / '.setup-stamps'
WORK = ROOT / '.cache' / 'setup'
CONSTRAINTS = ROOT / 'constraints.txt'
WHEELS = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'mmext' / 'wheels'

CXX = os.environ.get('CXX', 'c++')  # the compiler that torch's build extension takes
MMCV_HEADER = 'mmcv/ops/csrc/common/pytorch_cpp_helper.hpp'
# The environment's flags replace Python's own: without -O3 the ops come out unoptimised.
OPTIMISE = ('-O3', '-DNDEBUG', '-fwrapv', '-g0')
# What torch adds to every compilation; a precompiled header is valid for equal flags only.
TORCH_FLAGS = (
    '-fPIC',
    '-std=c++17',
    '-DTORCH_API_INCLUDE_EXTENSION_H',
    '-DTORCH_EXTENSION_NAME=_ext',
)
GIB = 2**30


class SetupError(Exception):
    """A step failed; the text is for the user."""


# --- running tools -------------------------------------------------------------------------------


def say(text: str) -> None:
    print(text, flush=True)


class Progress:
    """One live line on a terminal, or one line a minute in a CI log."""

    def __init__(self) -> None:
        self.live = sys.stdout.isatty()
        self.start = time.monotonic()
        self.next_line = 60.0

    def update(self, log: Path) -> None:
        """Show the time spent and, where the tool counts (ninja), how far it is."""
        seconds = time.monotonic() - self.start
        if self.live:
            print(f'\r      {seconds:4.0f} s {counted(log):20}', end='', flush=True)
        elif seconds >= self.next_line:
            say(f'      {seconds:4.0f} s {counted(log)}'.rstrip())
            self.next_line += 60

    def close(self) -> None:
        """Wipe the live line."""
        if self.live:
            print('\r' + ' ' * 40 + '\r', end='', flush=True)


def counted(log: Path) -> str:
    """Return 'N of M files' from the last ninja counter near the end of ``log``, or ''."""
    counters = re.findall(r'\[(\d+)/(\d+)\]', tail(log, 20))
    return '{} of {} files'.format(*counters[-1]) if counters else ''


def tail(log: Path, lines: int) -> str:
    with log.open('rb') as file:
        file.seek(max(0, log.stat().st_size - 400 * lines))
        return '\n'.join(file.read().decode(errors='replace').splitlines()[-lines:])


def run(log_name: str, *command: object, **environment: str) -> None:
    """Run a tool with its output in a log file.

    Args:
        log_name: name of the log, without folder and suffix; appended to.
        command: program and arguments.
        environment: variables added to ours.

    Raises:
        SetupError: the tool failed; the text ends with the tail of the log.
    """
    words = [str(word) for word in command]
    log = WORK / 'logs' / f'{log_name}.log'
    log.parent.mkdir(parents=True, exist_ok=True)
    progress = Progress()
    with log.open('ab') as sink:
        sink.write(f'\n$ {shlex.join(words)}\n'.encode())
        sink.flush()
        # a session of its own: when we are interrupted its whole tree can be ended
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd=WORK,
            env=clean_environment() | environment,
            start_new_session=True,
        )
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=0.5)
                    break
                progress.update(log)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        finally:
            progress.close()
    if process.returncode:
        raise SetupError(f'{words[0]} failed. The end of {log}:\n\n{tail(log, 25)}')


def clean_environment() -> dict[str, str]:
    """Return our environment without what would let other installations shine through."""
    dropped = ('PYTHONPATH', 'PYTHONHOME', 'PIP_TARGET', 'PIP_PREFIX', 'PIP_USER')
    return {name: value for name, value in os.environ.items() if name not in dropped}


def pip(log_name: str, *arguments: object, **environment: str) -> None:
    """Run the venv's pip; every installation obeys constraints.txt."""
    environment |= {'PIP_CONSTRAINT': str(CONSTRAINTS), 'PIP_DISABLE_PIP_VERSION_CHECK': '1'}
    run(log_name, PYTHON, '-m', 'pip', *arguments, **environment)


def works(code: str) -> bool:
    """Return whether ``code`` runs without an error in the venv."""
    return ask(code) is not None


def ask(code: str) -> str | None:
    """Return what ``code`` prints in the venv, None if it fails."""
    done = subprocess.run(
        [PYTHON, '-W', 'ignore', '-c', code],
        capture_output=True,
        text=True,
        cwd=WORK,
        env=clean_environment(),
    )
    return done.stdout if done.returncode == 0 else None


# --- the steps -----------------------------------------------------------------------------------


def make_venv() -> None:
    run('venv', sys.executable, '-m', 'venv', '--clear', VENV)
    pip('venv', 'install', 'pip>=24', 'setuptools', 'wheel', 'ninja')


def install_torch() -> None:
    pip('torch', 'install', 'torch', 'numpy')


def install_mmcv() -> None:
    """Install mmcv with its compiled operators: from the cache, else compiled now."""
    if works('import mmcv._ext'):
        return say('      a working mmcv is there already: left alone')
    key = wheel_key()
    folder = WHEELS / key
    wheel = next(folder.glob('*.whl'), None)
    if wheel:
        say('      from the cache')
    else:
        wheel = keep(compile_mmcv(key), folder)
    pip('mmcv', 'install', wheel)  # with its dependencies
    if not works('import mmcv._ext'):  # one without operators was there, of the same version
        pip('mmcv', 'install', '--force-reinstall', '--no-deps', wheel)
    if not works('import mmcv._ext'):
        shutil.rmtree(folder)
        raise SetupError(
            'mmcv was installed, but `import mmcv._ext` (its compiled operators) '
            'fails. The cached wheel is removed: run again to compile it anew.'
        )


def install_project() -> None:
    pip('mmext', 'install', '--no-build-isolation', '-e', f'{ROOT}[export,dev]')
    if not works('import cv2'):
        # Both builds of OpenCV are pulled in, one over the other; the first wants a desktop's
        # libGL. Let the second, of the same version, come out on top.
        headless = 'opencv-python-headless'
        found = ask(f'from importlib.metadata import version; print(version("{headless}"), end="")')
        pip('mmext', 'install', '--force-reinstall', '--no-deps', f'{headless}=={found}')


def check() -> None:
    """Use each part once and say which versions were found."""
    report = WORK / 'versions.json'
    report.unlink(missing_ok=True)
    run('check', PYTHON, '-W', 'ignore', '-c', CHECK, report)
    say('      ' + ', '.join(f'{name} {v}' for name, v in json.loads(report.read_text()).items()))


CHECK = """
import importlib.util, json, sys
import cv2, torch, mmcv, mmdet, mmengine, numpy
from importlib.metadata import version
from mmcv.ops import nms
import mmcv._ext

boxes = torch.tensor([[0., 0, 9, 9], [0, 0, 9, 8], [20, 20, 29, 29]])
kept = nms(boxes, torch.tensor([.9, .8, .7]), 0.5)[1].tolist()
assert kept == [0, 2], f'mmcv.ops.nms keeps {kept} where [0, 2] is right'
assert importlib.util.find_spec('torchvision') is None, 'torchvision got into the environment'
found = {'torch': torch.__version__, 'numpy': numpy.__version__, 'mmcv': mmcv.__version__,
         'mmengine': mmengine.__version__, 'mmdet': mmdet.__version__,
         'mlflow': version('mlflow'), 'mmext': version('mmext')}
open(sys.argv[1], 'w').write(json.dumps(found))
"""


# --- mmcv ----------------------------------------------------------------------------------------


def pinned(name: str) -> str:
    """Return the requirement ``name==version`` that constraints.txt holds for ``name``."""
    found = re.search(rf'^{re.escape(name)}==[\w.]+', CONSTRAINTS.read_text(), re.MULTILINE)
    if found is None:
        raise SetupError(f'{CONSTRAINTS} has no line {name}==VERSION')
    return found[0]


def with_cuda() -> bool:
    """Return whether mmcv will be compiled for CUDA; the same question as in its setup.py."""
    forced = os.environ.get('FORCE_CUDA') == '1'
    return forced or works('import torch, sys; sys.exit(not torch.cuda.is_available())')


def wheel_key() -> str:
    """Name all that a compiled mmcv depends on."""
    mmcv = pinned('onedl-mmcv').replace('==', '-')
    torch = 'torch' + (ask('import torch; print(torch.__version__, end="")') or '')
    python = f'{sys.implementation.cache_tag}-{sys.platform}-{platform.machine()}'
    libc = ''.join(platform.libc_ver())
    return '_'.join([mmcv, torch, 'cuda' if with_cuda() else 'cpu', python, libc])


def compile_mmcv(key: str) -> Path:
    """Compile mmcv and return its wheel.

    The build folder stays until the wheel is finished: after an interruption
    ninja goes on with the files that are still missing.
    """
    build = WORK / key
    source = unpack_mmcv(build)
    if with_cuda():  # mmcv's own way, with nvcc
        if not (shutil.which('nvcc') or os.environ.get('CUDA_HOME')):
            raise SetupError(
                'torch sees a GPU, but there is no nvcc to compile the CUDA operators of mmcv: '
                'install the CUDA toolkit of the version that torch names (torch.version.cuda) '
                'and set CUDA_HOME, or set CUDA_VISIBLE_DEVICES= for an environment without GPU'
            )
        return build_wheel(build, source)
    try:
        return build_wheel(build, source, *precompile(build, source))
    except SetupError as error:
        say(f'      the short build failed ({error.args[0].splitlines()[0]})')
        say('      compiling mmcv the plain way: about 25 minutes on two cores')
        shutil.rmtree(source / 'build', ignore_errors=True)
        return build_wheel(build, source)


def unpack_mmcv(build: Path) -> Path:
    """Return the unpacked sources of mmcv below ``build``, fetched if they are not there."""
    source = build / 'source'
    if not source.exists():
        shutil.rmtree(build, ignore_errors=True)
        pip(
            'mmcv',
            'download',
            '--no-deps',
            '--no-build-isolation',
            '--no-binary',
            'onedl-mmcv',
            '--dest',
            build,
            pinned('onedl-mmcv'),
        )
        with tarfile.open(next(build.glob('*.tar.gz'))) as archive:
            archive.extractall(build / 'unpacked', filter='data')
        next((build / 'unpacked').iterdir()).rename(source)
    return source


def precompile(build: Path, source: Path) -> tuple[str, ...]:
    """Precompile torch's headers; return the compiler flags that make use of them."""
    header = build / 'pch' / 'pytorch_cpp_helper.hpp'
    compiled = header.with_name(header.name + '.gch')
    if not compiled.exists():
        header.parent.mkdir(exist_ok=True)
        includes = [word for path in include_paths() for word in ('-isystem', path)]
        unfinished = compiled.with_suffix('.part')
        run(
            'mmcv',
            CXX,
            *OPTIMISE,
            *TORCH_FLAGS,
            *includes,
            '-x',
            'c++-header',
            source / MMCV_HEADER,
            '-o',
            unfinished,
        )
        unfinished.rename(compiled)
    # There is no plain header beside the compiled one: if the compiler cannot
    # use that, it stops at once instead of taking the long way in silence.
    return ('-Winvalid-pch', '-include', str(header))


def include_paths() -> list[str]:
    """Return the folders of torch's and Python's headers."""
    paths = ask(
        'import json, sysconfig, torch.utils.cpp_extension as torch;'
        'print(json.dumps([*torch.include_paths(), sysconfig.get_paths()["include"]]))'
    )
    return json.loads(paths or '[]')


def build_wheel(build: Path, source: Path, *flags: str) -> Path:
    """Compile the wheel of mmcv from its unpacked sources."""
    if any(' ' in flag for flag in flags):
        raise SetupError(f'the path of this checkout has a blank: {ROOT}')
    # both: with CXXFLAGS alone setuptools hands nothing on
    environment = dict.fromkeys(('CFLAGS', 'CXXFLAGS'), ' '.join(OPTIMISE + flags)) if flags else {}
    pip(
        'mmcv',
        'wheel',
        '-v',
        '--no-deps',
        '--no-build-isolation',
        '--wheel-dir',
        build,
        source,
        MMCV_WITH_OPS='1',
        MAX_JOBS=str(jobs()),
        **environment,
    )
    return next(build.glob('*.whl'))


def jobs() -> int:
    """Return how many compilers may run at a time: one a core, with 1.5 GiB each."""
    memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    )
    return max(1, min(cores, int(memory / (1.5 * GIB))))


def keep(wheel: Path, folder: Path) -> Path:
    """Move a finished wheel into the cache (all or nothing) and drop its build folder."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / wheel.name
    unfinished = folder / f'{wheel.name}.{os.getpid()}.part'
    shutil.copy2(wheel, unfinished)
    unfinished.replace(kept)
    shutil.rmtree(wheel.parent)
    return kept


# --- the course of things ------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One stage: what it is called, what it does, and what it depends on."""

    name: str
    text: str
    action: Callable[[], None]
    depends_on: tuple[str, ...] = ()


def plan() -> list[Step]:
    """Return the steps in order; each depends on those before it as well."""
    constraints = CONSTRAINTS.read_text()
    return [
        Step('venv', 'create .venv', make_venv, (sys.version, sys.base_prefix, constraints)),
        Step('torch', 'install torch (about 1 minute)', install_torch),
        Step('mmcv', 'install mmcv (about 3 minutes the first time)', install_mmcv),
        Step(
            'mmext',
            'install mmdetection, MLflow, mmext and the test tools (about 2 minutes)',
            install_project,
            (project_metadata(), (ROOT / 'setup.py').read_text()),
        ),
        Step('check', 'check that it all works', check, (CHECK,)),
    ]


def project_metadata() -> str:
    """Return the part of pyproject.toml that an installation depends on."""
    import tomllib  # not in the old Pythons that `check_machine` turns away

    settings = tomllib.loads((ROOT / 'pyproject.toml').read_text())
    return json.dumps([settings['build-system'], settings['project']])


def carry_out(steps: list[Step]) -> None:
    """Do the steps whose stamp is missing or out of date."""
    key = ''
    for number, step in enumerate(steps, 1):
        key = hashlib.sha256('\0'.join((key, *step.depends_on)).encode()).hexdigest()
        stamp = STAMPS / step.name
        if stamp.exists() and stamp.read_text() == key:
            continue
        say(f'[{number}/{len(steps)}] {step.text} ...')
        start = time.monotonic()
        for outdated in steps[number - 1 :]:
            (STAMPS / outdated.name).unlink(missing_ok=True)
        step.action()
        STAMPS.mkdir(exist_ok=True)
        stamp.write_text(key)
        say(f'      done in {time.monotonic() - start:.0f} s')


def check_machine() -> None:
    """Say at once what is missing, before anything is fetched."""
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        raise SetupError(
            f'mmext needs Python 3.11, 3.12 or 3.13, but {sys.executable} is '
            f'{platform.python_version()}. Name another one: make PYTHON=/path/to/python3.11 ...'
        )
    if not shutil.which(CXX):
        raise SetupError(f'no C++ compiler: {CXX!r} is not found (Debian, Ubuntu: apt install g++)')


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Wait until no other set-up works on this checkout."""
    WORK.mkdir(parents=True, exist_ok=True)
    with (WORK / 'lock').open('w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say('another set-up of this checkout is running: waiting for it')
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Return the exit status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        check_machine()
        with alone():
            carry_out(plan())
    except SetupError as error:
        print(f'\nset-up failed: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('\nset-up interrupted: the same command goes on from here', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
