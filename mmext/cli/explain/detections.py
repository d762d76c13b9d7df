"""``mmext explain detections``: why these boxes, and why not those."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmext.cli.explain.arguments import (
    add_drawing_of_chance,
    add_mlflow,
    add_model,
    add_out,
    load_explainer,
    open_pictures,
    positive,
    send_to_mlflow,
)
from mmext.errors import InputError
from mmext.explain.methods import METHODS, find_method
from mmext.explain.quantities import FORMS, WHOLES, parse_quantity

if TYPE_CHECKING:
    from mmext.explain.attribution import Options
    from mmext.explain.explainer import Explainer
    from mmext.explain.scene import Detection, Scene

SUMMARY = 'why the detector found these objects, or missed those'
_SELECTIONS = ('top', 'score', 'class', 'index')
_FROM_TRUTH = ('missed', 'false')
_DEFAULT_SCORE = 0.3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument('input', help='image file or folder of images')
    add_model(parser)
    add_out(parser, 'explained')
    parser.add_argument(
        '--method', default='odam', help=f'one or more, as odam,rise,ig; of {", ".join(METHODS)}'
    )
    parser.add_argument(
        '--target', default='score', metavar='score|box:X1,Y1,X2,Y2,CLASS|edge:left|...',
        help='what is explained: box: why there is no CLASS in a box; else one of '
        + ', '.join(FORMS),
    )  # fmt: skip
    parser.add_argument(
        '--select', default='top:5',
        metavar='top:N|score:S|class:NAME|index:I,J|missed|false',
        help='which objects (default top:5); missed, false: those of --truth that were not found, '
        'and detections that are wrong',
    )  # fmt: skip
    parser.add_argument('--truth', type=Path, metavar='FILE.json', help='COCO instances file')
    parser.add_argument('--layer', default='auto', help='of odam, gradcam, ... (default: auto)')
    parser.add_argument(
        '--smooth', type=float, default=0.0, metavar='SHARE',
        help='spread the maps by a Gaussian of this share of the side of the box (default 0)',
    )  # fmt: skip
    parser.add_argument('--masks', type=positive, default=500, help='of rise (default 500)')
    parser.add_argument('--steps', type=positive, default=32, help='of ig (default 32)')
    parser.add_argument('--samples', type=positive, default=16, help='of noise (default 16)')
    parser.add_argument(
        '--channels', type=positive, default=64, help='of ablationcam, scorecam (default 64)'
    )
    parser.add_argument('--patch', type=int, default=0, help='of occlusion, px; 0: by the box')
    parser.add_argument('--batch-size', type=positive, default=8, help='inputs at once')
    parser.add_argument(
        '--scale', choices=('per-map', 'shared'), default='per-map',
        help='brightness: each map by its own maximum, or one for all objects',
    )  # fmt: skip
    add_drawing_of_chance(parser)
    add_mlflow(parser)
    parser.add_argument('--list-layers', action='store_true', help='print the layers and end')


def run(arguments: argparse.Namespace) -> None:
    """Explain as the command line says.

    Raises:
        InputError: what is named is not there, or nothing was found in any picture.
    """
    methods = [name.strip() for name in arguments.method.split(',') if name.strip()]
    for name in methods:
        find_method(name)
    kind, _, value = arguments.select.partition(':')
    _check_selection(kind, value, arguments)
    if _named_box(arguments.target) is None:
        parse_quantity(arguments.target)
    source = open_pictures(arguments.input)
    explainer = load_explainer(arguments)
    if arguments.list_layers:
        from mmext.explain.layers import list_layers

        print(*list_layers(explainer.network.model), sep='\n')
        return
    from mmext.explain.truth import TruthFile
    from mmext.explain.written import ResultFolder
    from mmext.inference.streaming import report_left_out

    options = _options(arguments)
    truth = TruthFile(arguments.truth, explainer.network.classes) if arguments.truth else None
    results = ResultFolder(
        arguments.out, Path(arguments.checkpoint), arguments.seed, arguments.scale
    )
    source.reader = explainer.network.predictor.loader.read
    maps, best = 0, 0.0
    for frame in source:
        scene, wanted = _wanted(explainer, frame, arguments, truth)
        best = max(best, scene.best_score)
        if not wanted:
            results.nothing(Path(frame.name).stem, _reason(scene, arguments))
            continue
        rows = _explain(explainer, scene, wanted, methods, options)
        results.add(scene, rows)
        maps += sum(map(len, rows))
    report_left_out(source)
    if not maps:
        raise InputError(
            f'{arguments.input}: nothing to explain (--select {arguments.select}); the best score '
            f'is {best:.3f}'
        )
    print(f'{maps} maps; {results.close(f"Why: {Path(arguments.input).name}")}')
    send_to_mlflow(arguments)


def _options(arguments: argparse.Namespace) -> 'Options':
    from mmext.explain.attribution import Options

    return Options(
        layer=arguments.layer,
        target='score' if _named_box(arguments.target) else arguments.target,
        scale='logit' if arguments.target == 'logit' else 'score',
        channels=arguments.channels,
        smooth=arguments.smooth,
        masks=max(arguments.masks, 2),
        patch_px=arguments.patch,
        steps=arguments.steps,
        samples=arguments.samples,
        block=arguments.batch_size,
        seed=arguments.seed,
    )


def _explain(
    explainer: 'Explainer',
    scene: 'Scene',
    wanted: 'Sequence[Detection]',
    methods: Sequence[str],
    options: 'Options',
) -> list[list[Any]]:
    """For each object its maps, one of each method; prints what has to be known."""
    columns = [explainer.attribute(scene, wanted, name, options) for name in methods]
    notes = dict.fromkeys(a.note for column in columns for a in column if a.note)
    for row in zip(*columns, strict=True):
        for attribution in row:
            if METHODS[attribution.method].kind == 'segments':
                said = ', '.join(f'{v:.2f} on {n}' for n, v in list(attribution.facts.items())[:4])
                print(f'{attribution.detection.name} {attribution.detection.score:.2f}: {said}')
    for note in notes:
        print(f'{scene.prepared.name or "picture"}: {note}')
    return [list(row) for row in zip(*columns, strict=True)]


def _check_selection(kind: str, value: str, arguments: argparse.Namespace) -> None:
    if kind in _FROM_TRUTH and not value:
        if arguments.truth is None:
            raise InputError(f'--select {kind} needs --truth FILE.json')
        return
    if kind not in _SELECTIONS or not value:
        forms = ', '.join([*(f'{name}:...' for name in _SELECTIONS), *_FROM_TRUTH])
        raise InputError(f'--select {arguments.select}: expected one of {forms}')
    try:
        if kind == 'score':
            good = 0 <= float(value) <= 1
        elif kind == 'class':
            good = True
        else:
            good = all(int(part) >= (kind == 'top') for part in value.split(','))
    except ValueError:
        good = False
    if not good:
        raise InputError(f'--select {arguments.select}: cannot be read')


def _wanted(
    explainer: 'Explainer', frame: Any, arguments: argparse.Namespace, truth: Any
) -> 'tuple[Scene, list[Detection]]':
    """The scene of a picture, and the objects to explain."""
    kind, _, value = arguments.select.partition(':')
    named = _named_box(arguments.target)
    quantity = None if named else parse_quantity(arguments.target)
    whole = quantity is not None and quantity.kind in WHOLES
    most = int(value) if kind == 'top' and not whole else 100
    least = float(value) if kind == 'score' else _DEFAULT_SCORE
    if kind == 'index':
        least = 0.0
    scene = explainer.detect(frame.image, most, least, frame.name)
    if named is not None:
        return scene, [explainer.missed(scene, named[0], named[1])]
    if quantity is not None and whole:
        return scene, [explainer.whole(scene, quantity.kind, quantity.name)]
    if kind in _FROM_TRUTH:
        return scene, _by_truth(explainer, scene, truth.of(frame.name), kind)
    if kind == 'class':
        label = explainer.label_of(value)
        return scene, [d for d in scene.detections if d.label == label]
    if kind == 'index':
        numbers = [int(part) for part in value.split(',')]
        beyond = [n for n in numbers if n >= len(scene.detections)]
        if beyond:
            raise InputError(
                f'--select {arguments.select}: {frame.name} has {len(scene.detections)} detections'
            )
        return scene, [scene.detections[n] for n in numbers]
    return scene, list(scene.detections)


def _by_truth(explainer: 'Explainer', scene: 'Scene', truth: Any, kind: str) -> 'list[Detection]':
    from mmext.explain.errors import IGNORED, RIGHT, judge

    found = scene.detections
    judged = judge(
        np.array([d.box_xyxy for d in found], float).reshape(-1, 4),
        np.array([d.label for d in found], np.int64),
        np.array([d.score for d in found], float),
        truth.boxes_xyxy,
        truth.labels,
        truth.ignored,
    )
    if kind == 'false':
        wrong = [k not in (RIGHT, IGNORED) for k in judged.kinds]
        return [d for d, is_wrong in zip(found, wrong, strict=True) if is_wrong]
    return [
        explainer.missed(scene, truth.boxes_xyxy[t].tolist(), int(truth.labels[t]))
        for t in judged.missed
    ]


def _named_box(target: str) -> tuple[list[float], str] | None:
    """Box and class of ``box:x1,y1,x2,y2,class``; None of other targets."""
    kind, _, value = target.partition(':')
    if kind != 'box':
        return None
    parts = value.split(',', 4)
    if len(parts) != 5:
        raise InputError(f'--target {target}: expected box:X1,Y1,X2,Y2,CLASS')
    try:
        box = [float(part) for part in parts[:4]]
    except ValueError:
        raise InputError(f'--target {target}: the edges of the box are no numbers') from None
    if not (box[0] < box[2] and box[1] < box[3]):
        raise InputError(f'--target {target}: the box has no area')
    return box, parts[4]


def _reason(scene: 'Scene', arguments: argparse.Namespace) -> str:
    return (
        f'nothing to explain (--select {arguments.select}); the best score is '
        f'{scene.best_score:.3f}'
    )
