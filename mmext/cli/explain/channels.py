"""``mmext explain channels``: the patches of a data set that each channel answers to most."""

import argparse
import csv
from typing import TYPE_CHECKING

from mmext.cli.explain.arguments import add_model, add_out, add_split, load_explainer, positive
from mmext.errors import InputError
from mmext.progress import progress_bar

if TYPE_CHECKING:
    from mmext.explain.nearest import StrongestPlaces

SUMMARY = 'the patches of a data set that each channel of a layer answers to most'
_TILE_PX = 128


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    add_model(parser)
    add_split(parser)
    add_out(parser, 'explained_channels')
    parser.add_argument('--layer', default='backbone', help='as backbone.layer3 or neck:1')
    parser.add_argument(
        '--channels', default='top:24', metavar='top:N|I,J', help='which (default top:24)'
    )
    parser.add_argument('-k', type=positive, default=9, help='patches of each (default 9)')
    parser.add_argument(
        '--images', type=int, default=0, help='of the data set, spread evenly; 0: all (default)'
    )


def run(arguments: argparse.Namespace) -> None:
    """Find and draw as the command line says.

    Raises:
        InputError: the data is not there, or the layer has no such channels.
    """
    explainer = load_explainer(arguments)
    import cv2
    import numpy as np

    from mmext.drawing.contact_sheet import contact_sheet
    from mmext.explain.layers import find_layer
    from mmext.explain.page import Section, page
    from mmext.explain.patches import majority, strongest_patches
    from mmext.explain.sheets import jpeg
    from mmext.explain.truth import count_pictures, true_pictures

    network = explainer.network
    layer = find_layer(network.model, arguments.layer)
    place = network.predictor.config, arguments.split
    with progress_bar(str(layer), count_pictures(*place, arguments.images), 'pictures') as advance:
        found = strongest_patches(
            network,
            lambda: true_pictures(*place, network.classes, arguments.images),
            layer,
            lambda places: _chosen(arguments.channels, places),
            arguments.k,
            advance,
        )
    arguments.out.mkdir(parents=True, exist_ok=True)
    tiles, captions, lines = [], [], []
    for channel, patches in found.patches.items():
        name, share = majority(patches)
        for rank, patch in enumerate(patches):
            crop = cv2.resize(patch.crop, (_TILE_PX, _TILE_PX), interpolation=cv2.INTER_LINEAR)
            tiles.append(np.asarray(crop[..., ::-1], np.uint8))
            first = f'{channel}: {name or "-"} {share:.0%}' if rank == 0 else ''
            captions.append((first, f'{patch.value:.2f} {patch.name}'))
            lines.append((channel, rank, patch.value, patch.picture, patch.name, name, share))
        for _ in range(arguments.k - len(patches)):  # each channel has a row
            tiles.append(np.full((_TILE_PX, _TILE_PX, 3), 255, np.uint8))
            captions.append(('', ''))
    sheet = jpeg(contact_sheet(tiles, captions, arguments.k))
    (arguments.out / 'channels.jpg').write_bytes(sheet)
    with (arguments.out / 'channels.csv').open('w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(('channel', 'rank', 'value', 'picture', 'class', 'majority', 'share'))
        writer.writerows(lines)
    text = f'A cell mostly sees {found.field_px} px of the input. Each row is a channel.'
    report = arguments.out / 'report.html'
    section = Section(f'Channels of {layer}', texts=[text], pictures=[(sheet, '')])
    report.write_text(page('What the channels answer to', [section]), 'utf-8')
    print(f'{len(found.patches)} channels; {report}')


def _chosen(text: str, places: 'StrongestPlaces') -> list[int]:
    """The channels that ``--channels`` names; of ``top:N`` those of the highest values."""
    import torch

    from mmext.explain.activations import pick_channels

    highest = torch.from_numpy(places.values[:, :1, None].copy())
    chosen = pick_channels(text, highest)
    if not chosen:
        raise InputError(f'--channels {text}: no channel')
    return chosen
