"""What a COCO file says, with every value in the one form that the rest of the house reads.

Exporters write ``"1"``, ``1.0``, ``true`` or ``null`` where COCO has a number, leave ``area`` or
``iscrowd`` out, begin ids at 0 or use hashes and names as ids. Here it becomes the same, once,
before a data set or an evaluation engine sees it:

- ids are int where they are written as whole numbers (``"7"``, ``7.0``), else the text itself;
- ``bbox`` is four floats x, y, w, h in px; ``iscrowd`` 0 or 1; ``area`` positive where it can be;
- ``segmentation`` is a run-length code, a list of polygons, or not there;
- annotation ids are 1, 2, ... in the order of the file;
- ``file_name`` has forward slashes.

What cannot be used is counted by :class:`~mmext.formats.coco_faults.Fault`, with the first
example; who reads the records decides which faults stop a run.

Format: https://cocodataset.org/#format-data.
"""

import math
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from mmext.formats.coco_boxes import is_usable_box, read_box
from mmext.formats.coco_faults import Fault, Faults
from mmext.formats.coco_masks import is_plain_polygons, mask_area, read_mask
from mmext.formats.coco_tables import category_table_of, check_form, image_table, oddities
from mmext.formats.coco_values import Id, Json, canonical_id, flag

_NUMBERS = {int, float}


@dataclass
class CocoRecords:
    """A COCO file in one form.

    Attributes:
        images: by id, in the order of the file.
        categories: by id, in the order of the file.
        annotations: of known images and categories, in the order of the file; each has
            ``id``, ``image_id``, ``category_id``, ``iscrowd`` and, unless a fault says otherwise,
            ``bbox`` and ``area``.
        faults: of all annotations of the file.
        notes: what was read otherwise than it was written, one sentence each.
        num_written: annotations in the file.
        unusable: ids of the annotations whose box cannot be used.
    """

    images: dict[Id, Json]
    categories: dict[Id, Json]
    annotations: list[Json]
    faults: Faults
    notes: list[str]
    num_written: int
    unusable: set[int]

    def content(self) -> Json:
        """``images``, ``annotations`` and ``categories`` as the file would have them."""
        return {
            'images': list(self.images.values()),
            'annotations': self.annotations,
            'categories': list(self.categories.values()),
        }


def coco_records(content: Any, source: str, with_names: bool = True) -> CocoRecords:
    """The records of an instances or key point file.

    Args:
        content: what the JSON holds; unchanged.
        source: its name, for errors.
        with_names: every image must have a file name.

    Raises:
        InputError: it is no such file, an id is none, an image id, a category id or a category
            name is used twice, a size is none.
    """
    check_form(content, source)
    images = image_table(content['images'], source, with_names)
    categories = category_table_of(content['categories'], source)
    faults, notes = Faults(), _Notes()
    annotations, unusable = [], set()
    written = content.get('annotations') or []
    for number, raw in enumerate(written, start=1):
        if _is_plain(raw, images, categories):
            box = list(map(float, raw['bbox']))
            annotations.append({**raw, 'id': number, 'bbox': box, 'area': float(raw['area'])})
            continue
        annotation = _identified(raw, source, number, notes)
        image = images.get(annotation['image_id'])
        where = f'annotation {raw.get("id", f"number {number}")} of image {annotation["image_id"]}'
        if image is None:
            faults.add(Fault.UNKNOWN_IMAGE, where)
        elif annotation['category_id'] not in categories:
            faults.add(Fault.UNKNOWN_CATEGORY, f'{where}, category {annotation["category_id"]}')
        else:
            read_box(annotation, image, faults, where)
            if not is_usable_box(annotation.get('bbox'), image):
                unusable.add(number)
            read_mask(annotation, image, faults, where)
            _read_area(annotation, image, notes)
            annotations.append(annotation)
    sentences = notes.sentences() + oddities(images, categories)
    return CocoRecords(images, categories, annotations, faults, sentences, len(written), unusable)


class _Notes:
    """What was read otherwise than written, by sentence."""

    def __init__(self) -> None:
        self.areas = 0
        self.numbers = 0

    def sentences(self) -> list[str]:
        counted = {
            'areas were missing or not positive and come from the mask or the box': self.areas,
            'ids or flags were written as text and are read as numbers': self.numbers,
        }
        return [f'{count} {text}' for text, count in counted.items() if count]


def _identified(raw: Mapping[str, Any], source: str, number: int, notes: _Notes) -> Json:
    """A copy with ids and ``iscrowd`` in one form."""
    annotation = dict(raw, id=number)
    where = f'annotation {raw.get("id", f"number {number}")}'
    for key in ('image_id', 'category_id'):
        written = raw.get(key)
        if type(written) is not int:
            annotation[key] = canonical_id(written, f'{source}: {key} of {where}')
            notes.numbers += isinstance(written, str) and isinstance(annotation[key], int)
    crowd = raw.get('iscrowd')
    if crowd != 0 or type(crowd) is not int:
        notes.numbers += isinstance(crowd, str)
        annotation['iscrowd'] = flag(crowd, f'{source}: iscrowd of {where}')
    if 'ignore' in raw:
        annotation['ignore'] = flag(raw['ignore'], f'{source}: ignore of {where}')
    return annotation


def _is_plain(raw: Mapping[str, Any], images: Mapping[Id, Json], categories: Container[Id]) -> bool:
    """Whether an object is usable as it is written, as nearly all are: one look at each value."""
    image_id, category_id, crowd = raw.get('image_id'), raw.get('category_id'), raw.get('iscrowd')
    if type(image_id) is not int or type(category_id) is not int or type(crowd) is not int:
        return False
    if crowd or image_id not in images or category_id not in categories or 'ignore' in raw:
        return False
    image = images[image_id]
    box: Any = raw.get('bbox')
    area: Any = raw.get('area')
    if type(box) is not list or len(box) != 4 or not {*map(type, box), type(area)} <= _NUMBERS:
        return False
    if not (is_usable_box(box, image) and 0 < area < math.inf):
        return False
    return is_plain_polygons(raw.get('segmentation'))


def _read_area(annotation: Json, image: Mapping[str, Any], notes: _Notes) -> None:
    try:
        area = float(annotation.get('area') or 0)
    except (TypeError, ValueError):
        area = 0.0
    if not 0 < area < math.inf:
        area = _own_area(annotation, image)
        notes.areas += 1
    annotation['area'] = area


def _own_area(annotation: Mapping[str, Any], image: Mapping[str, Any]) -> float:
    """Pixels of the mask, or of the box where there is none."""
    mask = annotation.get('segmentation')
    if mask:
        return mask_area(mask, image['height'], image['width'])
    box = annotation.get('bbox', (0, 0, 0, 0))
    return max(0.0, box[2]) * max(0.0, box[3])
