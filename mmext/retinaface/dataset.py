"""WIDER FACE, and data in its formats: faces with landmarks, attributes and meshes."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmdet.datasets import BaseDetDataset
from mmengine.logging import MMLogger

from mmext.errors import InputError, MissingFileError
from mmext.formats.face_details import (
    FaceDetails,
    ImageDetails,
    check_attributes,
    read_face_details,
)
from mmext.formats.wider_face_files import (
    ATTRIBUTES,
    INVALID,
    LANDMARK_FLIP_PAIRS,
    LANDMARK_NAMES,
    NUM_LANDMARKS,
    ImageFaces,
    read_faces,
)
from mmext.formats.wider_face_ground_truth import FACES_FILE, read_ground_truth
from mmext.functional.boxes import xywh_to_xyxy
from mmext.functional.keypoints import flip_permutation
from mmext.pipelines.class_tables import given_metainfo
from mmext.registry import DATASETS

Box = tuple[float, float, float, float]


@DATASETS.register_module()
class WiderFaceDataset(BaseDetDataset):
    """Faces from any of the files in which WIDER FACE comes.

    Each image's data has ``img_path``, ``img_id`` (the name below the folder, as the
    evaluation knows it), ``height`` and ``width`` if the file states them, and ``instances``:

    - ``bbox`` x1, y1, x2, y2 in pixels, ``bbox_label`` 0, ``ignore_flag`` (1 for faces that the
      file ignores or calls invalid);
    - ``keypoints``: x, y, visibility of five landmarks (0 = not annotated, 1 = occluded,
      2 = visible), none annotated in files without landmarks;
    - ``attributes`` ``[A]``, -1 = unknown, and ``mesh`` ``[V, 3]`` or None, where there are any.

    Of ``metainfo`` the pipeline gets ``num_keypoints``, ``flip_pairs``, ``num_attributes``,
    ``num_mesh_vertices`` and ``mesh_flip_pairs``. Faces without area are left out, with one
    warning that says how many.

    Args:
        ann_file: ``label.txt``, ``labelv2.txt``, the original text file, or the folder of the
            ``.mat`` ground truth; the format is found out.
        attribute_file: a second file, the original text file or the ``.mat`` folder, that has
            WIDER's six attributes; faces are found by name and box.
        details_file: attributes and meshes of one's own (:mod:`mmext.formats.face_details`).
        with_wider_attributes: take WIDER's six attributes, before those of ``details_file``.
            ``metainfo['attributes']`` is the list of all.
        data_prefix: ``img`` is the folder of the images.
        metainfo, kwargs: of mmdet's ``BaseDetDataset``; ``filter_cfg=dict(filter_empty_gt=True)``
            leaves out images without a face that is not ignored.

    Raises:
        MissingFileError: a file or the folder of the images is missing.
        InputError: a line is wrong (file and line are named), or the files do not belong together.
    """

    METAINFO = {
        'classes': ('face',),
        'palette': [(255, 90, 40)],
        'num_keypoints': NUM_LANDMARKS,
        'keypoint_names': LANDMARK_NAMES,
        'flip_pairs': LANDMARK_FLIP_PAIRS,
        'attributes': (),
    }

    def __init__(
        self,
        *args: Any,
        attribute_file: str = '',
        details_file: str = '',
        with_wider_attributes: bool = False,
        **kwargs: Any,
    ) -> None:
        self.attribute_file, self.details_file = attribute_file, details_file
        self.with_wider_attributes = with_wider_attributes or bool(attribute_file)
        super().__init__(*args, **kwargs)

    @classmethod
    def _load_metainfo(cls, metainfo: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """With ``classes='auto'`` for the one class that there is."""
        return super()._load_metainfo(given_metainfo(metainfo)[0])

    def load_data_list(self) -> list[dict[str, Any]]:
        """Reads all files and joins them.

        Returns:
            The data of each image, in the order of ``ann_file``.
        """
        folder = self.data_prefix.get('img') or ''
        _require('ann_file', self.ann_file)
        _require('data_prefix.img', folder)
        images = read_images(self.ann_file)
        wider = self._wider_attributes(images)
        details = self._details({image.name for image in images})
        self._take_tables(details)
        num_empty = 0
        data_list = []
        for index, image in enumerate(images):
            fields = _image_details(image, details, wider[index] if wider else None, self.ann_file)
            instances, empty = _instances(image, fields)
            num_empty += empty
            data: dict[str, Any] = {
                'img_path': os.path.join(folder, image.name),
                'img_id': image.name,
                'instances': instances,
            }
            if image.size is not None:
                data['width'], data['height'] = image.size
            data_list.append(data)
        if num_empty:
            MMLogger.get_current_instance().warning(
                f'{self.ann_file}: {num_empty} faces without area are left out'
            )
        return data_list

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """The data of one image, with what its points and attributes are."""
        data_info: dict[str, Any] = super().get_data_info(idx)
        names = ('num_keypoints', 'flip_pairs', 'num_mesh_vertices', 'mesh_flip_pairs')
        data_info |= {name: self._metainfo[name] for name in names if name in self._metainfo}
        data_info['num_attributes'] = len(self._metainfo['attributes'])
        return data_info

    def filter_data(self) -> list[dict[str, Any]]:
        """The images that ``filter_cfg`` keeps; in training one has a face that counts.

        Raises:
            InputError: none has.
        """
        if self.test_mode:
            return list(self.data_list)
        kept = [
            data for data in self.data_list if any(not i['ignore_flag'] for i in data['instances'])
        ]
        if not kept:
            raise InputError(
                f'{self.ann_file}: {len(self.data_list)} images, none with a face that counts'
            )
        return kept if (self.filter_cfg or {}).get('filter_empty_gt') else list(self.data_list)

    def _join_prefix(self) -> None:
        """Also puts ``data_root`` before our two files."""
        super()._join_prefix()
        for name in ('attribute_file', 'details_file'):
            path = getattr(self, name)
            if path and self.data_root and not os.path.isabs(path):
                setattr(self, name, os.path.join(self.data_root, path))

    def _details(self, names: set[str]) -> FaceDetails:
        if not self.details_file:
            return FaceDetails()
        _require('details_file', self.details_file)
        details = read_face_details(self.details_file)
        if details.images and names.isdisjoint(details.images):
            raise InputError(
                f'{self.details_file}: no image of {self.ann_file} is in it: '
                'do the files belong to the same images?'
            )
        return details

    def _take_tables(self, details: FaceDetails) -> None:
        """Puts attributes and mesh into ``metainfo``, or compares them with it."""
        found = (*(ATTRIBUTES if self.with_wider_attributes else ()), *details.attributes)
        source = self.details_file or self.ann_file
        table = check_attributes(found, source)
        stated = self._metainfo.get('attributes')
        if stated and check_attributes(stated, 'metainfo') != table:
            names = [a['name'] for a in table]
            raise InputError(
                f'{source}: has the attributes {names}, metainfo states '
                f'{[a["name"] for a in stated]} (or other values or kinds of them)'
            )
        self._metainfo['attributes'] = table
        if details.mesh is not None:
            flip_permutation(details.mesh.num_vertices, details.mesh.flip_pairs)
            self._metainfo['num_mesh_vertices'] = details.mesh.num_vertices
            self._metainfo['mesh_flip_pairs'] = details.mesh.flip_pairs
            self._metainfo['mesh_triangles'] = details.mesh.triangles

    def _wider_attributes(self, images: Sequence[ImageFaces]) -> list[np.ndarray] | None:
        """WIDER's attributes ``[N, 6]`` of each image, None if they are not wanted."""
        if not self.with_wider_attributes:
            return None
        if not self.attribute_file:
            return [image.attributes for image in images]
        _require('attribute_file', self.attribute_file)
        known = {image.name: image for image in read_images(self.attribute_file)}
        joined = [_attributes_by_box(image, known.get(image.name)) for image in images]
        if all((table < 0).all() for table in joined):
            raise InputError(
                f'{self.attribute_file}: no face of {self.ann_file} is in it: '
                'do the files belong to the same images?'
            )
        return joined


