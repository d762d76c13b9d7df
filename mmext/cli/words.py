"""``mmext words``: tables of text vectors."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmext.cli.arguments import add_trust, trust_checkpoints
from mmext.errors import InputError
from mmext.inference.output_places import check_output_file
from mmext.language.encoders import DEFAULT_TEMPLATES, encode_names
from mmext.language.table import TextTable, read_table
from mmext.language.tag_vectors import vectors_of_tags
from mmext.metrics.language.caption_metric import read_captions
from mmext.metrics.language.ptb_tokens import tokenize

SUMMARY = 'a table of text vectors: by an encoder, from captions, or of a trained detector'
_TABLE_KEY, _JUDGED_KEY = '.table', 'embedding_loss.word_scale_bias'


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(description=SUMMARY)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        '--encoder', metavar='NAME',
        help='sentence_transformers:FOLDER, or PACKAGE.MODULE:FUNCTION; with --names',
    )  # fmt: skip
    source.add_argument('--captions', metavar='FILE', help='COCO captions: PPMI of their words')
    source.add_argument(
        '--checkpoint', metavar='FILE', help='of a detector whose classes are words'
    )
    source.add_argument('--table', metavar='FILE', help='another table: --merge, --names')
    parser.add_argument('--names', nargs='+', help='the words; default: all that the source has')
    parser.add_argument('--template', action='append', metavar='TEXT',
                        help='sentence with {} for a name; several are averaged')  # fmt: skip
    parser.add_argument('--dim', type=int, default=64, help='numbers of --captions (default 64)')
    parser.add_argument(
        '--merge', action='append', default=[], metavar='NEW=OLD,OLD',
        help='a word that is the mean of others; only these are written',
    )  # fmt: skip
    parser.add_argument('--out', type=Path, required=True, metavar='FILE.npz')
    add_trust(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Make the table that the command line names.

    Raises:
        InputError: no such source, or a word that it does not have.
    """
    arguments = build_parser().parse_args(argv)
    if arguments.out.suffix != '.npz':
        raise InputError(f'--out {arguments.out}: expected a name that ends with .npz')
    check_output_file('--out', arguments.out)
    table = _table(arguments)
    if arguments.merge:
        table = table.merged(dict(map(_merged, arguments.merge)))
    elif arguments.names:
        table = table.of(arguments.names)
    table.save(arguments.out)
    count, width = table.vectors.shape
    print(f'{count} words x {width} ({table.source}) in {arguments.out}')
    if count > 1:
        print(f'nearest two: {_nearest_two(table)}')


def _table(arguments: argparse.Namespace) -> TextTable:
    if arguments.encoder:
        if not arguments.names:
            raise InputError('--encoder needs --names')
        templates = arguments.template or DEFAULT_TEMPLATES
        return encode_names(arguments.names, arguments.encoder, templates)
    if arguments.captions:
        captions = read_captions(arguments.captions)
        windows = (tokenize(text) for texts in captions.values() for text in texts)
        return vectors_of_tags(windows, arguments.dim)
    if arguments.table:
        return read_table(arguments.table)
    trust_checkpoints(arguments)
    return _of_checkpoint(arguments.checkpoint)


def _of_checkpoint(path: str) -> TextTable:
    """The words that a checkpoint was trained with."""
    from mmext.inference.checkpoints import check_exists, load_checkpoint

    check_exists(path)
    content: dict[str, Any] = load_checkpoint(path)
    known = (content.get('meta') or {}).get('vocabulary')
    state = content.get('state_dict', content)
    keys = [key for key in state if key.endswith(_TABLE_KEY)]  # of a box head, or a one-stage one
    if not known or not keys:
        raise InputError(
            f'{path} has no words: it was not trained with mmext.EmbeddingClassifier and '
            'mmext.VocabularyHook'
        )
    vectors = np.asarray(state[keys[-1]].float().numpy(), np.float32)
    learned = [state[key].tolist() for key in state if key.endswith(_JUDGED_KEY)]
    judged = (learned[0][0], learned[0][1]) if learned else None
    return TextTable(tuple(known['words']), vectors, Path(path).name, judged)


def _merged(text: str) -> tuple[str, list[str]]:
    new, _, old = text.partition('=')
    if not new or not old:
        raise InputError(f'--merge {text}: expected NEW=OLD,OLD')
    return new.strip(), [name.strip() for name in old.split(',')]


def _nearest_two(table: TextTable) -> str:
    cosines = table.vectors @ table.vectors.T
    np.fill_diagonal(cosines, -np.inf)
    first, second = np.unravel_index(int(cosines.argmax()), cosines.shape)
    return f'{table.names[first]}, {table.names[second]} (cosine {cosines[first, second]:.2f})'
