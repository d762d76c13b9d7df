"""The COCO panoptic files: id PNGs, their segment lists and the category table.

A PNG holds one segment id per pixel as R + 256 G + 65536 B, 0 for unlabelled
pixels (void). The JSON lists the segments of each PNG and the categories, with
ids of any order and size; labels are positions in the list of class names.

Format: https://cocodataset.org/#format-data, "Panoptic Segmentation".
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mmext.errors import InputError
from mmext.formats.panoptic_ids import id_to_rgb, rgb_to_id

VOID_ID = 0
_MAX_LISTED = 8


def decode_id_png(data: bytes, source: str) -> npt.NDArray[np.int32]:
    """Segment ids of an encoded panoptic PNG.

    Args:
        data: content of the file.
        source: its name, for the error.

    Returns:
        ``[H, W]``, ids in ``[0, 2^24)``.

    Raises:
        InputError: not a readable image.
    """
    encoded = np.frombuffer(data, dtype=np.uint8)
    # an empty buffer is an exception in OpenCV, any other unreadable one is None
    bgr = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    if bgr is None:
        raise InputError(f'{source}: not a readable PNG ({len(data)} bytes)')
    return rgb_to_id(np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8))


def encode_id_png(ids: npt.NDArray[Any]) -> bytes:
    """A panoptic PNG of segment ids ``[H, W]`` in ``[0, 2^24)``; exact inverse of the decoding."""
    bgr = cv2.cvtColor(id_to_rgb(ids), cv2.COLOR_RGB2BGR)
    return bytes(cv2.imencode('.png', bgr)[1])


def segment_positions(
    png_ids: npt.NDArray[Any], listed_ids: Sequence[int], source: str
) -> npt.NDArray[np.intp]:
    """Where the segments listed in the JSON stand among the ids found in the PNG.

    Args:
        png_ids: distinct ids of the PNG, ascending; may hold 0 (void).
        listed_ids: ids of the JSON's ``segments_info``, any order.
        source: name of the PNG, for the errors.

    Returns:
        Positions in ``png_ids``, one per listed id.

    Raises:
        InputError: PNG and JSON do not describe the same segments.
    """
    listed = np.asarray(listed_ids, dtype=np.int64)
    unlisted = np.setdiff1d(png_ids, np.append(listed, VOID_ID))
    if unlisted.size:
        raise InputError(
            f'{source}: ids without an entry in segments_info: {_names(unlisted)}. Is the PNG '
            'the one of this annotation, RGB with id = R + 256 G + 65536 B?'
        )
    missing = np.setdiff1d(listed, png_ids)
    if missing.size:
        raise InputError(f'{source}: segments of segments_info without a pixel: {_names(missing)}')
    distinct, counts = np.unique(listed, return_counts=True)
    if counts.max(initial=1) > 1 or VOID_ID in distinct:
        wrong = distinct[(counts > 1) | (distinct == VOID_ID)]
        raise InputError(
            f'{source}: segments_info must list every id once and not {VOID_ID} (void), '
            f'got {_names(wrong)}'
        )
    return np.searchsorted(png_ids, listed)


def category_table(categories: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """The class names of an annotation file, things first, each group by ascending id.

    Files of one data set may list their categories in different orders; the ids stay.

    Args:
        categories: the ``categories`` of the JSON, with ``id``, ``name`` and ``isthing``.

    Returns:
        ``classes``, ``thing_classes`` and ``stuff_classes`` for a ``metainfo``.
    """
    categories = sorted(categories, key=lambda category: category['id'])
    things = tuple(c['name'] for c in categories if c['isthing'])
    stuff = tuple(c['name'] for c in categories if not c['isthing'])
    return {'classes': things + stuff, 'thing_classes': things, 'stuff_classes': stuff}


def labels_of_categories(
    categories: Iterable[Mapping[str, Any]],
    classes: Sequence[str],
    thing_classes: Iterable[str],
    source: str,
) -> dict[int, int]:
    """Label of every category id, by name: the order of the file does not matter.

    Args:
        categories: the ``categories`` of the JSON, with ``id``, ``name``, ``isthing``.
        classes: class names in the order of the labels.
        thing_classes: those of ``classes`` that are things.
        source: name of the JSON, for the error.

    Returns:
        ``{category id: position in classes}``.

    Raises:
        InputError: the names differ, a class is a thing on one side only, or a
            name is used twice; says which ones and what to write.
    """
    categories, things = list(categories), set(thing_classes)
    names = [c['name'] for c in categories]
    is_thing = {c['name']: bool(c['isthing']) for c in categories}
    problems = {
        'listed twice': [n for n in is_thing if names.count(n) > 1],
        'only in the file': [n for n in is_thing if n not in set(classes)],
        'only in metainfo': [n for n in classes if n not in is_thing],
        'isthing=1 in the file, stuff in metainfo': [
            n for n in classes if is_thing.get(n, False) and n not in things
        ],
        'isthing=0 in the file, a thing in metainfo': [
            n for n in classes if not is_thing.get(n, True) and n in things
        ],
    }
    if any(problems.values()):
        lines = [f'  {what}: {_names(which)}' for what, which in problems.items() if which]
        raise InputError(
            '\n'.join([f'{source}: its categories are not the classes of metainfo', *lines])
            + f'\nfor the classes of the file write\n  {metainfo_line(categories)}'
        )
    label_of_name = {name: label for label, name in enumerate(classes)}
    return {c['id']: label_of_name[c['name']] for c in categories}


def metainfo_line(categories: Iterable[Mapping[str, Any]]) -> str:
    """The line of a config that asks for exactly the classes of an annotation file."""
    return f'metainfo=dict(classes={category_table(categories)["classes"]})'


def _names(values: Iterable[Any]) -> str:
    """The first few of ``values``, and how many more there are."""
    listed = [str(v) if isinstance(v, np.integer) else repr(v) for v in values]
    more = f' and {len(listed) - _MAX_LISTED} more' if len(listed) > _MAX_LISTED else ''
    return ', '.join(listed[:_MAX_LISTED]) + more
