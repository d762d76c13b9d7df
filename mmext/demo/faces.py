"""The generated face set, in the files that WIDER FACE comes in, and in COCO's of key points.

Every image is drawn from ``(seed, split, number)`` alone: a larger set begins with the images
of a smaller one. Folders and files, below the root of the set::

    WIDER_{train,val}/images/0--Portrait/0_Portrait_0.jpg ...
    wider_face_split/wider_face_{train,val}_bbx_gt.txt     boxes and WIDER's six attributes
    retinaface_gt_v1.1/{train,val}/label.txt               boxes and landmarks
    labelv2/{train,val}/labelv2.txt                        the same, with sizes and ignored faces
    annotations/face_keypoints_{train,val}.json            the same as objects with key points, COCO
    ground_truth/wider_{face,easy,medium,hard}_val.mat     of the evaluation
    details/{train,val}.jsonl                              own attributes and the mesh
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmext.demo.coco_files import encode_jpeg
from mmext.demo.face_scene import FaceGroundTruth, photograph_people
from mmext.demo.head_looks import ATTRIBUTES
from mmext.demo.head_model import MESH_COLUMNS, MESH_ROWS, mesh_flip_pairs, mesh_triangles
from mmext.demo.keypoint_files import write_keypoint_annotations
from mmext.demo.people import draw_people
from mmext.demo.storage import GeneratedSet, Progress, store_splits
from mmext.errors import InputError
from mmext.formats.face_details import (
    FaceDetails,
    ImageDetails,
    MeshTopology,
    write_face_details,
)
from mmext.formats.wider_face_files import INVALID, OCCLUSION, ImageFaces, write_faces
from mmext.formats.wider_face_ground_truth import ImageTruth, write_ground_truth

GENERATOR_VERSION = 2
"""Raise it with every change that alters a pixel or a file."""

MIN_SIDE = 128
SPLITS = ('train', 'val')
EVENTS = {'portrait': 0, 'group': 1, 'crowd': 2, 'odd': 3, 'nobody': 4}
CYCLE = ('portrait', 'group', 'crowd', 'group', 'odd', 'group', 'portrait', 'crowd', 'group')
"""Kind of image ``number % 10``; every tenth has nobody."""

MIN_HEIGHTS = {'easy': 50, 'medium': 24, 'hard': 15}
"""Smallest faces that count in each setting, pixels; heavily occluded ones only in ``hard``."""


@dataclass(frozen=True)
class FaceImage:
    """One image of the set and what is known of it."""

    name: str
    image: NDArray[np.uint8]
    faces: list[FaceGroundTruth]


Picture = FaceImage  # its name until version 0.2


@dataclass(frozen=True)
class Annotation:
    """What the files say of one image; the image itself is not kept."""

    faces: ImageFaces
    details: ImageDetails
    truth: ImageTruth


def write_face_dataset(
    root: str | Path,
    *,
    num_train: int = 600,
    num_val: int = 120,
    image_size: tuple[int, int] = (256, 256),
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> GeneratedSet:
    """Write the data set, or find it there unchanged.

    Args:
        root: its folder: absent, empty or a generated set.
        num_train: images of the training split, at least 1.
        num_val: images of the held-out split, at least 1.
        image_size: width and height in pixels, at least 128 each.
        seed: decides about every image, at least 0.
        overwrite: replace another generated set in ``root``.
        progress: called with (images done, images in all).

    Raises:
        InputError: a number is out of range.
        InputError: ``root`` holds other files or another set.
    """
    counts = dict(zip(SPLITS, (num_train, num_val), strict=True))
    _check_numbers(counts, image_size, seed)

    def write(folder: Path) -> None:
        done, total = 0, sum(counts.values())
        for split, count in counts.items():
            annotations = []
            for number in range(count):
                face_image = draw_face_image(seed, split, number, image_size)
                path = folder / f'WIDER_{split}' / 'images' / face_image.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(encode_jpeg(face_image.image))
                annotations.append(annotate(face_image))
                done += 1
                if progress is not None:
                    progress(done, total)
            write_annotations(folder, split, annotations)

    generator = 'mmext.demo.faces'
    return store_splits(
        root, generator, GENERATOR_VERSION, counts, image_size, seed, write, overwrite
    )


def draw_face_image(seed: int, split: str, number: int, image_size: tuple[int, int]) -> FaceImage:
    """One image of the set; ``image_size`` is width and height."""
    entropy = [seed, SPLITS.index(split), number]
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
    place = number % (len(CYCLE) + 1)
    kind = CYCLE[place] if place < len(CYCLE) else 'nobody'
    image, faces = photograph_people(draw_people(rng, *image_size, kind))
    event = f'{EVENTS[kind]}--{kind.capitalize()}'
    return FaceImage(f'{event}/{event.replace("--", "_")}_{number}.jpg', image, faces)


def annotate(face_image: FaceImage) -> Annotation:
    """What is known of an image, in the forms of the files."""
    return Annotation(
        _image_faces(face_image), _image_details(face_image), _image_ground_truth(face_image)
    )


def write_annotations(folder: Path, split: str, annotations: Sequence[Annotation]) -> None:
    """All annotation files of a split."""
    images = [annotation.faces for annotation in annotations]
    targets = {
        f'wider_face_split/wider_face_{split}_bbx_gt.txt': 'wider',
        f'retinaface_gt_v1.1/{split}/label.txt': 'retinaface',
        f'labelv2/{split}/labelv2.txt': 'labelv2',
    }
    for name, form in targets.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_faces(folder / name, images, form)  # type: ignore[arg-type]
    (folder / 'annotations').mkdir(exist_ok=True)
    write_keypoint_annotations(
        folder / f'annotations/face_keypoints_{split}.json', images, f'WIDER_{split}/images'
    )
    topology = MeshTopology(
        MESH_ROWS * MESH_COLUMNS, tuple(mesh_flip_pairs()), tuple(mesh_triangles())
    )
    details = {annotation.faces.name: annotation.details for annotation in annotations}
    (folder / 'details').mkdir(exist_ok=True)
    write_face_details(
        folder / 'details' / f'{split}.jsonl', FaceDetails(ATTRIBUTES, topology, details)
    )
    if split == 'val':
        (folder / 'ground_truth').mkdir()
        truths = [annotation.truth for annotation in annotations]
        by_event = sorted(truths, key=lambda truth: truth.name.partition('/')[0])
        write_ground_truth(folder / 'ground_truth', by_event)


def _image_faces(face_image: FaceImage) -> ImageFaces:
    """The faces as the text files have them."""
    faces = face_image.faces
    wider = np.array([face.wider for face in faces], np.int64).reshape(-1, 6)
    height, width = face_image.image.shape[:2]
    return ImageFaces(
        face_image.name,
        _boxes(faces),
        np.array([face.landmarks for face in faces]).reshape(-1, 5, 2),
        np.array([face.visible for face in faces], np.int64).reshape(-1, 5),
        wider,
        wider[:, INVALID] == 1,
        size=(width, height),
    )


def _image_details(face_image: FaceImage) -> ImageDetails:
    """Attributes of our own and the mesh."""
    faces, vertices = face_image.faces, MESH_ROWS * MESH_COLUMNS
    return ImageDetails(
        np.array([face.attributes for face in faces], np.int64).reshape(-1, len(ATTRIBUTES)),
        np.array([face.mesh for face in faces], np.float32).reshape(-1, vertices, 3),
        np.array([face.mesh_valid for face in faces], bool),
    )


def _image_ground_truth(face_image: FaceImage) -> ImageTruth:
    """What the evaluation counts."""
    wider = np.array([face.wider for face in face_image.faces], np.int64).reshape(-1, 6)
    boxes = _boxes(face_image.faces)
    valid, clear = wider[:, INVALID] == 0, wider[:, OCCLUSION] < 2
    counted = {
        setting: valid & (boxes[:, 3] >= height) & (clear | (setting == 'hard'))
        for setting, height in MIN_HEIGHTS.items()
    }
    return ImageTruth(face_image.name.removesuffix('.jpg'), boxes, counted, wider)


def _boxes(faces: Sequence[FaceGroundTruth]) -> NDArray[np.float64]:
    return np.array([face.box_xywh for face in faces]).reshape(-1, 4)


def _check_numbers(counts: dict[str, int], image_size: tuple[int, int], seed: int) -> None:
    for split, count in counts.items():
        if count < 1:
            raise InputError(f'num_{split} must be at least 1, got {count}')
    if min(image_size) < MIN_SIDE:
        raise InputError(f'image_size must be at least {MIN_SIDE} pixels, got {image_size}')
    if seed < 0:
        raise InputError(f'seed must be at least 0, got {seed}')
