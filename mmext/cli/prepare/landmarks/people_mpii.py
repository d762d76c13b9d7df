"""Convert MPII Human Pose (16 points of persons) to COCO key points.

python tools/prepare_data.py mpii --root data/mpii

Expected below the root: images/NAME.jpg, and one of

  annot/train.json, annot/valid.json      as HRNet and mmpose read them; with annot/mpii_gt_val.mat
                                          the heads come along, which PCKh needs
  annot/mpii_annotations.json             as pytorch-pose reads it
  mpii_human_pose_v1_u12_1.mat            as released, with heads: --splits train

Written: annotations/mpii_{train,val}.json, whose boxes are the squares of the published crops;
beside each a picture of some persons.
"""

import argparse

from mmext.cli.prepare.landmarks.conversion import add_landmark_arguments, convert_splits
from mmext.formats.landmark_sets import LANDMARK_SETS
from mmext.formats.landmarks.people_mpii import SPLIT_FILES, read_mpii


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    add_landmark_arguments(parser, 'data/mpii', tuple(SPLIT_FILES))


def run(arguments: argparse.Namespace) -> None:
    """Do what the command line says.

    Raises:
        InputError: a file is missing or broken.
    """
    arguments.splits = arguments.splits or tuple(SPLIT_FILES)
    convert_splits(
        'mpii',
        LANDMARK_SETS['mpii'],
        lambda split: read_mpii(arguments.root, split),
        arguments,
        arguments.root / 'images',
    )
