"""Take bodies, whole bodies, feet, faces or hands out of COCO and COCO-WholeBody.

python tools/prepare_data.py coco-keypoints --root data/coco --part body
python tools/prepare_data.py coco-keypoints --root data/coco --part hands

Expected below the root: {train,val}2017/ and annotations/coco_wholebody_{train,val}_v1.0.json; for
the body alone annotations/person_keypoints_{train,val}2017.json will do.

Written: annotations/coco_PART_{train,val}.json with the images that have such a part: body 17
points, whole 133, feet 6, face 68 (those of 300W), hands 21 from the wrist (each hand is an object,
its side is in `side`); beside each a picture of some objects.
"""

import argparse

from mmext.cli.prepare.landmarks.conversion import add_landmark_arguments, convert_splits
from mmext.formats.landmark_sets import LANDMARK_SETS
from mmext.formats.landmarks.people_coco import PARTS, read_coco_part
from mmext.formats.landmarks.records import LandmarkImage

SPLITS = ('train', 'val')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    add_landmark_arguments(parser, 'data/coco', SPLITS)
    parser.add_argument('--part', choices=tuple(PARTS), default='body', help='default body')


def run(arguments: argparse.Namespace) -> None:
    """Do what the command line says.

    Raises:
        InputError: a file is missing or broken.
    """
    arguments.splits = arguments.splits or SPLITS

    def read(split: str) -> list[LandmarkImage]:
        images = read_coco_part(arguments.root, split, arguments.part)
        return [
            LandmarkImage(f'{split}2017/{image.name}', image.objects, image.subsets)
            for image in images
        ]

    convert_splits(
        f'coco_{arguments.part}',
        LANDMARK_SETS[PARTS[arguments.part]],
        read,
        arguments,
        arguments.root,
    )
