"""Convert face files (boxes and five landmarks, RetinaFace's and WIDER FACE's) to COCO key points.

python tools/prepare_data.py face-labels --root data/mine --photos photos --splits train val

Expected below the root: SPLIT.txt (or SPLIT/label.txt) in any form that `mmext.RetinaFace` trains
on, and the photos. `mmext import ... --out SPLIT.txt` writes such files from exports of labeling
tools. Written: annotations/faces_SPLIT.json; beside each a picture of some faces.
"""

import argparse
from pathlib import Path

from mmext.cli.prepare.landmarks.conversion import convert_splits
from mmext.errors import MissingFileError
from mmext.formats.landmark_sets import LANDMARK_SETS
from mmext.formats.landmarks.records import LandmarkImage, LandmarkObject
from mmext.formats.wider_face_files import ImageFaces, read_faces


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument('--root', type=Path, required=True, help='folder of the files')
    parser.add_argument(
        '--photos', default='.', metavar='DIR', help='folder of the photos, from ROOT (default it)'
    )
    parser.add_argument(
        '--splits', nargs='+', default=('train', 'val'), help='names of files, default train val'
    )
    parser.add_argument(
        '--out', type=Path, metavar='DIR', help='for the JSON files (default ROOT/annotations)'
    )


def run(arguments: argparse.Namespace) -> None:
    """Do what the command line says.

    Raises:
        InputError: a file is missing or broken.
    """
    convert_splits(
        'faces',
        LANDMARK_SETS['face_5'],
        lambda split: _read(arguments.root, split),
        arguments,
        arguments.root / arguments.photos,
    )


def _read(root: Path, split: str) -> list[LandmarkImage]:
    candidates = root / f'{split}.txt', root / split / 'label.txt'
    path = next((path for path in candidates if path.is_file()), None)
    if path is None:
        raise MissingFileError(
            f'neither {candidates[0].absolute()} nor {candidates[1].absolute()}: name the files '
            'by --splits, without .txt'
        )
    return [LandmarkImage(image.name, _objects(image)) for image in read_faces(path)]


def _objects(image: ImageFaces) -> list[LandmarkObject]:
    found = []
    for number, (x, y, width, height) in enumerate(image.boxes_xywh.tolist()):
        more = {'iscrowd': 1} if image.ignored[number] else {}
        points, visible = image.landmarks[number], image.visible[number]
        found.append(LandmarkObject(points, visible, (x, y, width, height), more))
    return found
