"""A COCO panoptic set by hand, on disk (for the tests beside this file).

Two photos of 40 x 30 pixels with one file name in two folders and other endings
than ``.jpg``; PNGs with names of their own; ids above 255; a crowd; void at the left.
"""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

CATEGORIES = [
    {'id': 200, 'name': 'sky', 'isthing': 0},
    {'id': 3, 'name': 'dog', 'isthing': 1},
    {'id': 90, 'name': 'sea', 'isthing': 0},
    {'id': 7, 'name': 'cat', 'isthing': 1},
]
METAINFO = {'classes': ['cat', 'dog', 'sea', 'sky']}  # in another order than the file
SKY, SEA, CAT, DOG, CROWD = 70000, 300, 5, 16000000, 512
AREAS = {  # x1, y1, x2, y2
    SKY: (4, 0, 40, 15),
    SEA: (4, 15, 40, 30),
    CAT: (10, 10, 20, 20),
    DOG: (15, 5, 25, 12),
    CROWD: (30, 20, 38, 28),
}


def segment(identity: int, category: int, **changes: Any) -> dict[str, Any]:
    """An entry of ``segments_info``; the box is the one drawn, not the visible one."""
    x1, y1, x2, y2 = AREAS[identity]
    box = [x1, y1, x2 - x1, y2 - y1]
    entry = {'id': identity, 'category_id': category, 'iscrowd': 0, 'bbox': box, 'area': 9}
    return {**entry, **changes}


def write_set(folder: Path, **changes: Any) -> dict[str, Any]:
    """Writes photos, PNGs and ``panoptic.json``; returns the config of the data set.

    Args:
        folder: an empty folder.
        changes: replace top-level entries of the JSON.
    """
    ids = np.zeros((30, 40), dtype=int)
    for identity, (x1, y1, x2, y2) in AREAS.items():
        ids[y1:y2, x1:x2] = identity
    rgb = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1).astype(np.uint8)
    photos = ['a/photo.jpeg', 'b/photo.PNG']
    pngs = ['first.png', 'b/second.png']
    for photo, png in zip(photos, pngs, strict=True):
        for path, pixels in ((f'photos/{photo}', rgb), (f'png/{png}', rgb[..., ::-1])):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / path), pixels)
    segments = [
        segment(DOG, 3),
        segment(SKY, 200),
        segment(CROWD, 3, iscrowd=1),
        segment(CAT, 7),
        segment(SEA, 90),
    ]
    content = {
        'images': [
            {'id': 10 + i, 'file_name': p, 'height': 30, 'width': 40} for i, p in enumerate(photos)
        ],
        'annotations': [
            {'image_id': 10 + i, 'file_name': p, 'segments_info': segments}
            for i, p in reversed(list(enumerate(pngs)))
        ],
        'categories': CATEGORIES,
        **changes,
    }
    (folder / 'panoptic.json').write_text(json.dumps(content))
    return {
        'type': 'mmext.CocoPanopticDataset',
        'data_root': str(folder),
        'ann_file': 'panoptic.json',
        'data_prefix': {'img': 'photos', 'seg': 'png'},
        'metainfo': METAINFO,
    }
