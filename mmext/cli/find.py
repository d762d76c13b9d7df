"""``mmext find``: objects of an index, or of pictures, that fit a description."""

import argparse
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmext.cli.arguments import add_cfg_options, add_trust
from mmext.cli.explain.arguments import add_out, load_explainer, open_pictures, positive
from mmext.errors import InputError
from mmext.host import import_mmdet
from mmext.inference.output_places import check_output_folder, writing
from mmext.language.measured_tags import COLORS
from mmext.language.questions import answer, distinct_rows, parse_question, things_of
from mmext.language.search import Question, phrase_scores, query_vector
from mmext.language.table import TextTable, plain_name, read_table
from mmext.progress import progress_bar

if TYPE_CHECKING:
    from mmext.explain.object_index import ObjectIndex

SUMMARY = 'objects that fit a description in words, or are like another object'


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(description=SUMMARY)
    parser.add_argument(
        'where', help='folder that mmext explain index has made; or an image or a folder of images'
    )
    parser.add_argument('--text', default='', metavar='WORDS', help='what to look for')
    parser.add_argument(
        '--like', metavar='IMAGE:N', help='object N of an image of the index, or N of the index'
    )
    parser.add_argument('--minus', default='', metavar='WORDS', help='taken away from --like')
    parser.add_argument('--plus', default='', metavar='WORDS', help='added to --like')
    parser.add_argument(
        '--words', type=Path, metavar='FILE', help='table of words (default: its own)'
    )
    parser.add_argument(
        '--ask', default='', metavar='QUESTION',
        help='"how many red balls are left of the crate?", of each image',
    )  # fmt: skip
    parser.add_argument('--objects', choices=('truth', 'predicted', 'all'), default='all',
                        help='which objects of the index (default all)')  # fmt: skip
    parser.add_argument('--top', type=positive, default=20, help='how many (default 20)')
    add_out(parser, 'found')
    pictures = parser.add_argument_group('for images that are not indexed yet')
    pictures.add_argument('--checkpoint', help='trained weights')
    pictures.add_argument('--config', help='config file (default: the one in the checkpoint)')
    pictures.add_argument(
        '--score-thr', type=float, default=0.3, help='of detections (default 0.3)'
    )
    pictures.add_argument('--device', default='auto', help='cpu, cuda:0, ... (default: GPU if any)')
    add_cfg_options(parser)
    add_trust(parser)
    parser.set_defaults(allow_partial=False)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Find, print and draw as the command line says.

    Raises:
        InputError: no index, no pictures, no words, or nothing to look for.
    """
    arguments = build_parser().parse_args(argv)
    question = Question(arguments.text, arguments.minus, arguments.plus)
    if not arguments.ask:
        check_output_folder('--out', arguments.out)
    index = _open(arguments)
    words = _words(arguments, index)
    if arguments.ask:
        _ask(arguments, index, words)
        return
    if (found := _by_words(arguments, index, words)) is not None:
        _show(arguments.out, found, None)
        return
    like = None if arguments.like is None else place_of(arguments.like, index)
    vector = None if like is None else np.asarray(index.vectors[[like]][0], np.float32)
    query = query_vector(question, words, vector)
    if len(query) != index.width:
        raise InputError(
            f'{index.folder}: its vectors have {index.width} numbers, those of the words '
            f'{len(query)}'
        )
    wanted = np.array([arguments.objects in ('all', r['of']) for r in index.records], bool)
    left_out = [[like]] if like is not None else []
    rows, cosines = index.nearest(query[None], arguments.top, left_out, wanted)
    found = [
        dict(index.records[row], row=row, cosine=round(cosine, 4))
        for row, cosine in zip(rows[0].tolist(), cosines[0].tolist(), strict=True)
        if row >= 0
    ]
    _show(arguments.out, found, None if like is None else index.records[like])


def _by_words(
    arguments: argparse.Namespace, index: 'ObjectIndex', words: TextTable | None
) -> list[dict[str, Any]] | None:
    """What a phrase alone finds among words that can be judged; None: anything else is asked."""
    others = arguments.like or arguments.minus or arguments.plus
    if not arguments.text or others or words is None or words.scale_bias is None:
        return None
    table, phrase = words, arguments.text
    if table.vectors.shape[1] != index.width:
        raise InputError(
            f'{index.folder}: its vectors have {index.width} numbers, those of the words '
            f'{table.vectors.shape[1]}'
        )
    wanted = np.array([arguments.objects in ('all', r['of']) for r in index.records], bool)
    rows, scores = index.fitting(
        lambda block: phrase_scores(block, table, phrase), arguments.top, wanted
    )
    return [
        dict(index.records[row], row=row, probability=round(float(np.exp(score)), 4))
        for row, score in zip(rows.tolist(), scores.tolist(), strict=True)
        if row >= 0
    ]


def _ask(arguments: argparse.Namespace, index: 'ObjectIndex', words: TextTable | None) -> None:
    """Answer a question for each image of an index."""
    if words is None:
        raise InputError('--ask needs the words of the index, or --words')
    classes = [plain_name(name) for name in index.things]
    colors = [name for name in words.names if plain_name(name) in COLORS]
    known = [name for name in classes if name in map(plain_name, words.names)]
    question = parse_question(arguments.ask, known, colors)
    kinds = {record['of'] for record in index.records}
    asked = 'predicted' if 'predicted' in kinds else 'truth'  # never an object twice
    asked = asked if arguments.objects == 'all' else arguments.objects
    rows_of: dict[str, list[int]] = {}
    for row, record in enumerate(index.records):
        rows = rows_of.setdefault(record['image'], [])
        if record['of'] == asked:
            rows.append(row)
    for image, rows in rows_of.items():
        boxes = np.array([index.records[row]['box'] for row in rows], float).reshape(-1, 4)
        scores = [index.records[row]['score'] or 0.0 for row in rows]
        if asked == 'predicted':
            kept = distinct_rows(boxes, scores)
            boxes = np.asarray(boxes[kept]).reshape(-1, 4)
            rows = [rows[place] for place in kept]
        vectors = np.asarray(index.vectors[rows], np.float32)
        things = things_of(vectors, boxes, words, {'class': known, 'color': colors})
        print(f'{answer(question, things):8}  {image}')
    if bare := int(index.meta['pictures']) - len(rows_of):
        print(f'{answer(question, ()):8}  {bare} images without objects in the index')


def place_of(text: str, index: 'ObjectIndex') -> int:
    """The row of the object that ``IMAGE:N`` or ``N`` names.

    Raises:
        InputError: there is none.
    """
    name, _, number = text.rpartition(':')
    if not number.isdigit():
        raise InputError(f'--like {text}: expected IMAGE:N, or N')
    if not name:
        rows = list(range(index.count))
    else:
        rows = [
            row
            for row, record in enumerate(index.records)
            if record['image'] == name or Path(record['image']).name == name
        ]
    if int(number) >= len(rows):
        where = name or str(index.folder)
        raise InputError(f'--like {text}: {where} has {len(rows)} objects in the index')
    return rows[int(number)]


def _open(arguments: argparse.Namespace) -> 'ObjectIndex':
    """The index, made first if pictures are named."""
    import_mmdet()
    from mmext.explain.object_index import ObjectIndex

    where = Path(arguments.where)
    if (where / 'meta.json').is_file():
        return ObjectIndex(where)
    if not arguments.checkpoint:
        raise InputError(
            f'{where.absolute()} is no index; for pictures name a --checkpoint, for a data set '
            'make one with mmext explain index'
        )
    folder = arguments.out / 'objects.index'
    _index_pictures(arguments, folder)
    return ObjectIndex(folder)


def _index_pictures(arguments: argparse.Namespace, folder: Path) -> None:
    """Index the detections of pictures of which nothing is known."""
    source = open_pictures(arguments.where)
    explainer = load_explainer(arguments)
    from mmext.explain.embedding import embed
    from mmext.explain.object_index import IndexWriter, index_facts, write_words
    from mmext.explain.written import sha256_of
    from mmext.inference.streaming import report_left_out

    where = Path(arguments.where)
    facts = index_facts(
        explainer, objects='predicted', source=str(where.absolute()), score_thr=arguments.score_thr,
        checkpoint_sha256=sha256_of(Path(arguments.checkpoint)),
        data_sha256=_digest_of(source.files),
    )  # fmt: skip
    writer = IndexWriter(folder, facts)
    done = writer.pictures
    with progress_bar('indexed', source.length, 'pictures') as advance:
        source.reader = explainer.network.predictor.loader.read
        for number, frame in enumerate(source):
            advance(1)
            if number < done:
                continue
            scene = explainer.detect(frame.image, 100, arguments.score_thr, frame.name)
            boxes = np.array([d.box_xyxy for d in scene.detections], float).reshape(-1, 4)
            with explainer.network.undisturbed():
                vectors = embed(explainer.network, scene.prepared, boxes)
            file = where / frame.name if where.is_dir() else where
            writer.add(vectors, [_record(file, detection) for detection in scene.detections])
    report_left_out(source)
    write_words(explainer, folder)


def _digest_of(files: Sequence[Path]) -> str:
    """Which pictures these are: names, sizes and times of change."""
    facts = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _record(file: Path, detection: Any) -> dict[str, Any]:
    return dict(
        image=str(file), box=[round(edge, 2) for edge in detection.box_xyxy], of='predicted',
        truth=None, predicted=detection.name, score=detection.score, iou=0.0, error='unknown',
    )  # fmt: skip


def _words(arguments: argparse.Namespace, index: 'ObjectIndex') -> TextTable | None:
    from mmext.explain.object_index import WORDS

    if arguments.words is not None:
        return read_table(arguments.words)
    own = index.folder / WORDS
    return read_table(own) if own.is_file() else None


def _show(folder: Path, found: list[dict[str, Any]], like: dict[str, Any] | None) -> None:
    """Print what was found, and put it on a sheet."""
    from mmext.drawing.contact_sheet import contact_sheet
    from mmext.explain.crops import crop_of, words_of
    from mmext.explain.sheets import jpeg

    if not found:
        raise InputError('the index has no such object')
    tiles, captions = [], []
    if like is not None:
        tiles.append(crop_of(like))
        captions.append(('like this', words_of(like)[0]))
    for record in found:
        name = record['truth'] or record['predicted']
        tiles.append(crop_of(record))
        value = record.get('cosine', record.get('probability'))
        captions.append((f'{value:.2f} {name}', Path(record['image']).name))
        box = ', '.join(f'{edge:.0f}' for edge in record['box'])
        print(f'{value:6.3f}  {name}  ({box})  {record["image"]}')
    sheet = jpeg(contact_sheet(tiles, captions, min(len(tiles), 7)), 1100)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'found.json').write_text(json.dumps(found, indent=1), 'utf-8')
        (folder / 'found.jpg').write_bytes(sheet)
    print(folder / 'found.jpg')
