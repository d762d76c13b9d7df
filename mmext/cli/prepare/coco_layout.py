"""Where the files of COCO 2017 are, and what belongs to a complete one.

::

    ROOT/train2017/*.jpg                       118287 photos
    ROOT/val2017/*.jpg                         5000
    ROOT/annotations/instances_SPLIT2017.json  boxes and masks of things
    ROOT/annotations/panoptic_SPLIT2017.json   segments of all pixels
    ROOT/annotations/panoptic_SPLIT2017/*.png  their ids
    ROOT/annotations/person_keypoints_SPLIT2017.json

The archives are fetched from the bucket behind ``images.cocodataset.org`` by its address at Amazon
S3. The server of that name has no certificate for it: over http anybody on the way could decide
what is unpacked. The publisher states no checksums. An archive is compared with the size that the
server states, with the CRC-32 of each file in it, and with ``--checksums`` where somebody has them.
"""

from pathlib import Path
from typing import Any

from mmext.errors import InputError
from mmext.formats.coco_tables import check_form
from mmext.formats.json_files import parse_json

SPLITS = ('train', 'val')
NUM_IMAGES = {'train': 118_287, 'val': 5_000}
NUM_CATEGORIES = {'instances': 80, 'panoptic': 133, 'person_keypoints': 1}
KINDS = tuple(NUM_CATEGORIES)
BASE_URL = 'https://s3.amazonaws.com/images.cocodataset.org'
ANNOTATION_ARCHIVES = {
    'instances': 'annotations/annotations_trainval2017.zip',
    'person_keypoints': 'annotations/annotations_trainval2017.zip',
    'panoptic': 'annotations/panoptic_annotations_trainval2017.zip',
}

Json = dict[str, Any]


def photo_folder(root: Path, split: str) -> Path:
    """The folder of the photos."""
    return root / f'{split}2017'


def annotation_file(root: Path, kind: str, split: str) -> Path:
    """The JSON of a kind of annotation, one of :data:`KINDS`."""
    return root / 'annotations' / f'{kind}_{split}2017.json'


def map_folder(root: Path, split: str) -> Path:
    """The folder of the panoptic PNGs."""
    return root / 'annotations' / f'panoptic_{split}2017'


def read_annotations(path: Path) -> Json:
    """An annotation file.

    Raises:
        InputError: it cannot be read, or is no JSON of COCO's form.
    """
    try:
        content = parse_json(path.read_bytes(), str(path))
    except OSError as error:
        raise InputError(f'{path} cannot be read: {error}') from error
    check_form(content, str(path))
    return content
