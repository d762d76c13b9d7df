"""Write a config for a detector on your own COCO files: classes and counts are filled in.

mmext new centernet --train data/mine/all_train.json --val data/mine/all_val.json --photos photos/
mmext new centernet_small --train ... --val ... --photos ...    # learns on a CPU in 15 minutes
mmext new centernet/pose-dla34_140e_coco --train ... --val ... --photos ...    # for key points
mmext new upsnet --train ... --val ... --photos ...     # panoptic files of mmext import --stuff
mmext new mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py --train ... --val ... --photos ...
mmext new centernet --all data/mine/all.json --folds 5 --group folder --photos photos/

With --folds each image is held out once: k pairs of files beside the one that is named, and k
configs, whose runs MLflow shows below one another. Images of one --group are never apart: of a
folder, or of what a pattern finds in the file name, as '(.*)_' for frames of one video.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

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
    parser.add_argument('--train', type=Path, metavar='FILE.json')
    parser.add_argument('--val', type=Path, metavar='FILE.json')
    parser.add_argument('--all', type=Path, metavar='FILE.json', help='to be shared out by --folds')
    parser.add_argument('--folds', type=int, metavar='K', help='2 or more')
    parser.add_argument('--group', metavar='folder|PATTERN', help='what --folds keeps together')
    parser.add_argument('--seed', type=int, default=0, help='of the draw of --folds')
    parser.add_argument('--photos', type=Path, required=True, metavar='DIR')
    parser.add_argument('--out', type=Path, default=Path('my_config.py'), metavar='FILE.py')
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Write the config, or one for each fold, as the command line says."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    in_folds = arguments.folds is not None
    if in_folds != (arguments.all is not None) or in_folds == bool(arguments.train):
        parser.error('name --train and --val, or --all and --folds')
    if bool(arguments.train) != bool(arguments.val):
        parser.error('name both --train and --val')
    if not arguments.photos.is_dir():
        raise InputError(f'--photos: no folder {arguments.photos.absolute()}')
    base = arguments.base
    if '::' not in base and not base.endswith('.py'):
        base = f'mmext::{base}.py'
    config = load_config(base)
    import_mmdet()
    if in_folds:
        write_fold_configs(base, config, arguments)
        return

    from mmext.cli.own_data import classes_of, config_text
    from mmext.cli.own_photos import check_photos

    classes = classes_of(arguments.train)
    if strangers := sorted(set(classes_of(arguments.val)) - set(classes)):
        raise InputError(
            f'{arguments.val}: has classes that {arguments.train} lacks: {strangers[:8]}'
        )
    for file in (arguments.train, arguments.val):
        check_photos(file, arguments.photos)
    text = config_text(base, config, (arguments.train, arguments.val), arguments.photos)
    write_new(arguments.out, text)
    print(f'{arguments.out}: {len(classes)} classes, based on {base}. Next:')
    print(f'  mmext check {arguments.out}\n  mmext train {arguments.out}')


def write_fold_configs(base: str, config: Config, arguments: argparse.Namespace) -> None:
    """Write the files and the config of each fold."""
    from mmext.cli.own_data import classes_of, config_text
    from mmext.cli.own_folds import write_folds
    from mmext.cli.own_panoptic import folder_of
    from mmext.cli.own_photos import check_photos

    out, source = arguments.out, arguments.all
    pngs = folder_of(source)  # of a panoptic file: one folder for all folds
    classes = classes_of(source, pngs)
    if source.suffix != '.json':
        raise InputError(f'--all {source}: folds are made of COCO files (.json)')
    outs = [out.with_stem(f'{out.stem}_fold{n}') for n in range(1, arguments.folds + 1)]
    check_photos(source, arguments.photos)
    if there := next((path for path in outs if path.exists()), None):
        raise InputError(f'--out: {there} is there already')
    folds = write_folds(source, arguments.folds, arguments.group, arguments.seed)
    group = f'{out.stem}, {len(folds)} folds'
    hook = f'dict(type="mmext.MLflowHook", experiment={out.stem!r}, parent={group!r})'
    for path, fold in zip(outs, folds, strict=True):
        text = config_text(base, config, (fold.train, fold.val), arguments.photos, pngs)
        write_new(path, f'{text}default_hooks = dict(mlflow={hook})\n')
        lacking = f', no object of {", ".join(fold.missing)[:100]} held out' if fold.missing else ''
        print(f'{path}: {fold.images[0]} images to learn from, {fold.images[1]} held out{lacking}')
    print(f'{len(classes)} classes, based on {base}. Next, for each:')
    print(f'  mmext train {outs[0]} --mlflow sqlite:///mlflow.db')


def write_new(path: Path, text: str) -> None:
    """Write a config that is not there yet."""
    if path.exists():
        raise InputError(f'--out {path}: is there already')
    path.write_text(text, 'utf-8')


if __name__ == '__main__':
    sys.exit(run_tool(main))
