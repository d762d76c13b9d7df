"""``mmext explain index``: the objects of a data set as vectors of the detector itself."""

import argparse

from mmext.cli.explain.arguments import add_model, add_out, add_split, load_explainer
from mmext.progress import progress_bar

SUMMARY = 'the objects of a data set as vectors: for neighbours, plot and errors'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    add_model(parser)
    add_split(parser)
    add_out(parser, 'objects.index')
    parser.add_argument(
        '--objects', choices=('truth', 'predicted', 'both'), default='both',
        help='which objects (default both)',
    )  # fmt: skip
    parser.add_argument('--score-thr', type=float, default=0.3, help='of detections (default 0.3)')
    parser.add_argument(
        '--images', type=int, default=0, help='of the data set, spread evenly; 0: all (default)'
    )


def run(arguments: argparse.Namespace) -> None:
    """Make, or go on with, the index that the command line names.

    Raises:
        InputError: the data is not there.
    """
    explainer = load_explainer(arguments)
    from pathlib import Path

    from mmext.explain.object_index import (
        IndexWriter,
        index_facts,
        index_pictures,
        write_words,
    )
    from mmext.explain.truth import picture_facts, true_pictures
    from mmext.explain.written import sha256_of

    place = explainer.network.predictor.config, arguments.split
    data = picture_facts(*place, arguments.images)
    facts = index_facts(
        explainer, objects=arguments.objects, split=arguments.split, score_thr=arguments.score_thr,
        checkpoint_sha256=sha256_of(Path(arguments.checkpoint)), **data,
    )  # fmt: skip
    writer = IndexWriter(arguments.out, facts)
    if writer.pictures:
        print(f'{arguments.out} has {writer.pictures} of the pictures already')
    pictures = true_pictures(*place, explainer.network.classes, arguments.images)
    with progress_bar('indexed', data['of_pictures'], 'pictures') as advance:
        index_pictures(explainer, pictures, writer, arguments.objects, arguments.score_thr, advance)
    write_words(explainer, arguments.out)
    meta = writer.meta
    print(f'{meta["count"]} objects x {meta["width"]} ({meta["source"]}) in {arguments.out}')
