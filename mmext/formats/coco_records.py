"""What a COCO file says, with every value in the one form that the rest of the house reads.

Exporters write ``"1"``, ``1.0``, ``true`` or ``null`` where COCO has a number, leave ``area`` or
``iscrowd`` out, begin ids at 0 or use hashes and names as ids. Here it becomes the same, once,
before a data set or an evaluation engine sees it:

- ids are int where they are written as whole numbers (``"7"``, ``7.0``), else the text itself;
- ``bbox`` is four floats x, y, w, h in px; ``iscrowd`` 0 or 1; ``area`` positive where it can be;
- ``segmentation`` is a run-length code, a list of polygons, or not there;
- annotation ids are 1, 2, ... in the order of the file;
- ``file_name`` has forward slashes.

What cannot be used is counted by :class:`Fault`, with the first example; who reads the records
decides which faults stop a run.

Format: https://cocodataset.org/#format-data.
"""

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pycocotools import mask as run_lengths

from mmext.errors import InputError

Json = dict[str, Any]
Id = int | str

_FLAGS = {None: 0, '': 0, '0': 0, '0.0': 0, 'false': 0, '1': 1, '1.0': 1, 'true': 1}
_NUMBERS = {int, float}
_NAMED = 3
_MIN_POLYGON = 6  # numbers of three points


class Fault(StrEnum):
    """What can be wrong with an object; the text completes "12 objects ..."."""

    UNKNOWN_IMAGE = 'of images that the file does not list'
    UNKNOWN_CATEGORY = 'of categories that the file does not list'
    NO_BOX = 'without bbox'
    BAD_BOX = 'whose bbox is not four numbers'
    NOT_FINITE = 'with a bbox that is not finite'
    SMALL = 'smaller than a pixel'
    OUTSIDE = 'outside of their image'
    BAD_MASK = 'whose segmentation is neither polygons nor a run-length code of the image'


UNREADABLE = (Fault.NO_BOX, Fault.BAD_BOX)
"""Faults of a file that was written wrongly: no one can guess the box."""


