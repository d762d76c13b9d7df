"""Build mmcv with its compiled operators for the Python and torch that are running this.

`pip install .` ends well with an mmcv without them, and no model runs. This compiles mmcv of the
installed version once (three minutes on two cores; CPU, or CUDA where torch has it and nvcc is
there), installs it, and keeps the wheel in the user's cache. A working mmcv is left alone.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # of the rooms of tools/

from environment import commands, mmcv_wheel

from mmext.errors import InputError, run_tool

_PINNED = ('onedl-mmcv', 'torch', 'numpy')
_BUILD = ('setuptools<81', 'wheel', 'ninja')


def main(argv: Sequence[str] | None = None) -> None:
    """Build and install it."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args(argv)
    cache = mmcv_wheel.WHEELS.with_name('build')
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder, 'constraints.txt')
        constraints.write_text('\n'.join(f'{name}=={_installed(name)}' for name in _PINNED) + '\n')
        commands.PYTHON, commands.WORK = Path(sys.executable), cache
        commands.CONSTRAINTS = constraints
        cache.mkdir(parents=True, exist_ok=True)
        try:
            if not (commands.works('import mmcv._ext') or mmcv_wheel.cached_wheel()):
                mmcv_wheel.check_compiler()
                commands.pip('build', 'install', *_BUILD)
            mmcv_wheel.install_mmcv()
        except commands.SetupError as error:
            raise InputError(str(error)) from error
    print('mmcv works with its compiled operators')


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError as error:
        raise InputError(f'{name} is not installed: pip install mmext first') from error


if __name__ == '__main__':
    sys.exit(run_tool(main))
