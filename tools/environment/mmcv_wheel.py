"""The wheel of mmcv with its compiled operators: from the user's cache, or compiled once.

mmcv has no wheel for this torch and needs 23 minutes on two cores when it is compiled the plain
way, nearly all of it spent on parsing torch's headers 78 times over. Here they are parsed once (a
precompiled header), and the finished wheel is kept for the next checkout.
"""

from __future__ import annotations  # an old Python must get as far as `check_machine`

import json
import os
import platform
import re
import shutil
import sys
import tarfile
from pathlib import Path

from environment import commands
from environment.commands import SetupError, ask, pip, run, say, works

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


def install_mmcv() -> None:
    """Install mmcv with its compiled operators: from the cache, else compiled now."""
    if works('import mmcv._ext'):
        return say('      a working mmcv is there already: left alone')
    key = wheel_key()
    folder, wheel = WHEELS / key, cached_wheel()
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


def cached_wheel() -> Path | None:
    """The finished wheel for this Python and torch, if there is one."""
    return next((WHEELS / wheel_key()).glob('*.whl'), None)


def check_compiler() -> None:
    """Say at once that there is no compiler."""
    if not shutil.which(CXX):
        raise SetupError(f'no C++ compiler: {CXX!r} is not found (Debian, Ubuntu: apt install g++)')


def pinned(name: str) -> str:
    """Return the requirement ``name==version`` that constraints.txt holds for ``name``."""
    lines = commands.CONSTRAINTS.read_text()
    found = re.search(rf'^{re.escape(name)}==[\w.]+', lines, re.MULTILINE)
    if found is None:
        raise SetupError(f'{commands.CONSTRAINTS} has no line {name}==VERSION')
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
    build = commands.WORK / key
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
        raise SetupError(f'the path of this checkout has a blank: {commands.ROOT}')
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
