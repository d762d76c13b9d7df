"""Writes one split of a video panoptic data set: COCO's panoptic format with videos.

Layout::

    <root>/<split>/000001/00000.jpg                          video 1, frame 0
    <root>/annotations/panoptic_<split>/000001/00000.png     id = R + 256 G + 65536 B, 0 void
    <root>/annotations/panoptic_<split>.json

The JSON is a COCO panoptic file with a list ``videos`` (``id``, ``name``) and, in each entry of
``images``, ``video_id`` and ``frame_id``. A segment has the same id in all frames of its video,
a class of stuff in all videos.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmext.demo.categories import Category
from mmext.demo.coco_files import (
    LICENSE_ID,
    LICENSES,
    Json,
    Segment,
    category_lines,
    encode_jpeg,
    free_id,
    tight_box,
)
from mmext.formats.panoptic_files import encode_id_png


class FrameImage(NamedTuple):
    """A frame: RGB uint8 [height, width, 3] and segment keys int32 [height, width]."""

    image: NDArray[np.uint8]
    keys: NDArray[np.int32]


FramePicture = FrameImage  # its name until version 0.2


class VideoPanopticSplitWriter:
    """Writes frames as they come and the JSON file at the end.

    Args:
        root: The data set's folder; sub-folders are made.
        split: ``'train'`` or ``'val'``.
        categories: Category of each label.
        description: What the data set is, for the JSON file's ``info``.
    """

    def __init__(
        self, root: Path, split: str, categories: Sequence[Category], description: str
    ) -> None:
        self._photos = root / split
        self._maps = root / 'annotations' / f'panoptic_{split}'
        self._json = root / 'annotations' / f'panoptic_{split}.json'
        self._categories = categories
        self._info = {'description': description, 'version': '1.0', 'contributor': 'mmext'}
        self._videos: list[Json] = []
        self._images: list[Json] = []
        self._annotations: list[Json] = []
        self._photos.mkdir(parents=True)
        self._maps.mkdir(parents=True)

    def add(
        self, video_id: int, frames: Iterable[FrameImage], segments: Mapping[int, Segment]
    ) -> None:
        """Write one video.

        Args:
            video_id: Its id, also the name of its folders.
            frames: In their order.
            segments: The meaning of the keys; a key that is not in it is void.
        """
        name = f'{video_id:06d}'
        (self._photos / name).mkdir()
        (self._maps / name).mkdir()
        self._videos.append({'id': video_id, 'name': name})
        ids = self._ids_of_keys(segments)
        for number, (image, keys) in enumerate(frames):
            image_id = 1000 * video_id + number
            stem = f'{name}/{number:05d}'
            height, width = keys.shape
            self._images.append(
                {
                    'id': image_id,
                    'file_name': f'{stem}.jpg',
                    'width': width,
                    'height': height,
                    'license': LICENSE_ID,
                    'video_id': video_id,
                    'frame_id': number,
                }
            )
            id_map = np.zeros(keys.shape, np.int64)
            infos = []
            for key, segment_id in ids.items():
                mask = keys == key
                if mask.any():
                    id_map[mask] = segment_id
                    infos.append(self._describe(mask, segments[key], segment_id))
            self._annotations.append(
                {'image_id': image_id, 'file_name': f'{stem}.png', 'segments_info': infos}
            )
            (self._photos / f'{stem}.jpg').write_bytes(encode_jpeg(image))
            (self._maps / f'{stem}.png').write_bytes(encode_id_png(id_map))

    def close(self) -> None:
        """Write the JSON file."""
        content = {
            'info': self._info,
            'licenses': LICENSES,
            'videos': self._videos,
            'images': self._images,
            'annotations': self._annotations,
            'categories': category_lines(self._categories),
        }
        self._json.write_text(json.dumps(content), encoding='utf-8')

    def _ids_of_keys(self, segments: Mapping[int, Segment]) -> dict[int, int]:
        """The id of each key in this video; stuff first, so that it has its category's color."""
        ids: dict[int, int] = {}
        taken = {free_id(category.color, set()) for category in self._categories}
        for key in sorted(segments):
            category = self._categories[segments[key].label]
            ids[key] = free_id(category.color, taken if category.isthing else set())
            taken.add(ids[key])
        return ids

    def _describe(self, mask: NDArray[np.bool_], segment: Segment, segment_id: int) -> Json:
        """The ``segments_info`` entry of one segment."""
        return {
            'id': segment_id,
            'category_id': self._categories[segment.label].id,
            'iscrowd': int(segment.is_crowd),
            'bbox': tight_box(mask),
            'area': int(np.count_nonzero(mask)),
        }
