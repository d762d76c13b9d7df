"""Faces as objects with key points, in COCO's format: what pose models read.

One category, 'face', with five points; the ids of images and annotations begin with 1. A face
to be ignored is a crowd; one without annotated points has visibilities of 0, as small persons
in COCO.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmext.formats.wider_face_files import ImageFaces
from mmext.functional.keypoints import UNKNOWN

Json = dict[str, Any]

POINTS = ('left_eye', 'right_eye', 'nose', 'left_mouth', 'right_mouth')
CATEGORY: Json = dict(
    id=1,
    name='face',
    supercategory='person',
    keypoints=list(POINTS),
    skeleton=[[1, 2], [1, 3], [2, 3], [3, 4], [3, 5], [4, 5]],  # counted from 1, as COCO does
)


def write_keypoint_annotations(path: Path, images: Sequence[ImageFaces], folder: str) -> None:
    """Write a COCO key point file.

    Args:
        path: of the file; its folder is there.
        images: with sizes.
        folder: of the images, as the file names are to begin.
    """
    annotations: list[Json] = []
    for image_id, image in enumerate(images, 1):
        annotations += _annotations(image, image_id, len(annotations) + 1)
    lines = [
        dict(id=number, file_name=f'{folder}/{image.name}', width=width, height=height)
        for number, image in enumerate(images, 1)
        for width, height in [image.size or (0, 0)]
    ]
    content = dict(images=lines, annotations=annotations, categories=[CATEGORY])
    path.write_text(json.dumps(content), encoding='utf-8')


def _annotations(image: ImageFaces, image_id: int, first_id: int) -> list[Json]:
    """The faces of one image."""
    known = image.visible > UNKNOWN  # [N, 5]
    points = np.where(known[..., None], image.landmarks, 0)
    triples = np.concatenate([points, image.visible[..., None]], 2)
    return [
        dict(
            id=first_id + number,
            image_id=image_id,
            category_id=CATEGORY['id'],
            bbox=box.tolist(),
            area=float(box[2] * box[3]),
            iscrowd=int(image.ignored[number]),
            keypoints=triples[number].ravel().tolist(),
            num_keypoints=int(known[number].sum()),
        )
        for number, box in enumerate(image.boxes_xywh)
    ]
