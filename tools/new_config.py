"""Write a config for a detector on your own COCO files: classes and counts are filled in.

mmext new centernet --train data/mine/all_train.json --val data/mine/all_val.json --photos photos/
mmext new centernet/pose-dla34_140e_coco --train ... --val ... --photos ...    # for key points
mmext new upsnet --train ... --val ... --photos ...     # panoptic files of mmext import --stuff
mmext new mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py --train ... --val ... --photos ...
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import mmext  # noqa: F401 - makes `mmext::` known
from mmext.configuration import load_config
from mmext.errors import InputError, run_tool
from mmext.host import import_mmdet


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'base', help='a headline config of ours by name, or any as mmdet::FAMILY/CONFIG.py'
    )
    parser.add_argument('--train', type=Path, required=True, metavar='FILE.json')
    parser.add_argument('--val', type=Path, required=True, metavar='FILE.json')
    parser.add_argument('--photos', type=Path, required=True, metavar='DIR')
    parser.add_argument('--out', type=Path, default=Path('my_config.py'), metavar='FILE.py')
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Write the config as the command line says."""
    arguments = build_parser().parse_args(argv)
    if arguments.out.exists():
        raise InputError(f'--out {arguments.out}: is there already')
    if not arguments.photos.is_dir():
        raise InputError(f'--photos: no folder {arguments.photos.absolute()}')
    base = arguments.base
    if '::' not in base and not base.endswith('.py'):
        base = f'mmext::{base}.py'
    config = load_config(base)
    import_mmdet()

    from mmext.cli.own_data import classes_of, config_text

    classes = classes_of(arguments.train)
    if strangers := sorted(set(classes_of(arguments.val)) - set(classes)):
        raise InputError(
            f'{arguments.val}: has classes that {arguments.train} lacks: {strangers[:8]}'
        )
    text = config_text(base, config, arguments.train, arguments.val, arguments.photos)
    arguments.out.write_text(text, 'utf-8')
    print(f'{arguments.out}: {len(classes)} classes, based on {base}. Next:')
    print(f'  mmext check {arguments.out}\n  mmext train {arguments.out}')


if __name__ == '__main__':
    sys.exit(run_tool(main))
