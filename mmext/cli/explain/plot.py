"""``mmext explain plot``: the objects of an index on a plane."""

import argparse
from pathlib import Path

from mmext.cli.explain.arguments import add_drawing_of_chance, add_out, positive
from mmext.host import import_mmdet

SUMMARY = 'the objects of an index on a plane, by t-SNE or PCA'
_TILE_PX, _TILES = 44, 150


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument('index', type=Path, help='folder that mmext explain index has made')
    add_out(parser, 'explained_plot')
    parser.add_argument(
        '--by', choices=('class', 'error', 'score'), default='class', help='colors (default class)'
    )
    parser.add_argument('--projection', choices=('tsne', 'pca'), default='tsne')
    parser.add_argument(
        '--objects', choices=('truth', 'predicted', 'both'), default='truth',
        help='which objects (default truth)',
    )  # fmt: skip
    parser.add_argument('--points', type=positive, default=3000, help='at most (default 3000)')
    add_drawing_of_chance(parser)


def run(arguments: argparse.Namespace) -> None:
    """Draw as the command line says.

    Raises:
        InputError: there is no index, or it has too few objects.
    """
    import_mmdet()
    import numpy as np

    from mmext.explain.crops import (
        crop_of,
        draw_plane,
        group_colors,
        group_of,
        svg_plane,
    )
    from mmext.explain.object_index import ObjectIndex
    from mmext.explain.page import Section, page
    from mmext.explain.projection import project, sampled, spread_out
    from mmext.explain.sheets import jpeg
    from mmext.inference.output_places import check_output_folder

    check_output_folder('--out', arguments.out)
    index = ObjectIndex(arguments.index)
    wanted = [
        i for i, r in enumerate(index.records) if arguments.objects in ('both', r['of'])
    ]  # fmt: skip
    groups = [group_of(index.records[i], arguments.by) for i in wanted]
    kept = sampled(groups, arguments.points, arguments.seed)
    rows, groups = [wanted[i] for i in kept], [groups[i] for i in kept]
    vectors = np.asarray(index.vectors[rows], np.float32)
    plane = project(vectors, arguments.projection, arguments.seed)
    colors = group_colors(groups, index.classes)
    shown = spread_out(plane.points_xy, 1.15 * _TILE_PX / 1000, _TILES)
    tiles = {i: crop_of(index.records[rows[i]], _TILE_PX) for i in shown}
    picture = draw_plane(plane.points_xy, groups, colors, tiles, sorted(set(groups)))
    arguments.out.mkdir(parents=True, exist_ok=True)
    name = f'{arguments.projection}_by_{arguments.by}'
    (arguments.out / f'{name}.jpg').write_bytes(jpeg(picture))
    trust = (
        f'{len(rows)} objects of {index.count}; trustworthiness {plane.trustworthiness:.3f} (1: '
        'none of the neighbors on the plane is far in the feature space)'
    )
    section = Section(
        f'{arguments.projection} of {index.meta["source"]}, by {arguments.by}',
        texts=[trust, 'Rings are errors. The mouse over a point says what it is.'],
        drawing=svg_plane(plane.points_xy, groups, colors, [index.records[r] for r in rows]),
        pictures=[(jpeg(picture, 1100), '')],
    )
    report = arguments.out / 'report.html'
    report.write_text(page('Objects as the detector sees them', [section]), 'utf-8')
    print(f'{trust}\n{report}')
