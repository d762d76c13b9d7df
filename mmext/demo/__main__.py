"""Command line: ``python -m mmext.demo panoptic --out data/demo_panoptic``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mmext.demo.panoptic import write_panoptic_dataset


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the data set that the arguments name; 0 if it is there at the end."""
    options = _parser().parse_args(arguments)
    try:
        _write_panoptic(options)
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='python -m mmext.demo', description=__doc__)
    sets = parser.add_subparsers(required=True, metavar='SET')
    panoptic = sets.add_parser(
        'panoptic',
        help='COCO panoptic and instances files of little landscapes',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    panoptic.add_argument('--out', type=Path, required=True, help='folder of the set')
    panoptic.add_argument('--train', type=int, default=800, help='pictures to train on')
    panoptic.add_argument('--val', type=int, default=120, help='held-out pictures')
    panoptic.add_argument('--seed', type=int, default=0, help='decides about every picture')
    panoptic.add_argument('--size', type=_size, default='128', help='pixels: SIDE or WIDTHxHEIGHT')
    panoptic.add_argument('--overwrite', action='store_true', help='replace a generated set')
    return parser


def _size(text: str) -> tuple[int, int]:
    """'128' or '160x128' as (width, height)."""
    width, _, height = text.partition('x')
    try:
        return int(width), int(height or width)
    except ValueError:
        raise argparse.ArgumentTypeError(f'expected SIDE or WIDTHxHEIGHT, got {text}') from None


def _write_panoptic(options: argparse.Namespace) -> None:
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task('pictures', total=options.train + options.val)
        demo = write_panoptic_dataset(
            options.out,
            num_train=options.train,
            num_val=options.val,
            image_size=options.size,
            seed=options.seed,
            overwrite=options.overwrite,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    state = 'written' if demo.written else 'there already'
    print(f'{demo.root}: {options.train} + {options.val} pictures, {state} ({demo.digest[:12]})')


if __name__ == '__main__':
    sys.exit(main())
