"""Compare detectors on COCO, or measure parts of mmext against their references.

python tools/benchmark.py coco CONFIG[=CHECKPOINT] ...
python tools/benchmark.py night --seeds 3
python tools/benchmark.py super-resolution
python tools/benchmark.py rare-class
python tools/benchmark.py all --quick
python tools/benchmark.py all --publish       # docs/benchmarks.json and the table of the README
"""

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import mmext  # noqa: F401 - makes `_base_ = 'mmext::...'` known
from mmext.benchmark.components import measure_file, measure_file_in_new_process
from mmext.benchmark.publication import Measured, end_to_end_first, publish, save
from mmext.benchmark.rows import table
from mmext.cli import benchmark_arguments as coco
from mmext.errors import InputError, run_tool

FOLDER = Path(__file__).parent / 'benchmarks'


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    commands = parser.add_subparsers(dest='name', required=True, metavar='NAME')
    comparison = commands.add_parser(
        'coco', help='compare detectors', description=coco.COCO_HELP, formatter_class=raw
    )
    coco.add_coco_arguments(comparison)
    comparison.set_defaults(run=coco.run_coco)
    night = commands.add_parser('night', help='a detector by day and at night, and what helps')
    coco.add_night_arguments(night)
    night.set_defaults(run=coco.run_night)
    larger = commands.add_parser('super-resolution', help='larger pictures, for a detector')
    coco.add_super_resolution_arguments(larger)
    larger.set_defaults(run=coco.run_super_resolution)
    rare = commands.add_parser('rare-class', help='a class with few examples, and made ones')
    coco.add_rare_class_arguments(rare)
    rare.set_defaults(run=coco.run_rare_class)
    again = commands.add_parser('show', help='print results of coco again')
    coco.add_show_arguments(again)
    again.set_defaults(run=coco.run_show)
    for name in [*benchmark_names(), 'all']:
        file = benchmark_file(name).stem
        component = commands.add_parser(
            name,
            aliases=[file] if file != name else [],
            help='every benchmark above' if name == 'all' else f'benchmarks/{file}.py',
        )
        add_component_arguments(component)
        component.set_defaults(run=run_components, component=name)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Run what the command line names."""
    arguments = build_parser().parse_args(argv)
    arguments.run(arguments)


def add_component_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of component benchmarks."""
    parser.add_argument('--quick', action='store_true', help='small sizes, few repetitions')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the rows there')
    parser.add_argument(
        '--publish',
        action='store_true',
        help='write docs/benchmarks.json and generate the table of the README from it',
    )


def run_components(arguments: argparse.Namespace) -> None:
    """Run one component benchmark, or all, each in a process of its own.

    One that fails does not keep the others from running; what is finished is written at once.
    """
    if arguments.publish and arguments.quick:
        raise InputError('--publish: small sizes prove nothing, leave --quick out')
    alone = arguments.component != 'all'
    names = [arguments.component] if alone else benchmark_names()
    measure = measure_file if alone else measure_file_in_new_process
    results: dict[str, Measured] = {}
    failed: list[str] = []
    for name in names:
        print(f'== {name}', flush=True)
        try:
            results[name] = measure(benchmark_file(name), arguments.quick)
        except Exception:
            if alone:
                raise
            traceback.print_exc()
            failed.append(name)
            continue
        print(table(results[name].rows), flush=True)
        if arguments.json:
            save(results, arguments.json)
        if arguments.publish:
            publish({name: results[name]}, FOLDER.parents[1])
    if failed:
        raise RuntimeError(f'{len(failed)} of {len(names)} benchmarks failed: {", ".join(failed)}')


def benchmark_names() -> list[str]:
    """The benchmarks: one for each file in ``benchmarks/``, with dashes; end to end first."""
    files = [file for file in FOLDER.glob('*.py') if not file.stem.startswith('_')]
    return end_to_end_first(file.stem.replace('_', '-') for file in files)


def benchmark_file(name: str) -> Path:
    """The file of a benchmark."""
    return FOLDER / f'{name.replace("-", "_")}.py'


if __name__ == '__main__':
    sys.exit(run_tool(main))
