"""Convert AFLW with 19 points of faces to COCO key points.

python tools/prepare_data.py aflw --root data/aflw

Expected below the root:

  flickr/0/image00002.jpg ...    the photos of AFLW
  AFLWinfo_release.mat           the table of Zhu et al. (CVPR 2016), with the split of 20,000 faces

Written: annotations/aflw_{train,test}.json, whose frontal faces name that subset; beside each a
picture of some faces.
"""

import argparse

from mmext.cli.prepare.landmarks.conversion import add_landmark_arguments, convert_splits
from mmext.formats.landmark_sets import LANDMARK_SETS
from mmext.formats.landmarks.faces_aflw import NUM_TRAIN, PHOTOS, read_aflw

SPLITS = ('train', 'test')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    add_landmark_arguments(parser, 'data/aflw', SPLITS)
    parser.add_argument(
        '--num-train', type=int, default=NUM_TRAIN, help='faces to train on (default %(default)s)'
    )


def run(arguments: argparse.Namespace) -> None:
    """Do what the command line says.

    Raises:
        InputError: a file is missing or broken.
    """
    arguments.splits = arguments.splits or SPLITS
    convert_splits(
        'aflw',
        LANDMARK_SETS['aflw'],
        lambda split: read_aflw(arguments.root, split, arguments.num_train),
        arguments,
        arguments.root / PHOTOS,
    )
