"""Command line: ``python -m mmext.demo panoptic --out data/demo_panoptic``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mmext.demo.faces import write_face_dataset
from mmext.demo.panoptic import write_panoptic_dataset
from mmext.demo.video import write_video_dataset


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the data set that the arguments name; 0 if it is there at the end."""
    options = _parser().parse_args(arguments)
    try:
        _write_set(options)
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
    panoptic.set_defaults(write=write_panoptic_dataset, unit='pictures')
    video = sets.add_parser(
        'video',
        help='video panoptic files of clips in which things move, cross, enter and leave',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    video.add_argument('--out', type=Path, required=True, help='folder of the set')
    video.add_argument('--train', type=int, default=100, help='clips to train on')
    video.add_argument('--val', type=int, default=16, help='held-out clips')
    video.add_argument('--seed', type=int, default=0, help='decides about every clip')
    video.add_argument('--size', type=_size, default='192x128', help='pixels: SIDE or WIDTHxHEIGHT')
    video.add_argument('--overwrite', action='store_true', help='replace a generated set')
    video.set_defaults(write=write_video_dataset, unit='clips')
    faces = sets.add_parser(
        'faces',
        help="WIDER FACE's files of people: boxes, landmarks, mesh and attributes of their faces",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    faces.add_argument('--out', type=Path, required=True, help='folder of the set')
    faces.add_argument('--train', type=int, default=600, help='pictures to train on')
    faces.add_argument('--val', type=int, default=120, help='held-out pictures')
    faces.add_argument('--seed', type=int, default=0, help='decides about every picture')
    faces.add_argument('--size', type=_size, default='256', help='pixels: SIDE or WIDTHxHEIGHT')
    faces.add_argument('--overwrite', action='store_true', help='replace a generated set')
    faces.set_defaults(write=write_face_dataset, unit='pictures')
    return parser


def _size(text: str) -> tuple[int, int]:
    """'128' or '160x128' as (width, height)."""
    width, _, height = text.partition('x')
    try:
        return int(width), int(height or width)
    except ValueError:
        raise argparse.ArgumentTypeError(f'expected SIDE or WIDTHxHEIGHT, got {text}') from None


def _write_set(options: argparse.Namespace) -> None:
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(options.unit, total=options.train + options.val)
        demo = options.write(
            options.out,
            num_train=options.train,
            num_val=options.val,
            image_size=options.size,
            seed=options.seed,
            overwrite=options.overwrite,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    state = 'written' if demo.written else 'there already'
    print(
        f'{demo.root}: {options.train} + {options.val} {options.unit}, {state} ({demo.digest[:12]})'
    )


if __name__ == '__main__':
    sys.exit(main())
