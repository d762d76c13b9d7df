"""Convert 300W (68 points of faces) to COCO key points.

python tools/prepare_data.py 300w --root data/300w

Expected below the root, as the archives of the iBUG group unpack:

  afw/, helen/trainset/, helen/testset/, lfpw/trainset/, lfpw/testset/, ibug/   NAME.jpg, NAME.pts
  300W/01_Indoor/, 300W/02_Outdoor/     the 600 photos of the challenge, for --splits test

Written: annotations/300w_train.json (AFW and the training parts), 300w_val.json (the full test
set, with the subsets common and challenge), 300w_test.json; beside each a picture of some faces.
"""

import argparse

from mmext.cli.prepare.landmarks.conversion import add_landmark_arguments, convert_splits
from mmext.formats.landmark_sets import LANDMARK_SETS
from mmext.formats.landmarks.faces_300w import FOLDERS, read_300w


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    add_landmark_arguments(parser, 'data/300w', tuple(FOLDERS))


def run(arguments: argparse.Namespace) -> None:
    """Do what the command line says; the 600 photos are converted where they are.

    Raises:
        InputError: a file is missing or broken.
    """
    if arguments.splits is None:
        there = arguments.root.is_dir() and any(
            path.name.lower() == '300w' for path in arguments.root.iterdir()
        )
        arguments.splits = ('train', 'val', 'test') if there else ('train', 'val')
    convert_splits(
        '300w',
        LANDMARK_SETS['300w'],
        lambda split: read_300w(arguments.root, split),
        arguments,
        arguments.root,
    )
