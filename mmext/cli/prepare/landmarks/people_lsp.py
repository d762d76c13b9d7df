"""Convert Leeds Sports Pose (14 points of persons) or its extension to COCO key points.

python tools/prepare_data.py lsp --root data/lsp
python tools/prepare_data.py lsp --root data/lspet --splits train     # the extension

Expected below the root: joints.mat and images/im0001.jpg ... (the extension: im00001.jpg).

Written: annotations/lsp_{train,test}.json; beside each a picture of some persons.
"""

import argparse

from mmext.cli.prepare.landmarks.conversion import add_landmark_arguments, convert_splits
from mmext.formats.landmark_sets import LANDMARK_SETS
from mmext.formats.landmarks.people_lsp import read_lsp

SPLITS = ('train', 'test')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    add_landmark_arguments(parser, 'data/lsp', SPLITS)


def run(arguments: argparse.Namespace) -> None:
    """Do what the command line says.

    Raises:
        InputError: a file is missing or broken.
    """
    arguments.splits = arguments.splits or SPLITS
    convert_splits(
        'lsp',
        LANDMARK_SETS['lsp'],
        lambda split: read_lsp(arguments.root, split),
        arguments,
        arguments.root,
    )
