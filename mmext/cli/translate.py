"""``mmext translate``: photos of another domain, or from label maps."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mmext.cli.arguments import add_score_threshold, add_trust, trust_checkpoints
from mmext.configuration import load_config
from mmext.errors import InputError
from mmext.formats.json_files import read_json
from mmext.host import import_mmdet
from mmext.inference.checkpoints import check_exists
from mmext.inference.output_places import check_output_folder

SUMMARY = 'photos or videos in another domain, annotations with them; photos from label maps'


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(description=SUMMARY)
    parser.add_argument('config', help='config of the translator')
    parser.add_argument('checkpoint', help='its weights, or those of a converted generator')
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument('--data', metavar='PLACE', help='an image, a folder, or a video')
    source.add_argument(
        '--split', choices=('train', 'val', 'test'),
        help='of the config: photos from the label maps of its data set',
    )  # fmt: skip
    parser.add_argument('--out', type=Path, required=True, help='folder of the results')
    parser.add_argument('--direction', choices=('ab', 'ba'), help='of two domains (default: ab)')
    parser.add_argument('--ann', type=Path, metavar='FILE', help='COCO annotations to go along')
    parser.add_argument(
        '--check', nargs=2, metavar=('CONFIG', 'CHECKPOINT'),
        help='a detector that knows both domains says which objects of --ann vanished',
    )  # fmt: skip
    parser.add_argument('--device', default='auto', help='as cpu or cuda:0 (default: auto)')
    add_score_threshold(parser)
    add_trust(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Translate as the command line says.

    Raises:
        InputError: options that do not fit, or a file that is not there.
    """
    arguments = build_parser().parse_args(argv)
    if arguments.check and not (arguments.ann and arguments.data):
        raise InputError('--check compares the objects of --ann in --data: give both')
    for file in (arguments.ann, arguments.checkpoint, *(arguments.check or ())[1:]):
        if file is not None:
            check_exists(str(file))
    check_output_folder('--out', arguments.out)
    trust_checkpoints(arguments)
    import_mmdet()
    if arguments.split:
        _make_from_maps(arguments)
    else:
        _translate_pictures(arguments)
    if arguments.check:
        _check(arguments)
    elif arguments.ann:
        from mmext.inference.translation import copy_annotations

        print(f'annotations: {copy_annotations(arguments.ann, arguments.out)}')


def _translate_pictures(arguments: argparse.Namespace) -> None:
    from mmext.inference.media import open_source
    from mmext.inference.translation import translate_source, translating
    from mmext.translation.batch_augment import load_translator

    source = open_source(arguments.data)
    model = load_translator(arguments.config, arguments.checkpoint, arguments.direction)
    made, there = translate_source(
        source, arguments.out, translating(model, _device(arguments.device))
    )
    for line in source.skipped:
        print(f'skipped: {line}', file=sys.stderr)
    left = f', {there} were there already' if there else ''
    print(f'{arguments.out}: {made} translated{left}')


def _make_from_maps(arguments: argparse.Namespace) -> None:
    from mmext.inference.translation import translate_maps
    from mmext.translation.frozen_model import frozen_model

    model, _ = frozen_model(arguments.config, arguments.checkpoint, parts=('generator',))
    config = load_config(arguments.config)
    made = translate_maps(config, arguments.split, model, arguments.out, _device(arguments.device))
    print(f'{arguments.out}: {made} made from maps')


def _check(arguments: argparse.Namespace) -> None:
    from mmext.inference.prediction import load_predictor
    from mmext.inference.translation import checked_annotations, copy_annotations, detecting

    config, checkpoint = arguments.check
    predictor = load_predictor(load_config(config), checkpoint, arguments.device)
    content = read_json(arguments.ann)
    folders = Path(arguments.data), arguments.out
    detect = detecting(predictor, arguments.score_thr)
    kept, safety = checked_annotations(content, predictor.classes, folders, detect)
    rows = safety.table(tuple(predictor.classes))
    table = Table(*rows[0], title=f'label safety, {safety.pictures} pictures')
    for row in rows[1:]:
        table.add_row(*row)
    Console().print(table)
    left_out = len(content['annotations']) - len(kept['annotations'])
    place = copy_annotations(arguments.ann, arguments.out, kept)
    report = place.with_name('label_safety.json')
    counts = {
        name: vars(each) for name, each in zip(predictor.classes, safety.classes, strict=True)
    }
    report.write_text(json.dumps(dict(pictures=safety.pictures, classes=counts), indent=1), 'utf-8')
    print(f'annotations: {place}, {left_out} objects left out; counts: {report}')


def _device(name: str) -> str:
    import torch

    if name != 'auto':
        return name
    return 'cuda' if torch.cuda.is_available() else 'cpu'
