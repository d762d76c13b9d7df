"""A small COCO cut out of a larger one: the same photos in every kind of annotation."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from mmext.cli.prepare import coco_layout as layout
from mmext.cli.prepare.coco_layout import Json
from mmext.errors import InputError


def write_subset(
    root: Path,
    out: Path,
    split: str,
    count: int,
    advance: Callable[[int], None] = lambda count: None,
) -> int:
    """Write ``count`` photos of a split, spread over it, with all annotations that there are.

    Annotation, image and category ids stay what they are. The set has the layout of COCO.

    Args:
        root: of the larger set.
        out: of the small one.
        split: 'train' or 'val'.
        count: photos; all where there are fewer.
        advance: told about every photo.

    Returns:
        How many there are.

    Raises:
        InputError: no annotations, a photo or PNG that is not there, or files of an earlier set.
    """
    kinds = [k for k in layout.KINDS if layout.annotation_file(root, k, split).is_file()]
    if not kinds:
        raise InputError(f'{root}: no annotations of {split} to take a subset of')
    for place in (layout.photo_folder(out, split), layout.map_folder(out, split)):
        if place.exists():
            raise InputError(f'--out: {place} is there already; name an empty folder')
    contents = {k: layout.read_annotations(layout.annotation_file(root, k, split)) for k in kinds}
    chosen = _choose(list(contents.values()), count)
    (out / 'annotations').mkdir(parents=True, exist_ok=True)
    for kind, content in contents.items():
        small = restrict(content, set(chosen))
        layout.annotation_file(out, kind, split).write_text(json.dumps(small))
        if kind == 'panoptic':
            maps = [a['file_name'] for a in small['annotations']]
            _copy(layout.map_folder(root, split), layout.map_folder(out, split), maps)
    photos = [chosen[image_id]['file_name'] for image_id in chosen]
    _copy(layout.photo_folder(root, split), layout.photo_folder(out, split), photos, advance)
    return len(photos)


def restrict(content: Json, image_ids: set[int]) -> Json:
    """The part of an annotation file that is about some images."""
    return {
        **content,
        'images': [image for image in content['images'] if image['id'] in image_ids],
        'annotations': [a for a in content['annotations'] if a['image_id'] in image_ids],
    }


def _choose(contents: Sequence[Json], count: int) -> dict[int, Json]:
    """Images that all files have, evenly spread in the order of their ids."""
    tables = [{image['id']: image for image in content['images']} for content in contents]
    shared = sorted(set.intersection(*(set(table) for table in tables)))
    if not shared:
        raise InputError('the annotation files have no image in common')
    count = min(count, len(shared))
    positions = [i * len(shared) // count for i in range(count)]
    return {shared[i]: tables[0][shared[i]] for i in positions}


def _copy(
    source: Path,
    target: Path,
    names: Sequence[str],
    advance: Callable[[int], None] = lambda count: None,
) -> None:
    target.mkdir(parents=True)
    for name in names:
        if not (source / name).is_file():
            raise InputError(f'{source / name} is not there; check the set without --subset first')
        shutil.copyfile(source / name, target / name)
        advance(1)
