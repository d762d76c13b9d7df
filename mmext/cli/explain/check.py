"""``mmext explain check``: are the maps of this detector worth anything?"""

import argparse
import csv
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from mmext.cli.explain.arguments import (
    add_drawing_of_chance,
    add_mlflow,
    add_model,
    add_out,
    add_split,
    load_explainer,
    positive,
    send_to_mlflow,
)
from mmext.progress import progress_bar

if TYPE_CHECKING:
    from mmext.explain.checking import Check

SUMMARY = 'are the maps of this detector worth anything: energies, deletion, controls'
COLUMNS = {
    'in_mask': 'energy in mask', 'in_box': 'in box', 'mask_over_box': 'mask / box',
    'pointing': 'pointing', 'times_area': 'x area', 'deletion': 'deletion (low)',
    'insertion': 'insertion (high)', 'likeness': 'rank corr. with trained',
}  # fmt: skip
_DEFAULT_METHODS = 'odam,layercam,gradcam,eigencam,saliency,ig'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    add_model(parser)
    add_split(parser)
    add_out(parser, 'explained_check')
    parser.add_argument('--images', type=positive, default=10, help='pictures (default 10)')
    parser.add_argument(
        '--method',
        default=_DEFAULT_METHODS,
        help=f'some of the methods (default {_DEFAULT_METHODS})',
    )
    parser.add_argument('--layer', default='auto', help='of odam, gradcam, ... (default: auto)')
    parser.add_argument('--masks', type=positive, default=200, help='of rise (default 200)')
    parser.add_argument(
        '--smooth', type=float, default=1 / 16, metavar='SHARE',
        help='each map also smoothed, by a Gaussian of this share of the side of the box (default '
        '1/16; 0: only as they are)',
    )  # fmt: skip
    parser.add_argument('--steps', type=positive, default=16, help='of ig (default 16)')
    parser.add_argument(
        '--deletions', type=positive, default=3,
        help='objects whose deletion and insertion are measured: 22 predictions a map (default 3)',
    )  # fmt: skip
    add_drawing_of_chance(parser)
    add_mlflow(parser)


def run(arguments: argparse.Namespace) -> None:
    """Check as the command line says.

    Raises:
        InputError: the data is not there, or nothing was found.
    """
    from mmext.explain.methods import find_method

    methods = [name.strip() for name in arguments.method.split(',') if name.strip()]
    for name in methods:
        find_method(name)
    explainer = load_explainer(arguments)

    from mmext.explain.attribution import Options
    from mmext.explain.checking import check_maps
    from mmext.explain.truth import count_pictures, true_pictures

    place = explainer.network.predictor.config, arguments.split
    total = count_pictures(*place, arguments.images)
    pictures = true_pictures(*place, explainer.network.classes, arguments.images)
    options = Options(
        layer=arguments.layer, masks=max(2, arguments.masks), steps=arguments.steps,
        seed=arguments.seed, smooth=arguments.smooth,
    )  # fmt: skip
    with progress_bar('explained', total, 'pictures') as advance:
        check = check_maps(explainer, pictures, methods, options, arguments.deletions, advance)
    rows = table_of(check)
    _print(check, rows)
    print(_write(check, rows, arguments.out))
    curves = {
        f'explain/{name}/{key}': value
        for name, measured in check.rows.items()
        for key, value in measured.means().items()
        if value is not None and measured.in_box
    }
    send_to_mlflow(arguments, curves)


def table_of(check: 'Check') -> list[list[str]]:
    """The lines of the table, as text."""
    rows = []
    for name, measured in check.rows.items():
        means = measured.means()
        cells = [None if not measured.in_box else means[key] for key in COLUMNS]
        rows.append([name, *('-' if cell is None else f'{cell:.3f}' for cell in cells)])
    return rows


def verdicts(check: 'Check') -> list[str]:
    """What the table says, in words."""
    said = [
        f'{check.objects} objects; deletion and insertion of {check.deleted}, with the area of '
        'the box as the budget'
    ]
    worthless = check.worthless()
    if worthless:
        said.append(
            f'explains nothing beyond the box it was given (deletion not below that of a bell in '
            f'the box): {", ".join(worthless)}'
        )
    if not check.has_masks:
        said.append('the truth has no masks: pointing and x area are of boxes')
    return said


def _print(check: 'Check', rows: list[list[str]]) -> None:
    from mmext.explain.evaluation import CONTROLS

    table = Table('map', *COLUMNS.values())
    for row in rows:
        table.add_row(*row, style='dim' if row[0] in CONTROLS else None)
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)  # a file has no edge
    console.print(table)
    for line in verdicts(check):
        print(line)


def _write(check: 'Check', rows: list[list[str]], folder: Path) -> Path:
    from mmext.explain.evaluation import CONTROLS
    from mmext.explain.page import Section, page
    from mmext.explain.sheets import detection_sheet, jpeg

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / 'check.csv').open('w', newline='', encoding='utf-8') as file:
        csv.writer(file).writerows([['map', *COLUMNS], *rows])
    said = verdicts(check)
    controls = frozenset(i for i, row in enumerate(rows) if row[0] in CONTROLS)
    section = Section(
        'Maps, controls, random weights', texts=said[:1], notes=said[1:],
        columns=('map', *COLUMNS.values()), rows=[tuple(row) for row in rows], controls=controls,
    )  # fmt: skip
    examples = []
    for scene, made in check.examples:
        sheet = jpeg(detection_sheet(scene, made), 1100)
        examples.append(Section(Path(scene.prepared.name).stem, pictures=[(sheet, '')]))
    report = folder / 'report.html'
    report.write_text(page('Are the maps worth anything?', [section, *examples]), 'utf-8')
    return report
