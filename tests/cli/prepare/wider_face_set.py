"""A WIDER FACE of the published layout, with a few small photos; for tests of two folders."""

from pathlib import Path

import cv2
import numpy as np

from mmext.formats.wider_face_files import ImageFaces, write_faces
from mmext.formats.wider_face_ground_truth import SETTINGS, ImageTruth, write_ground_truth


def write_set(root: Path) -> None:
    """A small but whole download; one face has no area, one landmark is outside."""
    for split in ('train', 'val'):
        names = [f'0--Parade/0_Parade_{split}_{i}.jpg' for i in range(3)]
        boxes = [np.array([[5.0, 5, 20, 20], [30, 10, 0, 5]]), np.array([[1.0, 1, 9, 9]]),
                 np.zeros((0, 4))]  # fmt: skip
        images = []
        for number, (name, box) in enumerate(zip(names, boxes, strict=True)):
            photo = root / f'WIDER_{split}/images' / name
            photo.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(photo), np.full((40, 60 + number, 3), 90, np.uint8))
            points = np.full((len(box), 5, 2), 7.0)
            points[:, 0] = -3
            visible = np.full((len(box), 5), 2)
            attributes = np.zeros((len(box), 6), int)
            images.append(ImageFaces(name, box, points, visible, attributes))
        (root / 'wider_face_split').mkdir(exist_ok=True)
        (root / f'retinaface_gt_v1.1/{split}').mkdir(parents=True)
        wider = root / f'wider_face_split/wider_face_{split}_bbx_gt.txt'
        write_faces(wider, images, 'wider')
        write_faces(root / f'retinaface_gt_v1.1/{split}/label.txt', images, 'retinaface')
    (root / 'ground_truth').mkdir()
    truths = [
        ImageTruth(
            i.name[:-4], i.boxes_xywh, {s: np.ones(len(i), bool) for s in SETTINGS}, i.attributes
        )
        for i in images
    ]
    write_ground_truth(root / 'ground_truth', truths)
