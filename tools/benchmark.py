"""Measure the speed and memory of a part of mmext against a reference, in one process.

python tools/benchmark.py all --quick
"""

import argparse
import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from mmext.cli.errors import run_tool

FOLDER = Path(__file__).parent / 'benchmarks'


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmarks that the command line names."""
    names = benchmark_names()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('name', choices=[*names, 'all'], type=lambda name: name.replace('_', '-'))
    parser.add_argument('--quick', action='store_true', help='small sizes, few repetitions')
    arguments = parser.parse_args(argv)
    for name in names if arguments.name == 'all' else [arguments.name]:
        print(f'== {name}', flush=True)
        load_benchmark(name)(arguments.quick)


def benchmark_names() -> list[str]:
    """The benchmarks: one for each file in ``benchmarks/``, with dashes."""
    files = sorted(FOLDER.glob('*.py'))
    return [file.stem.replace('_', '-') for file in files if not file.stem.startswith('_')]


def load_benchmark(name: str) -> Callable[[bool], None]:
    """Return the function ``run(quick)`` of a benchmark's file.

    The file is loaded by its path: ``benchmarks/mlflow.py`` must not hide the package mlflow.
    """
    path = FOLDER / f'{name.replace("-", "_")}.py'
    spec = importlib.util.spec_from_file_location(f'benchmark_{path.stem}', path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look their module up
    spec.loader.exec_module(module)
    run: Callable[[bool], None] = module.run
    return run


if __name__ == '__main__':
    sys.exit(run_tool(main))
