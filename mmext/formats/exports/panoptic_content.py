"""Labeled photos as COCO panoptic: one segment for each pixel, in a PNG of ids and a list.

Labelers draw roughly, and one object over another; here each pixel has one owner. Stuff is painted
first and things over it, each kind in the order of the export, where the later lies on top. All
parts of a stuff class in a photo are one segment. Pixels without an outline belong to nothing.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as run_lengths

from mmext.errors import InputError
from mmext.formats.exports.coco_content import image_records
from mmext.formats.exports.labeled import Export, LabeledObject, LabeledPhoto
from mmext.formats.exports.pixel_masks import joined
from mmext.formats.panoptic_files import encode_id_png


def panoptic_content(
    export: Export,
    photos: Sequence[LabeledPhoto],
    classes: Sequence[str],
    stuff: Sequence[str],
    root: Path,
    pngs: Path,
) -> dict[str, Any]:
    """The content of the JSON; the PNGs are written.

    Args:
        export: counts objects without an outline, and those that others cover.
        photos: those to write, all of the export or some.
        classes: category ids are 1, 2, 3, ... in their order.
        stuff: those of the classes that are no things.
        root: file names of photos are relative to it.
        pngs: folder for the PNGs.

    Raises:
        InputError: a class of stuff is none of the classes, or all classes are stuff.
    """
    if strangers := sorted(set(stuff) - set(classes)):
        raise InputError(f'stuff: {strangers[:8]} are none of the classes {list(classes)[:8]}')
    if not set(classes) - set(stuff):
        raise InputError('stuff: all classes are; a panoptic model needs things as well')
    pngs.mkdir(parents=True, exist_ok=True)
    numbers = {name: number for number, name in enumerate(classes, start=1)}
    images = image_records(photos, root)
    annotations = []
    for photo, image in zip(photos, images, strict=True):
        ids, owners = _painted(export, photo, frozenset(stuff))
        file_name = f'{image["id"]:08d}.png'
        (pngs / file_name).write_bytes(encode_id_png(ids))
        segments = [
            _segment(ids, number, numbers[owner.name], owner.ignored)
            for number, owner in owners.items()
        ]
        annotations.append(dict(image_id=image['id'], file_name=file_name, segments_info=segments))
    categories = [
        dict(id=number, name=name, isthing=int(name not in stuff))
        for name, number in numbers.items()
    ]
    return dict(images=images, annotations=annotations, categories=categories)


def _painted(
    export: Export, photo: LabeledPhoto, stuff: frozenset[str]
) -> tuple[npt.NDArray[np.int32], dict[int, LabeledObject]]:
    """The ids ``[H, W]``, 0 for nothing, and whose each is."""
    width, height = photo.size_wh
    ids = np.zeros((height, width), np.int32)
    owners: dict[int, LabeledObject] = {}
    id_of_stuff: dict[str, int] = {}
    for labeled in sorted(photo.objects, key=lambda each: each.name not in stuff):
        if not labeled.polygons and not labeled.masks:
            export.leave_out('objects without an outline')
            continue
        number = len(owners) + 1
        if labeled.name in stuff:
            number = id_of_stuff.setdefault(labeled.name, number)
        owners.setdefault(number, labeled)
        code, _ = joined(labeled.masks, labeled.polygons, photo.size_wh)
        code['counts'] = code['counts'].encode()
        ids[run_lengths.decode([code])[..., 0] > 0] = number
    visible = set(np.unique(ids).tolist())
    for number in [number for number in owners if number not in visible]:
        export.leave_out('objects of no pixel, or that others cover')
        del owners[number]
    return ids, owners


def _segment(
    ids: npt.NDArray[np.int32], number: int, category: int, is_crowd: bool
) -> dict[str, Any]:
    mask = ids == number
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    left, top = int(columns[0]), int(rows[0])
    box = [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top]
    area = int(np.count_nonzero(mask))
    return dict(id=number, category_id=category, area=area, bbox=box, iscrowd=int(is_crowd))
