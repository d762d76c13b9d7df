"""``mmext explain errors``: what is wrong in an index, and what of the training it looks like."""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmext.cli.explain.arguments import add_drawing_of_chance, add_out, positive
from mmext.host import import_mmdet

if TYPE_CHECKING:
    from mmext.explain.error_report import Neighbors
    from mmext.explain.object_index import ObjectIndex
    from mmext.explain.page import Section

SUMMARY = 'wrong and missed detections by kind, beside their nearest training truths; label noise'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument('index', type=Path, help='folder that mmext explain index has made')
    parser.add_argument(
        '--train', type=Path, metavar='DIR', help='index of the training data (default: the same)'
    )
    add_out(parser, 'explained_errors')
    parser.add_argument('-k', type=positive, default=8, help='neighbours of each (default 8)')
    parser.add_argument(
        '--shown', type=positive, default=24, help='errors in a sheet, surest first (default 24)'
    )
    add_drawing_of_chance(parser)


def run(arguments: argparse.Namespace) -> None:
    """Report as the command line says.

    Raises:
        InputError: there is no index, or the two are of different detectors.
    """
    import_mmdet()
    from mmext.explain.error_report import beside, counts, groups, label_noise, wrong_rows
    from mmext.explain.errors import KINDS
    from mmext.explain.object_index import ObjectIndex
    from mmext.explain.page import Section, page
    from mmext.inference.output_places import check_output_folder

    check_output_folder('--out', arguments.out)
    index = ObjectIndex(arguments.index)
    train = index if arguments.train is None else ObjectIndex(arguments.train)
    rows = wrong_rows(index)
    found = beside(index, rows, train, arguments.k)
    numbers, noise = counts(index), label_noise(train, arguments.k)
    grouped = groups(index, arguments.seed)
    line = ', '.join(f'{numbers[kind]} {kind}' for kind in KINDS if numbers[kind]) or 'no errors'
    sections = [
        Section(
            'Errors', texts=[f'{line}; of {index.count} objects'], columns=('group', 'surest'),
            rows=[(g.title, f'{index.records[g.rows[0]]["score"] or 0:.2f}') for g in grouped],
        ),
        *_shown('The surest errors, each beside its nearest training truths', found, train,
                arguments.shown),
        *_shown('Labels to look at: truths whose nearest truths are of another class', noise,
                train, arguments.shown),
    ]  # fmt: skip
    arguments.out.mkdir(parents=True, exist_ok=True)
    _write(arguments.out / 'errors.csv', found, train)
    _write(arguments.out / 'label_noise.csv', noise, train)
    report = arguments.out / 'report.html'
    report.write_text(page('What is wrong', sections), 'utf-8')
    print(f'{line}; {len(noise)} labels to look at')
    for group in grouped[:10]:
        print(f'  {group.title}')
    print(report)


def _shown(
    title: str, found: 'Sequence[Neighbors]', train: 'ObjectIndex', most: int
) -> 'list[Section]':
    from mmext.drawing.contact_sheet import contact_sheet
    from mmext.explain.crops import TILE_PX, crop_of, words_of
    from mmext.explain.page import Section
    from mmext.explain.sheets import jpeg

    if not found:
        return []
    import numpy as np

    columns = 1 + max(len(each.rows) for each in found[:most])
    tiles, captions = [], []
    for each in found[:most]:
        tiles.append(crop_of(each.record))
        captions.append((str(each.record['error']), ' '.join(words_of(each.record))))
        for row, cosine in zip(each.rows, each.cosines, strict=True):
            tiles.append(crop_of(train.records[row]))
            captions.append((f'{cosine:.2f}', str(train.records[row]['truth'])))
        for _ in range(columns - 1 - len(each.rows)):
            tiles.append(np.full((TILE_PX, TILE_PX, 3), 255, np.uint8))
            captions.append(('', ''))
    text = f'{min(most, len(found))} of {len(found)}; the first of each row, then its neighbours'
    sheet = jpeg(contact_sheet(tiles, captions, columns), 1100)
    return [Section(title, texts=[text], pictures=[(sheet, '')])]


def _write(file: Path, found: 'Sequence[Neighbors]', train: 'ObjectIndex') -> None:
    with file.open('w', newline='', encoding='utf-8') as lines:
        writer = csv.writer(lines)
        writer.writerow(('image', 'box', 'error', 'truth', 'predicted', 'score', 'iou',
                         'neighbours', 'of'))  # fmt: skip
        for each in found:
            record = each.record
            classes = ' '.join(str(train.records[row]['truth']) for row in each.rows)
            images = ' '.join(Path(train.records[row]['image']).name for row in each.rows)
            writer.writerow(
                (record['image'], record['box'], record['error'], record['truth'],
                 record['predicted'], record['score'], record['iou'], classes, images)
            )  # fmt: skip
