"""Convert COFW (29 points of faces, occlusion marked) to COCO key points and photos.

python tools/prepare_data.py cofw --root data/cofw

Expected below the root: COFW_train_color.mat and COFW_test_color.mat (or in COFW_color/). They are
HDF5 and need `pip install h5py`; files saved again in MATLAB with -v7 do not.

Written: images/{train,test}_NNNN.png, annotations/cofw_{train,test}.json; beside each a picture of
some faces.
"""

import argparse

from mmext.cli.prepare.landmarks.conversion import add_landmark_arguments, convert_splits
from mmext.formats.landmark_sets import LANDMARK_SETS
from mmext.formats.landmarks.faces_cofw import FILES, read_cofw


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    add_landmark_arguments(parser, 'data/cofw', tuple(FILES))


def run(arguments: argparse.Namespace) -> None:
    """Do what the command line says.

    Raises:
        InputError: a file is missing or broken, or h5py is not installed.
    """
    arguments.splits = arguments.splits or tuple(FILES)
    photos = arguments.root / 'images'
    convert_splits(
        'cofw',
        LANDMARK_SETS['cofw'],
        lambda split: read_cofw(arguments.root, split, photos),
        arguments,
        photos,
    )
