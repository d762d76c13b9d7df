"""A small COCO cut out of a larger one: the same photos in every kind of annotation."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmext.cli.prepare import coco_layout as layout
from mmext.cli.prepare.coco_layout import Json
from mmext.errors import InputError
from mmext.formats.coco_tables import image_table
from mmext.formats.coco_values import Id, canonical_id, some
from mmext.formats.file_names import leaves_folder


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
        InputError: no annotations, a photo or PNG that is not there or has a name outside of its
            folder, or files of an earlier set.
    """
    kinds = [k for k in layout.KINDS if layout.annotation_file(root, k, split).is_file()]
    if not kinds:
        raise InputError(f'{root}: no annotations of {split} to take a subset of')
    for place in (layout.photo_folder(out, split), layout.map_folder(out, split)):
        if place.exists():
            raise InputError(f'--out: {place} is there already; name an empty folder')
    contents = {k: layout.read_annotations(layout.annotation_file(root, k, split)) for k in kinds}
    chosen = _choose(contents, count)
    smalls = {kind: restrict(content, set(chosen)) for kind, content in contents.items()}
    photos = [image['file_name'] for image in chosen.values()]
    maps = [a['file_name'] for a in smalls.get('panoptic', {}).get('annotations', ())]
    _refuse_outside([*photos, *maps], root)
    (out / 'annotations').mkdir(parents=True, exist_ok=True)
    for kind, small in smalls.items():
        layout.annotation_file(out, kind, split).write_text(json.dumps(small))
    if maps:
        _copy(layout.map_folder(root, split), layout.map_folder(out, split), maps)
    _copy(layout.photo_folder(root, split), layout.photo_folder(out, split), photos, advance)
    return len(photos)


def restrict(content: Json, image_ids: set[Id]) -> Json:
    """The part of an annotation file that is about some images, as it is written there."""
    return {
        **content,
        'images': [i for i in content['images'] if canonical_id(i.get('id')) in image_ids],
        'annotations': [
            a
            for a in content.get('annotations') or ()
            if canonical_id(a.get('image_id')) in image_ids
        ],
    }


def _choose(contents: Mapping[str, Json], count: int) -> dict[Id, Json]:
    """Images that all files have, evenly spread in the order of their ids."""
    tables = [image_table(content['images'], kind) for kind, content in contents.items()]
    shared = sorted(
        set.intersection(*(set(table) for table in tables)), key=lambda i: (isinstance(i, str), i)
    )
    if not shared:
        raise InputError('the annotation files have no image in common')
    count = min(count, len(shared))
    positions = [i * len(shared) // count for i in range(count)]
    return {shared[i]: tables[0][shared[i]] for i in positions}


def _refuse_outside(names: Sequence[Any], root: Path) -> None:
    """Refuse files that would be read or written outside of the folders of the set."""
    wrong = [n for n in names if not isinstance(n, str) or not n or leaves_folder(n)]
    if wrong:
        raise InputError(
            f'{root}: file names outside of the folder of the set are not copied '
            f'({some([repr(name) for name in wrong])})'
        )


def _copy(
    source: Path,
    target: Path,
    names: Sequence[str],
    advance: Callable[[int], None] = lambda count: None,
) -> None:
    for name in names:
        name = name.replace('\\', '/')
        if not (source / name).is_file():
            raise InputError(f'{source / name} is not there; check the set without --subset first')
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target / name)
        advance(1)