def read_images(path: str) -> list[ImageFaces]:
    """The images of a text file or of a folder with the ``.mat`` ground truth.

    Invalid faces are ignored ones.
    """
    if not os.path.isdir(path):
        images = read_faces(path)
    else:
        if not os.path.isfile(os.path.join(path, FACES_FILE)):
            raise MissingFileError(f'{os.path.abspath(path)}: a folder without {FACES_FILE}')
        images = [
            ImageFaces(f'{truth.name}.jpg', truth.boxes_xywh, attributes=truth.attributes)
            for truth in read_ground_truth(path)
        ]
    for image in images:
        image.ignored[image.attributes[:, INVALID] == 1] = True
    return images


def _require(name: str, place: str) -> None:
    if not place or not os.path.exists(place):
        raise MissingFileError(
            f'{name}: nothing at {os.path.abspath(place) if place else "(not stated)"}. Download '
            f'or link the data set there, or change data_root and {name} in the config'
        )


def _attributes_by_box(image: ImageFaces, other: ImageFaces | None) -> np.ndarray:
    """The attributes of the faces of ``other`` with equal boxes, ``[N, 6]``."""
    table = np.full((len(image), len(ATTRIBUTES)), -1, np.int64)
    if other is not None:
        places: dict[Box, int] = {tuple(box): i for i, box in enumerate(other.boxes_xywh.tolist())}
        for row, box in enumerate(image.boxes_xywh.tolist()):
            place = places.get(tuple(box))
            if place is not None:
                table[row] = other.attributes[place]
    return table


def _image_details(
    image: ImageFaces, details: FaceDetails, wider: np.ndarray | None, source: str
) -> ImageDetails:
    """All that is known of the faces of an image, in one table."""
    own = details.images.get(image.name)
    count = len(image)
    if own is not None and len(own.attributes) != count:
        raise InputError(
            f'{source}:{image.line}: {image.name} has {count} faces, '
            f'its details (line {own.line}) are of {len(own.attributes)}'
        )
    if own is None:
        vertices = details.mesh.num_vertices if details.mesh else 0
        own = ImageDetails(
            np.full((count, len(details.attributes)), -1, np.int64),
            np.zeros((count, vertices, 3), np.float32),
            np.zeros(count, bool),
        )
    if wider is None:
        return own
    attributes = np.concatenate([wider, own.attributes], axis=1)
    return ImageDetails(attributes, own.mesh, own.mesh_valid, own.line)


def _instances(image: ImageFaces, details: ImageDetails) -> tuple[list[dict[str, Any]], int]:
    """The faces of an image that have area, and how many have none."""
    boxes = xywh_to_xyxy(image.boxes_xywh)
    has_area = (image.boxes_xywh[:, 2:] > 0).all(axis=1)
    keypoints = np.concatenate([image.landmarks, image.visible[..., None]], axis=-1)
    instances = []
    for face in np.flatnonzero(has_area):
        instance: dict[str, Any] = {
            'bbox': boxes[face].tolist(),
            'bbox_label': 0,
            'ignore_flag': int(image.ignored[face]),
            'keypoints': keypoints[face].ravel().tolist(),
        }
        if details.attributes.shape[1]:
            instance['attributes'] = details.attributes[face].tolist()
        if details.mesh.shape[1]:
            instance['mesh'] = details.mesh[face] if details.mesh_valid[face] else None
        instances.append(instance)
    return instances, int((~has_area).sum())
