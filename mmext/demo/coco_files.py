"""Writes one split of a COCO panoptic + instances data set in the public file formats.

Layout, as a download of COCO has it::

    <root>/<split>2017/000000000001.jpg
    <root>/annotations/panoptic_<split>2017/000000000001.png   id = R + 256 G + 65536 B, 0 void
    <root>/annotations/panoptic_<split>2017.json               segments_info of every image
    <root>/annotations/instances_<split>2017.json              things only, masks as RLE

Masks are run-length coded, thus exact: compressed for single things,
uncompressed for crowds, the two codings that COCO's own files contain.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as mask_coding

from mmext.demo.categories import Category
from mmext.errors import InputError
from mmext.formats.panoptic_files import encode_id_png

JPEG_QUALITY = 95
LICENSE_ID = 1
Json = dict[str, Any]
LICENSES: list[Json] = [
    {
        'id': LICENSE_ID,
        'name': 'Apache License 2.0',
        'url': 'https://www.apache.org/licenses/LICENSE-2.0',
    }
]


class Segment(NamedTuple):
    """What a key of the segment map stands for."""

    label: int
    is_crowd: bool = False


class PanopticSplitWriter:
    """Writes images as they come and the JSON files at the end.

    Args:
        root: The data set's folder; sub-folders are made.
        split: ``'train'`` or ``'val'``.
        categories: Category of each label.
        description: What the data set is, for the JSON files' ``info``.
    """

    def __init__(
        self, root: Path, split: str, categories: Sequence[Category], description: str
    ) -> None:
        self._annotations = root / 'annotations'
        self._name = f'{split}2017'
        self._photos = root / self._name
        self._maps = self._annotations / f'panoptic_{self._name}'
        self._categories = categories
        self._info = {'description': description, 'version': '1.0', 'contributor': 'mmext'}
        self._images: list[Json] = []
        self._panoptic: list[Json] = []
        self._instances: list[Json] = []
        self._photos.mkdir(parents=True)
        self._maps.mkdir(parents=True)

    def add(
        self,
        image_id: int,
        image: NDArray[np.uint8],
        keys: NDArray[np.int32],
        segments: Mapping[int, Segment],
    ) -> None:
        """Write one image.

        Args:
            image_id: Its id, also its file name.
            image: RGB, uint8 [height, width, 3].
            keys: Segment key of each pixel, int32 [height, width]; a key that
                ``segments`` does not name is void.
            segments: The meaning of the keys.
        """
        stem = f'{image_id:012d}'
        ids = np.zeros(keys.shape, np.int64)
        infos: list[Json] = []
        for key in sorted(segments):
            mask = keys == key
            if mask.any():
                info = self._describe(mask, segments[key], {known['id'] for known in infos})
                ids[mask] = info['id']
                infos.append(info)
                self._add_instance(image_id, mask, info)
        height, width = keys.shape
        self._images.append(
            {
                'id': image_id,
                'file_name': f'{stem}.jpg',
                'width': width,
                'height': height,
                'license': LICENSE_ID,
            }
        )
        self._panoptic.append(
            {'image_id': image_id, 'file_name': f'{stem}.png', 'segments_info': infos}
        )
        (self._photos / f'{stem}.jpg').write_bytes(encode_jpeg(image))
        (self._maps / f'{stem}.png').write_bytes(encode_id_png(ids))

    def close(self) -> None:
        """Write the JSON files."""
        table = category_lines(self._categories)
        things = [
            {key: line[key] for key in ('id', 'name', 'supercategory')}
            for line in table
            if line['isthing']
        ]
        self._write_json('panoptic', self._panoptic, table)
        self._write_json('instances', self._instances, things)

    def _describe(self, mask: NDArray[np.bool_], segment: Segment, taken: set[int]) -> Json:
        """The ``segments_info`` entry of one segment."""
        category = self._categories[segment.label]
        return {
            'id': free_id(category.color, taken),
            'category_id': category.id,
            'iscrowd': int(segment.is_crowd),
            'bbox': tight_box(mask),
            'area': int(np.count_nonzero(mask)),
        }

    def _add_instance(self, image_id: int, mask: NDArray[np.bool_], info: Json) -> None:
        things = {category.id for category in self._categories if category.isthing}
        if info['category_id'] not in things:
            return
        coding = uncompressed_rle if info['iscrowd'] else compressed_rle
        self._instances.append(
            {
                **info,
                'id': len(self._instances) + 1,
                'image_id': image_id,
                'segmentation': coding(mask),
            }
        )

    def _write_json(self, kind: str, annotations: list[Json], categories: list[Json]) -> None:
        content = {
            'info': self._info,
            'licenses': LICENSES,
            'images': self._images,
            'annotations': annotations,
            'categories': categories,
        }
        path = self._annotations / f'{kind}_{self._name}.json'
        path.write_text(json.dumps(content), encoding='utf-8')


def category_lines(categories: Sequence[Category]) -> list[Json]:
    """The ``categories`` of a panoptic JSON."""
    return [
        category._asdict() | {'isthing': int(category.isthing), 'color': list(category.color)}
        for category in categories
    ]


def free_id(color: tuple[int, int, int], taken: set[int]) -> int:
    """An id that shows as the category's color, or as one near it, in the PNG file."""
    for number in range(510):
        shifted = (c + number * step for c, step in zip(color, (-37, 29, 23), strict=True))
        red, green, blue = (255 - abs(255 - channel % 510) for channel in shifted)  # reflected
        segment_id = red + 256 * green + 65536 * blue
        if segment_id and segment_id not in taken:
            return segment_id
    raise InputError(f'no free segment id near color {color} beside {len(taken)} others')


def tight_box(mask: NDArray[np.bool_]) -> list[int]:
    """[x, y, width, height] of the pixels that are set."""
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return [x, y, width, height]


def compressed_rle(mask: NDArray[np.bool_]) -> Json:
    """The run-length code of a mask ``[h, w]`` as COCO's text."""
    coded = mask_coding.encode(np.asfortranarray(mask, np.uint8))
    return {'size': list(mask.shape), 'counts': coded['counts'].decode('ascii')}


def uncompressed_rle(mask: NDArray[np.bool_]) -> Json:
    """Lengths of the runs of zeros and ones in turn, column by column, zeros first."""
    pixels = np.concatenate(([False], mask.ravel(order='F')))
    starts = np.flatnonzero(pixels[1:] != pixels[:-1])
    counts = np.diff(np.concatenate(([0], starts, [mask.size])))
    return {'size': list(mask.shape), 'counts': counts.tolist()}


def encode_jpeg(image: NDArray[np.uint8]) -> bytes:
    """A JPEG file of an RGB image."""
    bgr = np.ascontiguousarray(image[..., ::-1])
    return cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
