"""``mmext explain activations``: what a layer says to a picture, channel by channel."""

import argparse
from pathlib import Path

from mmext.cli.explain.arguments import add_model, add_out, load_explainer
from mmext.errors import InputError
from mmext.inference.media import open_source

SUMMARY = 'what a layer says to a picture, channel by channel'
_COLUMNS, _TILE_PX = 8, 150


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument('input', help='image file or folder of images')
    add_model(parser)
    add_out(parser, 'explained_activations')
    parser.add_argument('--layer', default='backbone', help='as backbone.layer3 or neck:1')
    parser.add_argument(
        '--channels', default='top:32', metavar='top:N|I,J', help='which (default top:32)'
    )


def run(arguments: argparse.Namespace) -> None:
    """Draw as the command line says.

    Raises:
        InputError: there is no such layer or channel, or no picture.
    """
    source = open_source(arguments.input)
    if source.fps is not None:
        raise InputError(f'{arguments.input}: a video; name an image or a folder of images')
    explainer = load_explainer(arguments)
    import numpy as np

    from mmext.drawing.contact_sheet import contact_sheet
    from mmext.drawing.heat_maps import at_size, draw_heat
    from mmext.explain.activations import activations, one_output, pick_channels
    from mmext.explain.geometry import to_original
    from mmext.explain.layers import find_layer
    from mmext.explain.relevance import enlarged, heat
    from mmext.explain.sheets import jpeg

    network, count = explainer.network, 0
    layer = find_layer(network.model, arguments.layer)
    arguments.out.mkdir(parents=True, exist_ok=True)
    source.reader = network.predictor.loader.read
    for frame in source:
        with network.undisturbed():
            prepared = network.prepare(frame.image, frame.name)
            maps = one_output(activations(network, prepared, layer), layer).cpu()
        channels = pick_channels(arguments.channels, maps)
        cells = enlarged(maps[channels].abs(), prepared.size_hw)
        heats = heat(to_original(cells, prepared.frame)).numpy()
        photo, _ = at_size(np.ascontiguousarray(frame.image[..., ::-1]), _TILE_PX)
        captions = [
            (f'channel {c}', f'{float(maps[c].min()):.2f} to {float(maps[c].max()):.2f}')
            for c in channels
        ]
        tiles = [photo, *(draw_heat(photo, each) for each in heats)]
        sheet = contact_sheet(tiles, [(str(layer), ''), *captions], _COLUMNS)
        name = Path(frame.name).stem
        (arguments.out / f'{name}_{str(layer).replace(":", "_")}.jpg').write_bytes(jpeg(sheet))
        np.savez_compressed(
            arguments.out / f'{name}.npz', maps=maps[channels].half().numpy(), channels=channels,
            layer=str(layer),
        )  # fmt: skip
        count += 1
    print(f'{count} sheets in {arguments.out}')
