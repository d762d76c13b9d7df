"""Convert WFLW (98 points of faces) to COCO key points.

python tools/prepare_data.py wflw --root data/wflw

Expected below the root, as its archives unpack:

  WFLW_images/0--Parade/NAME.jpg ...
  WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_{train,test}.txt

Written: annotations/wflw_{train,test}.json, whose faces name their subsets (large_pose, expression,
illumination, make_up, occlusion, blur); beside each a picture of some faces.
"""

import argparse

from mmext.cli.prepare.landmarks.conversion import add_landmark_arguments, convert_splits
from mmext.formats.landmark_sets import LANDMARK_SETS
from mmext.formats.landmarks.faces_wflw import PHOTOS, read_wflw

SPLITS = ('train', 'test')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    add_landmark_arguments(parser, 'data/wflw', SPLITS)


def run(arguments: argparse.Namespace) -> None:
    """Do what the command line says.

    Raises:
        InputError: a file is missing or broken.
    """
    arguments.splits = arguments.splits or SPLITS
    convert_splits(
        'wflw',
        LANDMARK_SETS['wflw'],
        lambda split: read_wflw(arguments.root, split),
        arguments,
        arguments.root / PHOTOS,
    )
