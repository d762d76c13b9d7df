"""Look at the data of a config before a training: what it holds, what is wrong, how it looks.

mmext check configs/upsnet.py
mmext check configs/upsnet.py --out report               # and report/report.html with pictures
mmext check configs/upsnet.py --no-photos                # the annotations alone

For each data set of the config: images, objects, classes, sizes, what is left out and why; photos
that are missing, broken, of another size, or in two sets; boxes against the pixels of their masks.
Ends with code 2 and one line where a training would stop.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

import mmext  # noqa: F401 - makes `_base_ = 'mmext::...'` known
from mmext.cli.arguments import add_cfg_options
from mmext.configuration import load_config
from mmext.errors import InputError, run_tool
from mmext.host import import_mmdet
from mmext.host_repairs.configs import adapt_config
from mmext.pipelines.data_checks import check_data

LOOPS = ('train', 'val', 'test')


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    add_cfg_options(parser)
    parser.add_argument(
        '--splits', nargs='+', choices=LOOPS, help='data sets to look at (default: all)'
    )
    parser.add_argument(
        '--checkpoint', metavar='FILE', help='compare the classes with those it was trained on'
    )
    parser.add_argument(
        '--out', type=Path, metavar='DIR', help='write report.html, report.json and the sheets'
    )
    parser.add_argument(
        '--no-photos',
        action='store_true',
        help='open no photo, but those of the sheets; compare the masks of 5000 images alone',
    )
    parser.add_argument(
        '--samples', type=int, default=12, help='pictures of a sheet; 0: none (default 12)'
    )
    parser.add_argument(
        '--threads', type=int, default=os.cpu_count() or 1, help='to open photos with'
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Look as the command line says.

    Raises:
        InputError: a training of the config would stop.
    """
    parser = build_parser()
    arguments = parser.parse_args(argv)
    for name, least in (('samples', 0), ('threads', 1)):
        if getattr(arguments, name) < least:
            parser.error(f'--{name}: expected {least} or more, got {getattr(arguments, name)}')
    if arguments.out and arguments.out.exists() and not arguments.out.is_dir():
        raise InputError(f'--out: {arguments.out} is a file; name a folder')
    config = load_config(arguments.config, arguments.cfg_options)
    for line in adapt_config(config, single_process=True):  # the data sets of a training
        print(line)
    loops = _loops(config, arguments.splits)
    try:
        check_data(config, loops)
    except InputError as error:
        loops = [loop for loop in loops if loop != 'test']
        if arguments.splits or not loops:
            raise
        check_data(config, loops)  # a training needs no test set
        print(f'not looked at: {error}', file=sys.stderr)
    learned = None if arguments.checkpoint is None else _learned_classes(arguments.checkpoint)
    _report(config, loops, learned, arguments)


def _loops(config: Config, wanted: Sequence[str] | None) -> list[str]:
    there = [loop for loop in LOOPS if config.get(f'{loop}_dataloader') is not None]
    lacking = [loop for loop in wanted or () if loop not in there]
    if lacking or not there:
        raise InputError(f'the config has no {(lacking or LOOPS)[0]}_dataloader: nothing to check')
    return [loop for loop in there if loop in (wanted or LOOPS)]


def _learned_classes(path: str) -> Any:
    from mmext.inference.checkpoints import load_checkpoint

    meta = load_checkpoint(path).get('meta') or {}
    classes = {k.lower(): v for k, v in (meta.get('dataset_meta') or {}).items()}.get('classes')
    if not classes:
        raise InputError(f'--checkpoint {path} does not say which classes it was trained on')
    return classes


def _report(
    config: Config, loops: Sequence[str], learned: Any, arguments: argparse.Namespace
) -> None:
    import_mmdet()  # takes seconds: after everything that can be checked without it
    from mmengine.registry import init_default_scope

    from mmext.data_report.files import write_report
    from mmext.data_report.report import Options, check_config
    from mmext.data_report.terminal import print_report
    from mmext.progress import progress_bar

    init_default_scope(config.get('default_scope', 'mmdet'))
    samples = arguments.samples if arguments.out else 0
    options = Options(loops, not arguments.no_photos, arguments.threads, samples)
    report = check_config(config, options, progress_bar, learned)
    print_report(report)
    if arguments.out:
        print(f'{write_report(report, arguments.out)} has it with pictures')
    if report.reason_to_stop is not None:
        raise InputError(report.reason_to_stop)


if __name__ == '__main__':
    sys.exit(run_tool(main))
