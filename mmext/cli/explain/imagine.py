"""``mmext explain imagine``: the picture that a class, or a channel, likes best."""

import argparse

from mmext.cli.explain.arguments import (
    add_drawing_of_chance,
    add_model,
    add_out,
    load_explainer,
    positive,
)
from mmext.errors import InputError

SUMMARY = 'the picture that a class, or a channel of a layer, likes best'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    add_model(parser)
    add_out(parser, 'imagined')
    parser.add_argument('--class', dest='name', metavar='NAME', help='of the detector')
    parser.add_argument(
        '--box', metavar='X1,Y1,X2,Y2', help='where the object is to be (default: the middle half)'
    )
    parser.add_argument('--layer', help='as backbone.layer3, with --channel')
    parser.add_argument('--channel', type=int, help='of the layer')
    parser.add_argument('--size', type=positive, default=128, help='of the picture (default 128)')
    parser.add_argument('--steps', type=positive, default=128, help='of the ascent (default 128)')
    add_drawing_of_chance(parser)


def run(arguments: argparse.Namespace) -> None:
    """Imagine as the command line says.

    Raises:
        InputError: neither a class nor a channel is named, or there is none of the name.
    """
    if (arguments.name is None) == (arguments.layer is None):
        raise InputError('name a --class, or a --layer and its --channel')
    if arguments.layer is not None and arguments.channel is None:
        raise InputError('--layer needs --channel')
    side = arguments.size
    box = _box(arguments.box, side)
    explainer = load_explainer(arguments)
    import cv2

    from mmext.explain.imagined import imagine_channel, imagine_class

    settings = (side, side), arguments.steps, arguments.seed
    if arguments.name is not None:
        found = imagine_class(explainer, arguments.name, box, *settings)
        what = arguments.name
    else:
        found = imagine_channel(explainer, arguments.layer, arguments.channel, *settings)
        what = f'{arguments.layer.replace(":", "_")}_{arguments.channel}'
    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / f'{what}.png'
    cv2.imwrite(str(file), found.image)
    print(f'{file}: {found.values[0]:.2f} at the first step, {found.values[-1]:.2f} at the last')
    if arguments.name is not None:
        seen = found.score > 0.5 and found.iou > 0.5
        print(
            f'the detector {"sees" if seen else "does not see"} a {what} there in the saved '
            f'picture: score {found.score:.2f}, IoU {found.iou:.2f}'
        )


def _box(text: str | None, side: int) -> list[float]:
    if text is None:
        return [side / 4, side / 4, 3 * side / 4, 3 * side / 4]
    try:
        box = [float(part) for part in text.split(',')]
    except ValueError:
        box = []
    if len(box) != 4:
        raise InputError(f'--box {text}: expected X1,Y1,X2,Y2')
    return box
