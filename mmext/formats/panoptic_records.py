"""What a COCO panoptic file says, in the one form of :mod:`mmext.formats.coco_records`.

Each annotation is one image with its ``segments_info``; a segment has ``id`` (1 to 2^24 - 1),
``category_id``, ``iscrowd`` 0 or 1 and, as far as the file has them, ``area`` and ``bbox``.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmext.errors import InputError
from mmext.formats.coco_boxes import read_box
from mmext.formats.coco_faults import Fault, Faults
from mmext.formats.coco_tables import category_table_of, check_form, image_table
from mmext.formats.coco_values import Id, Json, canonical_id, flag

_MAX_ID = (1 << 24) - 1


@dataclass
class PanopticRecords:
    """A COCO panoptic file in one form.

    Attributes:
        images: by id, in the order of the file.
        categories: by id, in the order of the file; ``isthing`` is 0 or 1.
        annotations: by the id of the image.
        faults: of all segments.
    """

    images: dict[Id, Json]
    categories: dict[Id, Json]
    annotations: dict[Id, Json]
    faults: Faults

    @property
    def unannotated(self) -> list[Id]:
        """Images without an annotation; none where no image has one (a test set)."""
        return [i for i in self.images if i not in self.annotations] if self.annotations else []

    def content(self) -> Json:
        """``images``, ``annotations`` and ``categories`` as the file would have them."""
        return {
            'images': list(self.images.values()),
            'annotations': list(self.annotations.values()),
            'categories': list(self.categories.values()),
        }


def panoptic_records(content: Any, source: str) -> PanopticRecords:
    """The records of a panoptic file.

    Args:
        content: what the JSON holds; unchanged.
        source: its name, for errors.

    Raises:
        InputError: it is no panoptic file, or one of its values is none.
    """
    check_form(content, source, 'COCO panoptic file')
    written = content.get('annotations') or []
    if written and not any('segments_info' in annotation for annotation in written):
        raise InputError(
            f'{source}: no COCO panoptic file, its annotations have no segments_info; is it an '
            'instances file?'
        )
    images = image_table(content['images'], source)
    categories = panoptic_categories(content['categories'], source)
    faults = Faults()
    annotations = panoptic_annotations(written, source, categories)
    for image_id in [i for i in annotations if i not in images]:
        faults.add(Fault.UNKNOWN_IMAGE, f'annotation of image {image_id}')
        del annotations[image_id]
    for image_id, annotation in annotations.items():
        for segment in annotation['segments_info']:
            if categories[segment['category_id']]['isthing']:
                where = f'segment {segment["id"]} of image {image_id}'
                read_box(segment, images[image_id], faults, where)
    return PanopticRecords(images, categories, annotations, faults)


def panoptic_truth(content: Any, source: str) -> Json:
    """``annotations`` and ``categories`` of a file that is compared with, in one form.

    Args:
        content: what the JSON holds, with or without ``images``; unchanged.
        source: its name, for errors.

    Raises:
        InputError: it is no panoptic file, or one of its values is none.
    """
    if not isinstance(content, Mapping) or not {'annotations', 'categories'} <= content.keys():
        raise InputError(f'{source}: no panoptic file (annotations and categories)')
    categories = panoptic_categories(content['categories'], source)
    annotations = panoptic_annotations(content['annotations'], source, categories)
    return {
        'annotations': list(annotations.values()),
        'categories': list(categories.values()),
    }


def panoptic_categories(written: Sequence[Mapping[str, Any]], source: str) -> dict[Id, Json]:
    """The categories by id, each with ``isthing`` 0 or 1.

    Raises:
        InputError: one has no name or no ``isthing``, or two have the same id or name.
    """
    categories = category_table_of(written, source)
    for category in categories.values():
        what = f'{source}: isthing of category {category["id"]} ({category["name"]})'
        if category.get('isthing') is None:
            raise InputError(f'{what} is missing; expected 1 for things, 0 for stuff')
        category['isthing'] = flag(category['isthing'], what)
    return categories


def panoptic_annotations(
    written: Any, source: str, categories: Container[Id] | None = None
) -> dict[Id, Json]:
    """The annotations by the id of their image.

    Args:
        written: ``annotations`` of a panoptic file or of a results file.
        source: its name, for errors.
        categories: that a segment may have; None takes any.

    Raises:
        InputError: a value is none, or an image is annotated twice.
    """
    annotations: dict[Id, Json] = {}
    for annotation in annotation_list(written, source, ('image_id', 'file_name'), categories):
        if annotation['image_id'] in annotations:
            raise InputError(f'{source}: image {annotation["image_id"]} is annotated twice')
        annotations[annotation['image_id']] = annotation
    return annotations


def annotation_list(
    written: Any,
    source: str,
    required: Container[str] = (),
    categories: Container[Id] | None = None,
) -> list[Json]:
    """The annotations in the order of the file.

    Args:
        written: ``annotations`` of a panoptic file or of a results file.
        source: its name, for errors.
        required: which of ``image_id`` and ``file_name`` each must have.
        categories: that a segment may have; None takes any.

    Raises:
        InputError: a value is none.
    """
    if not isinstance(written, list):
        raise InputError(f'{source}: annotations is a {type(written).__name__}; expected a list')
    annotations = []
    for number, raw in enumerate(written, start=1):
        where = f'annotation number {number}'
        if not isinstance(raw, Mapping):
            raise InputError(f'{source}: {where} is {raw!r}; expected an object')
        annotation = dict(raw)
        if 'image_id' in required or raw.get('image_id') is not None:
            what = f'{source}: image_id of {where}'
            annotation['image_id'] = canonical_id(raw.get('image_id'), what)
            where = f'the annotation of image {annotation["image_id"]}'
        name, segments = raw.get('file_name'), raw.get('segments_info')
        if isinstance(name, str) and name and '\0' not in name:
            annotation['file_name'] = name.replace('\\', '/')
        elif name is not None or 'file_name' in required:
            raise InputError(f'{source}: file_name of {where} is {name!r}; expected that of a PNG')
        if not isinstance(segments, list):
            raise InputError(f'{source}: segments_info of {where} is {segments!r}; expected a list')
        annotation['segments_info'] = [_segment(s, source, where, categories) for s in segments]
        annotations.append(annotation)
    return annotations


def _segment(raw: Any, source: str, where: str, categories: Container[Id] | None) -> Json:
    if not isinstance(raw, Mapping):
        raise InputError(f'{source}: a segment of {where} is {raw!r}; expected an object')
    identity = canonical_id(raw.get('id'), f'{source}: id of a segment in {where}')
    where = f'segment {identity} in {where}'
    if not isinstance(identity, int) or not 0 < identity <= _MAX_ID:
        raise InputError(f'{source}: id of {where} is not between 1 and {_MAX_ID}')
    segment = dict(raw, id=identity)
    segment['category_id'] = canonical_id(
        raw.get('category_id'), f'{source}: category_id of {where}'
    )
    if categories is not None and segment['category_id'] not in categories:
        raise InputError(
            f'{source}: category_id {segment["category_id"]} of {where} is not in its categories'
        )
    segment['iscrowd'] = flag(raw.get('iscrowd'), f'{source}: iscrowd of {where}')
    if raw.get('area') is not None:
        segment['area'] = _area(raw['area'], f'{source}: area of {where}')
    else:
        segment.pop('area', None)
    return segment


def _area(value: Any, what: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InputError(f'{what} is {value!r}; expected a number of pixels') from None
