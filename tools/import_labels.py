"""Write the export of a labeling tool as COCO files, for training and validation.

mmext import yolo data/export --out data/mine/train.json
mmext import labelme data/export --out data/mine/all.json --val-share 0.2
mmext import cvat export/annotations.xml --photos photos/ --out data/mine/train.json
mmext import cvat export/ --stuff sky road --out data/mine/panoptic.json --val-share 0.2

Boxes, outlines, painted masks and key points are taken over; what COCO cannot hold is counted.
With --stuff the files are COCO panoptic ones, with a folder NAME/ of PNGs beside NAME.json: each
pixel belongs to one outline at most, things lie over stuff, later objects over earlier ones.
With --out NAME.txt the objects are faces, written with their five landmarks for RetinaFace.
With --val-share two files are written, NAME_train.json and NAME_val.json. Photos stay where they
are: the names in the files are relative to the folder that is printed, which is data_prefix.img.
"""

import argparse
import importlib
import json
import os
import random
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from mmext.errors import InputError, run_tool
from mmext.formats.exports.coco_content import class_names, coco_content
from mmext.formats.exports.face_content import faces_of
from mmext.formats.exports.key_points import point_tables
from mmext.formats.exports.labeled import LabeledPhoto
from mmext.formats.exports.panoptic_content import panoptic_content
from mmext.formats.folds import groups_of
from mmext.formats.wider_face_files import write_faces

FORMATS = ('yolo', 'voc', 'labelme', 'cvat', 'label_studio')


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('format', choices=FORMATS, help='the tool, or its format')
    parser.add_argument('source', type=Path, help='folder or file of the export')
    parser.add_argument(
        '--out', type=Path, required=True, metavar='FILE', help='NAME.json or NAME.txt'
    )
    parser.add_argument('--photos', type=Path, metavar='DIR', help='where the photos are')
    parser.add_argument('--split', default='train', help='of exports that have some: train, val')
    parser.add_argument(
        '--classes', nargs='+', metavar='NAME', help='in the order of the labels (default: found)'
    )
    parser.add_argument(
        '--points', nargs='+', metavar='NAME', help='key points in their order (default: by name)'
    )
    parser.add_argument(
        '--stuff', nargs='+', metavar='CLASS', help='panoptic files: the classes that are no things'
    )
    parser.add_argument(
        '--val-share', type=float, metavar='0..1', help='of the photos, for a second file'
    )
    parser.add_argument(
        '--group',
        metavar='folder|PATTERN',
        help='what --val-share keeps together: a folder, or what a pattern finds in the file name',
    )
    parser.add_argument('--seed', type=int, default=0, help='of the draw for it')
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Convert as the command line says."""
    arguments = build_parser().parse_args(argv)
    if arguments.val_share is not None and not 0 < arguments.val_share < 1:
        raise InputError(
            f'--val-share: expected more than 0 and less than 1, got {arguments.val_share}'
        )
    if arguments.out.suffix not in ('.json', '.txt'):
        raise InputError(f'--out: expected NAME.json, or NAME.txt for faces, got {arguments.out}')
    for path in (arguments.source, arguments.photos):
        if path is not None and not path.exists():
            raise InputError(f'{path.absolute()} is not there')
    reader = importlib.import_module(f'mmext.formats.exports.{arguments.format}')
    export = reader.read(arguments.source, arguments.split, arguments.photos)
    if not export.photos:
        reasons = ', '.join(f'{count} {what}' for what, count in export.left_out.items())
        raise InputError(
            f'{arguments.source}: no photo found ({reasons or "the export is empty"}): '
            'name their folder with --photos'
        )
    classes = class_names(export, arguments.classes)
    points = point_tables(export, arguments.points)
    root = Path(os.path.commonpath([photo.path.resolve().parent for photo in export.photos]))
    shares = _shares(export.photos, root, arguments)
    for file, photos in shares:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == '.txt':
            faces = faces_of(export, photos, points, root)
            write_faces(file, faces, 'labelv2')
            print(f'{file}: {len(photos)} photos, {sum(map(len, faces))} faces')
            continue
        if arguments.stuff:
            pngs = file.with_suffix('')
            content = panoptic_content(export, photos, classes, arguments.stuff, root, pngs)
            count = sum(len(each['segments_info']) for each in content['annotations'])
            print(f'{file}, PNGs in {pngs}: {len(photos)} photos, {count} segments')
        else:
            content = coco_content(export, photos, classes, root, points)
            print(f'{file}: {len(photos)} photos, {len(content["annotations"])} objects')
        file.write_text(json.dumps(content), 'utf-8')
    for what, count in export.left_out.items():
        print(f'left out: {count} {what}')
    for name, table in points.items() if not arguments.stuff else ():
        print(f'key points of {name}: {", ".join(table.names)}')
    print(f'classes: {", ".join(classes)}\nphotos are below {root} (data_prefix.img). Next:')
    print(f'  {_next_command([file for file, _ in shares], root, bool(points), arguments)}')


def _next_command(
    files: Sequence[Path], photos: Path, has_points: bool, arguments: argparse.Namespace
) -> str:
    """How a config is made of what was written."""
    system = 'upsnet' if arguments.stuff else 'centernet'
    if files[0].suffix == '.txt':
        system = 'retinaface'
    elif has_points and not arguments.stuff:
        system = 'centernet/pose-dla34_140e_coco'
    named = ['--all', str(files[0]), '--folds', '5']
    if len(files) == 2:
        named = ['--train', str(files[0]), '--val', str(files[1])]
    hint = '    # centernet_small: on a CPU' if system == 'centernet' else ''
    return shlex.join(['mmext', 'new', system, *named, '--photos', str(photos)]) + hint


def _shares(
    photos: list[LabeledPhoto], root: Path, arguments: argparse.Namespace
) -> list[tuple[Path, list[LabeledPhoto]]]:
    """The files to write and their photos."""
    out = arguments.out
    if arguments.val_share is None:
        return [(out, photos)]
    wanted = min(max(1, round(len(photos) * arguments.val_share)), len(photos) - 1)
    if wanted < 1:
        raise InputError('--val-share: one photo cannot be shared between two files')
    groups: dict[str, list[int]] = {}
    names = [Path(os.path.relpath(photo.path, root)).as_posix() for photo in photos]
    for index, group in enumerate(groups_of(names, arguments.group)):
        groups.setdefault(group, []).append(index)
    drawn = list(groups.values())
    if len(drawn) < 2:
        raise InputError(f'--group {arguments.group}: all photos are one group')
    random.Random(arguments.seed).shuffle(drawn)
    chosen: set[int] = set()
    for members in drawn[:-1]:  # one group at least is left to learn from
        if len(chosen) < wanted:
            chosen.update(members)
    parts = {'train': set(range(len(photos))) - chosen, 'val': chosen}
    return [
        (out.with_stem(f'{out.stem}_{name}'), [photos[index] for index in sorted(part)])
        for name, part in parts.items()
    ]


if __name__ == '__main__':
    sys.exit(run_tool(main))
