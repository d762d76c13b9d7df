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

from mmext.formats.landmark_sets import LANDMARK_SETS
from mmext.formats.wider_face_files import ImageFaces
from mmext.functional.keypoints import UNKNOWN

Json = dict[str, Any]

CATEGORY: Json = LANDMARK_SETS['face_5'].category_line()


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
