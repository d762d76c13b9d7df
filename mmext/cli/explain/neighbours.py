"""``mmext explain neighbours``: what an index has that is like the objects of a photo."""

import argparse
from pathlib import Path

import numpy as np

from mmext.cli.explain.arguments import add_model, add_out, load_explainer, positive
from mmext.errors import InputError
from mmext.inference.media import open_source

SUMMARY = 'what an index has that is most like the objects of a photo'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument('index', type=Path, help='folder that mmext explain index has made')
    parser.add_argument('input', help='image file')
    add_model(parser)
    add_out(parser, 'explained_neighbours')
    parser.add_argument('--box', metavar='X1,Y1,X2,Y2', help='of one object; else: the detections')
    parser.add_argument('--score-thr', type=float, default=0.3, help='of detections (default 0.3)')
    parser.add_argument('-k', type=positive, default=12, help='neighbours of each (default 12)')


def run(arguments: argparse.Namespace) -> None:
    """Find and draw as the command line says.

    Raises:
        InputError: there is no index or photo, or the index is of another detector.
    """
    from mmext.explain.object_index import ObjectIndex

    index = ObjectIndex(arguments.index)
    source = open_source(arguments.input)
    named = None if arguments.box is None else _box(arguments.box)
    explainer = load_explainer(arguments)
    from mmext.drawing.contact_sheet import contact_sheet
    from mmext.explain.crops import crop_of, tile_of, words_of
    from mmext.explain.embedding import embed
    from mmext.explain.sheets import jpeg

    source.reader = explainer.network.predictor.loader.read
    frame = next(iter(source))
    scene = explainer.detect(frame.image, 20, arguments.score_thr, frame.name)
    boxes = [d.box_xyxy for d in scene.detections] if named is None else [named]
    titles = [f'{d.name} {d.score:.2f}' for d in scene.detections] if named is None else ['box']
    if not boxes:
        raise InputError(
            f'{arguments.input}: nothing detected (best score {scene.best_score:.3f}); '
            'name a --box, or lower --score-thr'
        )
    table = np.array(boxes, float).reshape(-1, 4)
    with explainer.network.undisturbed():
        vectors = embed(explainer.network, scene.prepared, table)
    own = index.places_of(str(Path(arguments.input)), table)
    rows, cosines = index.nearest(vectors, arguments.k, own)
    tiles, captions = [], []
    for title, box, found, values in zip(titles, boxes, rows, cosines, strict=True):
        tiles.append(tile_of(frame.image, box))
        captions.append((title, ''))
        print(f'{title}:')
        for row, value in zip(found.tolist(), values.tolist(), strict=True):
            if row < 0:
                tiles.append(np.full_like(tiles[0], 255))
                captions.append(('', ''))
                continue
            record = index.records[row]
            first, second = words_of(record)
            tiles.append(crop_of(record))
            captions.append((f'{value:.2f} {first}', second))
            print(f'  {value:.3f}  {first}, {second}, {record["error"]}  {record["image"]}')
    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / f'{Path(frame.name).stem}_neighbours.jpg'
    file.write_bytes(jpeg(contact_sheet(tiles, captions, rows.shape[1] + 1)))
    print(file)


def _box(text: str) -> tuple[float, float, float, float]:
    try:
        left, top, right, bottom = (float(part) for part in text.split(','))
    except ValueError:
        raise InputError(f'--box {text}: expected X1,Y1,X2,Y2') from None
    if not (left < right and top < bottom):
        raise InputError(f'--box {text}: the box has no area')
    return left, top, right, bottom
