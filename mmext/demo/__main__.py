"""Command line: ``python -m mmext.demo panoptic --out data/demo_panoptic``."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mmext.demo.faces import write_face_dataset
from mmext.demo.figures import write_figure_dataset
from mmext.demo.panoptic import LIGHTS, write_panoptic_dataset
from mmext.demo.storage import GeneratedSet
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
    panoptic = _add_set(
        sets,
        write_panoptic_dataset,
        ('panoptic', 'COCO panoptic and instances files of little landscapes'),
        ('pictures', 800, 120, '128'),
    )
    panoptic.add_argument('--light', choices=LIGHTS, default='day', help='of the same scenes')
    panoptic.set_defaults(choices=('light',))
    _add_set(
        sets,
        write_video_dataset,
        ('video', 'video panoptic files of clips in which things move, cross, enter and leave'),
        ('clips', 100, 16, '192x128'),
    )
    _add_set(
        sets,
        write_face_dataset,
        (
            'faces',
            "WIDER FACE's files of people: boxes, landmarks, mesh, attributes of faces",
        ),
        ('pictures', 600, 120, '256'),
    )
    figures = _add_set(
        sets,
        write_figure_dataset,
        (
            'figures',
            "COCO's and DensePose's files of persons: joints, masks, surfaces; clips of walks",
        ),
        ('pictures', 600, 120, '192'),
    )
    figures.add_argument('--train-clips', type=int, default=16, help='clips to train on')
    figures.add_argument('--val-clips', type=int, default=4, help='held-out clips')
    figures.set_defaults(more=('train_clips', 'val_clips'))
    return parser


def _add_set(
    sets: Any,
    write: Callable[..., GeneratedSet],
    name_and_help: tuple[str, str],
    defaults: tuple[str, int, int, str],
) -> argparse.ArgumentParser:
    """The sub-command of a set; ``defaults`` are the unit, the sizes of both splits, the side."""
    (name, text), (unit, train, val, size) = name_and_help, defaults
    formatter = argparse.ArgumentDefaultsHelpFormatter
    parser = sets.add_parser(name, help=text, formatter_class=formatter)
    assert isinstance(parser, argparse.ArgumentParser)
    parser.add_argument('--out', type=Path, required=True, help='folder of the set')
    parser.add_argument('--train', type=int, default=train, help=f'{unit} to train on')
    parser.add_argument('--val', type=int, default=val, help=f'held-out {unit}')
    parser.add_argument('--seed', type=int, default=0, help=f'decides about all {unit}')
    parser.add_argument('--size', type=_size, default=size, help='pixels: SIDE or WIDTHxHEIGHT')
    parser.add_argument('--overwrite', action='store_true', help='replace a generated set')
    parser.set_defaults(write=write, unit=unit, more=(), choices=())
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
    more = {f'num_{name}': getattr(options, name) for name in options.more}
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        total = options.train + options.val + sum(more.values())
        task = bar.add_task(options.unit, total=total)
        demo = options.write(
            options.out,
            num_train=options.train,
            num_val=options.val,
            image_size=options.size,
            seed=options.seed,
            overwrite=options.overwrite,
            **more,
            **{name: getattr(options, name) for name in options.choices},
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    state = 'written' if demo.written else 'there already'
    print(
        f'{demo.root}: {options.train} + {options.val} {options.unit}, {state} ({demo.digest[:12]})'
    )


if __name__ == '__main__':
    sys.exit(main())