@dataclass
class Faults:
    """How often each fault occurs, and where first."""

    counts: dict[Fault, int] = field(default_factory=dict)
    first: dict[Fault, str] = field(default_factory=dict)

    def add(self, fault: Fault, where: str) -> None:
        """Count one."""
        self.counts[fault] = self.counts.get(fault, 0) + 1
        self.first.setdefault(fault, where)

    def text(self, fault: Fault) -> str:
        """``3 without bbox (first: annotation 7 of image 2)``."""
        return f'{self.counts[fault]} {fault} (first: {self.first[fault]})'

    def refuse(self, faults: Iterable[Fault], source: str, remedy: str) -> None:
        """Raise InputError if one of ``faults`` occurs."""
        found = [self.text(fault) for fault in faults if fault in self.counts]
        if found:
            raise InputError(f'{source}: objects {"; ".join(found)}. {remedy}')


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
    """

    images: dict[Id, Json]
    categories: dict[Id, Json]
    annotations: list[Json]
    faults: Faults
    notes: list[str]
    num_written: int

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
    annotations = []
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
            _read_mask(annotation, image, faults, where)
            _read_area(annotation, image, notes)
            annotations.append(annotation)
    return CocoRecords(images, categories, annotations, faults, notes.sentences(), len(written))


def check_form(content: Any, source: str, kind: str = 'COCO file') -> None:
    """Look at the outermost form of an annotation file.

    Raises:
        InputError: it is no object with lists of images, annotations and categories.
    """
    if not isinstance(content, Mapping):
        raise InputError(f'{source}: no {kind}, it holds {_kind(content)}; expected an object')
    lacking = [key for key in ('images', 'categories') if key not in content]
    if lacking:
        raise InputError(f'{source}: no {kind}, it has no {" and no ".join(map(repr, lacking))}')
    for key in ('images', 'annotations', 'categories'):
        value = content.get(key) if key in content else []
        if value is None and key == 'annotations':
            continue
        if not isinstance(value, list):
            raise InputError(f'{source}: {key!r} is {_kind(value)}; expected a list')
        wrong = next((i for i, item in enumerate(value) if not isinstance(item, Mapping)), None)
        if wrong is not None:
            raise InputError(
                f'{source}: {key}[{wrong}] is {_kind(value[wrong])}; expected an object'
            )
    for key in ('images', 'categories'):
        if not content[key]:
            raise InputError(f'{source}: {key!r} is empty')


def image_table(
    written: Sequence[Mapping[str, Any]], source: str, with_names: bool = True
) -> dict[Id, Json]:
    """The images by id, with ``file_name`` as text and ``width`` and ``height`` as whole numbers.

    Raises:
        InputError: one has no name or size, or two have the same id.
    """
    images: dict[Id, Json] = {}
    for number, raw in enumerate(written, start=1):
        where = f'image {raw.get("id", f"number {number}")}'
        image = dict(raw, id=canonical_id(raw.get('id'), f'{source}: id of {where}'))
        if with_names:
            image['file_name'] = _file_name(raw.get('file_name'), f'{source}: file_name of {where}')
        for side in ('width', 'height'):
            image[side] = _size(raw.get(side), f'{source}: {side} of {where}')
        if image['id'] in images:
            raise InputError(
                f'{source}: image id {image["id"]} is used twice, by '
                f'{images[image["id"]].get("file_name")} and {image.get("file_name")}'
            )
        images[image['id']] = image
    return images


def category_table_of(written: Sequence[Mapping[str, Any]], source: str) -> dict[Id, Json]:
    """The categories by id.

    Raises:
        InputError: one has no name, or two have the same id or name.
    """
    categories: dict[Id, Json] = {}
    names: dict[str, Id] = {}
    for number, raw in enumerate(written, start=1):
        if not isinstance(raw, Mapping):
            raise InputError(f'{source}: category number {number} is {raw!r}; expected an object')
        where = f'category {raw.get("id", f"number {number}")}'
        identity = canonical_id(raw.get('id'), f'{source}: id of {where}')
        name = raw.get('name')
        if isinstance(name, int | float) and not isinstance(name, bool):
            name = str(name)
        if not isinstance(name, str) or not name.strip():
            raise InputError(f'{source}: name of {where} is {name!r}; expected text')
        if identity in categories:
            raise InputError(f'{source}: category id {identity} is used twice')
        if name in names:
            raise InputError(
                f'{source}: categories {names[name]} and {identity} are both named {name!r}; '
                'give each class one category'
            )
        names[name] = identity
        categories[identity] = dict(raw, id=identity, name=name)
    return categories


def canonical_id(value: Any, what: str = 'id') -> Id:
    """An id in one form: whole numbers as int however they are written, other texts as they are.

    Args:
        value: of the JSON, or of a data sample.
        what: names it in the error.

    Raises:
        InputError: it is neither a whole number nor a text.

    >>> canonical_id('7'), canonical_id(7.0), canonical_id('007'), canonical_id('cam_7')
    (7, 7, '007', 'cam_7')
    """
    if type(value) is int:
        return value
    if isinstance(value, str) and value:
        digits = value.removeprefix('-')
        plain = digits.isascii() and digits.isdigit() and (digits == '0' or digits[0] != '0')
        return int(value) if plain else value
    if isinstance(value, bool) or value is None or value == '':
        raise InputError(f'{what} is {value!r}; expected a number or a name')
    try:
        whole = int(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f'{what} is {value!r}; expected a number or a name') from None
    if whole != value:
        raise InputError(f'{what} is {value!r}; expected a whole number or a name')
    return whole


def flag(value: Any, what: str) -> int:
    """0 or 1, however it is written; nothing is 0.

    Raises:
        InputError: it is neither.
    """
    if isinstance(value, str):
        value = value.strip().lower()
    elif isinstance(value, float | int):
        value = str(int(value)) if value in (0, 1) else value
    if not isinstance(value, str | None) or value not in _FLAGS:
        raise InputError(f'{what} is {value!r}; expected 0 or 1')
    return _FLAGS[value]


def read_box(record: Json, image: Mapping[str, Any], faults: Faults, where: str) -> None:
    """Bring ``bbox`` into one form, in place; count what is wrong with it.

    A box that is no four numbers is taken out of the record.
    """
    written = record.get('bbox')
    if written is None:
        record.pop('bbox', None)
        faults.add(Fault.NO_BOX, where)
        return
    try:
        x, y, w, h = (float(value) for value in written)
    except (TypeError, ValueError):
        record.pop('bbox')
        faults.add(Fault.BAD_BOX, f'{where}, {written!r}')
        return
    record['bbox'] = [x, y, w, h]
    if not math.isfinite(x + y + w + h):
        faults.add(Fault.NOT_FINITE, f'{where}, {written}')
    elif w < 1 or h < 1:
        faults.add(Fault.SMALL, f'{where}, {written}')
    elif x >= image['width'] or y >= image['height'] or x + w <= 0 or y + h <= 0:
        faults.add(Fault.OUTSIDE, f'{where}, {written}')


def refuse_unreadable(faults: Faults, source: str) -> None:
    """Raise InputError if an object has no box that can be read."""
    faults.refuse(
        UNREADABLE, source, 'bbox is x, y, width, height in pixels: correct or remove them'
    )


def is_usable_box(box: Sequence[float] | None, image: Mapping[str, Any]) -> bool:
    """Whether a box x, y, w, h is finite, at least a pixel wide and high, and not outside."""
    if box is None or not math.isfinite(sum(box)):
        return False
    x, y, w, h = box
    inside = x < image['width'] and y < image['height'] and x + w > 0 and y + h > 0
    return w >= 1 and h >= 1 and inside


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
    polygons = raw.get('segmentation')
    return type(polygons) is list and bool(polygons) and all(map(_is_plain_polygon, polygons))


def _is_plain_polygon(points: Any) -> bool:
    return type(points) is list and _is_polygon(points)


def _read_mask(annotation: Json, image: Mapping[str, Any], faults: Faults, where: str) -> None:
    """A run-length code, polygons, or no ``segmentation`` at all."""
    written = annotation.get('segmentation')
    if written is None:
        annotation.pop('segmentation', None)
        return
    mask = _run_lengths(written, image) if isinstance(written, Mapping) else _polygons(written)
    if mask is None:
        annotation.pop('segmentation')
        faults.add(Fault.BAD_MASK, where)
    else:
        annotation['segmentation'] = mask


def _run_lengths(code: Mapping[str, Any], image: Mapping[str, Any]) -> Json | None:
    size, counts = code.get('size'), code.get('counts')
    is_text = isinstance(counts, str | bytes) and bool(counts)
    is_list = isinstance(counts, list) and all(isinstance(c, int) for c in counts)
    fits = isinstance(size, list | tuple) and list(size) == [image['height'], image['width']]
    return dict(code) if fits and (is_text or is_list) else None


def _polygons(written: Any) -> list[list[float]] | None:
    if not isinstance(written, list):
        return None
    nested = written if not written or isinstance(written[0], list) else [written]
    return [p for p in nested if _is_polygon(p)] or None


def _is_polygon(points: Any) -> bool:
    try:
        return len(points) >= _MIN_POLYGON and len(points) % 2 == 0 and math.isfinite(sum(points))
    except TypeError:
        return False


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


def mask_area(mask: Any, height: int, width: int) -> float:
    """Pixels of polygons or of a run-length code, compressed or not."""
    if isinstance(mask, list) or isinstance(mask['counts'], list):
        mask = run_lengths.frPyObjects(mask, height, width)
    return float(run_lengths.area(run_lengths.merge(mask) if isinstance(mask, list) else mask))


def _file_name(name: Any, what: str) -> str:
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"{what} is {name!r}; expected the name of the photo's file")
    return name.replace('\\', '/')


def _size(value: Any, what: str) -> int:
    try:
        size = int(float(value))
    except (TypeError, ValueError, OverflowError):
        size = 0
    if size < 1:
        raise InputError(f'{what} is {value!r}; expected the size of the photo in pixels')
    return size


def _kind(value: Any) -> str:
    return 'nothing' if value is None else f'a {type(value).__name__}'


def some(items: Sequence[object]) -> str:
    """The first few, and how many more there are.

    >>> some(['a', 'b', 'c', 'd'])
    'a, b, c and 1 more'
    """
    more = f' and {len(items) - _NAMED} more' if len(items) > _NAMED else ''
    return ', '.join(map(str, items[:_NAMED])) + more
