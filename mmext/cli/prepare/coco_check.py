"""Is a COCO data set complete and consistent? Every piece is looked at and explained."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmext.cli.prepare import coco_layout as layout
from mmext.cli.prepare.coco_layout import Json
from mmext.errors import InputError
from mmext.formats.box_agreement import Box, check_boxes, mask_window
from mmext.formats.box_readings import check_extents
from mmext.formats.coco_faults import Fault, Faults
from mmext.formats.coco_records import CocoRecords, coco_records
from mmext.formats.coco_values import Id, some
from mmext.formats.panoptic_agreement import MapComparison, compare_map
from mmext.formats.panoptic_records import PanopticRecords, panoptic_records
from mmext.formats.picture_files import picture_head

OK, MISSING, BROKEN, ABSENT = 'ok', 'missing', 'broken', 'absent'
Advance = Callable[[int], None]
# COCO itself has boxes of less than a pixel; [] for no mask is the habit of many exporters
_USUAL = (Fault.SMALL, Fault.BAD_MASK)


class Finding(NamedTuple):
    """What was found out about one piece.

    Attributes:
        piece: its file or folder below the root.
        state: 'ok', 'missing', 'broken', or 'absent' for what few need.
        text: what is there, or what is wrong, where and what to do.
    """

    piece: str
    state: str
    text: str


def check_split(
    root: Path, split: str, decode: int, advance: Advance = lambda count: None
) -> Iterator[Finding]:
    """Look at all pieces of a split.

    Args:
        root: of the data set.
        split: 'train' or 'val'.
        decode: how many panoptic PNGs to compare with their JSON pixel by pixel, spread over
            the split; all where there are fewer.
        advance: told about every photo and PNG.

    Yields:
        One finding for each piece.
    """
    photos: dict[Id, Json] = {}
    for kind in layout.KINDS:
        path = layout.annotation_file(root, kind, split)
        name = str(path.relative_to(root))
        if not path.is_file():
            yield _absent_annotations(kind, name, path)
            continue
        try:
            content = layout.read_annotations(path)
            if kind == 'panoptic':
                segmented = panoptic_records(content, name)
                images, faults = segmented.images, segmented.faults
                problems = _panoptic_problems(segmented)
            else:
                records = coco_records(content, name)
                images, faults = records.images, records.faults
                problems = _object_problems(records, content, name)
        except InputError as error:
            yield Finding(name, BROKEN, str(error))
            continue
        photos |= images
        notes = [faults.text(fault) for fault in _USUAL if fault in faults.counts]
        text = '; '.join([_counts(content, kind), *notes])
        yield _finding(name, text, problems)
        if kind == 'panoptic':
            yield _check_maps(root, split, segmented, decode, advance)
    yield _check_photos(root, split, list(photos.values()), advance)


def _absent_annotations(kind: str, name: str, path: Path) -> Finding:
    archive = Path(layout.ANNOTATION_ARCHIVES[kind]).name
    text = f'not there (looked for {path.absolute()}); it is in {archive}'
    if kind == 'person_keypoints':
        return Finding(name, ABSENT, f'{text}; only pose models need it')
    return Finding(name, MISSING, f'{text}; put it there or run with --download')


def _counts(content: Json, kind: str) -> str:
    categories, official = len(content['categories']), layout.NUM_CATEGORIES[kind]
    annotations = content.get('annotations') or []
    text = (
        f'{len(content["images"])} images, {len(annotations)} annotations, {categories} categories'
    )
    return text if categories == official else f'{text} (COCO has {official})'


def _panoptic_problems(records: PanopticRecords) -> Iterator[str]:
    """Contradictions inside a panoptic file."""
    yield from _fault_problems(records.faults)
    if records.unannotated:
        yield f'{len(records.unannotated)} images without annotation ({some(records.unannotated)})'


def _object_problems(records: CocoRecords, content: Json, name: str) -> Iterator[str]:
    """Contradictions inside a file of objects."""
    yield from _fault_problems(records.faults)
    ids = [str(a['id']) for a in content.get('annotations') or () if 'id' in a]
    if len(set(ids)) < len(ids):
        yield f'{len(ids) - len(set(ids))} annotation ids are used twice'
    outside = [a for a in records.annotations if _is_outside(a, records.images[a['image_id']])]
    if outside:
        first = some([f'{a["bbox"]} of image {a["image_id"]}' for a in outside])
        yield f'{len(outside)} boxes reach out of their image ({first})'
    try:
        check_boxes(list(_pairs(records)), name)
        check_extents(*_boxes_and_sizes(records), name)
    except InputError as error:
        yield str(error)


def _fault_problems(faults: Faults) -> Iterator[str]:
    for fault in faults.counts:
        if fault not in _USUAL:
            yield f'objects: {faults.text(fault)}'


def _is_outside(annotation: Json, image: Json) -> bool:
    """COCO's own boxes end up to a pixel behind the border."""
    x, y, w, h = annotation.get('bbox', (0, 0, 0, 0))
    return min(x, y) < -1 or x + w > image['width'] + 1 or y + h > image['height'] + 1


def _pairs(records: CocoRecords) -> Iterator[tuple[Box, Box]]:
    """Box and window of the mask of every object that has both; crowds have rough ones."""
    for annotation in records.annotations:
        mask, box = annotation.get('segmentation'), annotation.get('bbox')
        if mask and box and not annotation['iscrowd']:
            image = records.images[annotation['image_id']]
            window = mask_window(mask, image['height'], image['width'])
            if window is not None:
                yield (box[0], box[1], box[0] + box[2], box[1] + box[3]), window


def _boxes_and_sizes(records: CocoRecords) -> tuple[np.ndarray, np.ndarray]:
    """Boxes x1, y1, x2, y2 ``[n, 4]`` and the sizes of their images ``[n, 2]``; no crowds."""
    counted = [a for a in records.annotations if 'bbox' in a and not a['iscrowd']]
    boxes = np.array([a['bbox'] for a in counted], float).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    images = [records.images[a['image_id']] for a in counted]
    return boxes, np.array([(i['width'], i['height']) for i in images], float).reshape(-1, 2)


def _check_photos(root: Path, split: str, images: Sequence[Json], advance: Advance) -> Finding:
    folder = layout.photo_folder(root, split)
    if not folder.is_dir():
        text = f'not there (looked for {folder.absolute()}); it is {folder.name}.zip; '
        return Finding(folder.name, MISSING, f'{text}unpack it there or run with --download')
    there = _names(folder)
    missing = [i['file_name'] for i in images if i['file_name'] not in there]
    problems = []
    if missing:
        problems.append(f'{len(missing)} photos of the annotations are missing ({some(missing)})')
    elif not images:
        problems.append('no annotation file says which photos there should be')
    other = []
    for image in images:
        if image['file_name'] in there:
            size = _picture_size(folder / image['file_name'])
            if size != (image['width'], image['height']):
                other.append(f'{image["file_name"]}: {_words(size, image)}')
        advance(1)
    if other:
        problems.append(f'{len(other)} photos cannot be used ({some(other)})')
    official = layout.NUM_IMAGES[split]
    whole = 'complete' if len(images) == official else f'a part of the {official} of COCO'
    text = f'{len(images)} photos of the right size, {whole}'
    return _finding(folder.name, text, problems, lacking=bool(missing))


def _check_maps(
    root: Path, split: str, records: PanopticRecords, decode: int, advance: Advance
) -> Finding:
    folder = layout.map_folder(root, split)
    name = str(folder.relative_to(root))
    if not folder.is_dir():
        text = f'not there (looked for {folder.absolute()}); it is in '
        archive = Path(layout.ANNOTATION_ARCHIVES['panoptic']).name
        text += f'{folder.name}.zip inside {archive}; unpack it there or run with --download'
        return Finding(name, MISSING, text)
    there = _names(folder)
    annotations = list(records.annotations.values())
    missing = [a['file_name'] for a in annotations if a['file_name'] not in there]
    problems = []
    if missing:
        problems.append(f'{len(missing)} PNGs of the JSON are not there ({some(missing)})')
    present = [a for a in annotations if a['file_name'] in there]
    chosen = np.linspace(0, len(present) - 1, min(decode, len(present))).astype(int)
    compared = []
    for index in chosen:
        compared.append(_compare(folder, present[index], records))
        advance(1)
    wrong = [problem for comparison in compared for problem in comparison.problems]
    if wrong:
        problems.append(f'{len(wrong)} of {len(chosen)} PNGs do not fit the JSON ({some(wrong)})')
    try:
        check_boxes([pair for comparison in compared for pair in comparison.pairs], name)
    except InputError as error:
        problems.append(str(error))
    text = f'{len(present)} PNGs, {len(chosen)} compared by pixel'
    return _finding(name, text, problems, lacking=bool(missing))


def _compare(folder: Path, annotation: Json, records: PanopticRecords) -> MapComparison:
    path = folder / annotation['file_name']
    image = records.images[annotation['image_id']]
    things = {i for i, category in records.categories.items() if category['isthing']}
    size = image['width'], image['height']
    segments = annotation['segments_info']
    return compare_map(path.read_bytes(), path.name, segments, size, things)


def _names(folder: Path) -> set[str]:
    """The files of a folder and of the folders in it, by their names below it."""
    return {
        Path(place, name).relative_to(folder).as_posix()
        for place, _, names in os.walk(folder, followlinks=True)
        for name in names
    }


def _picture_size(path: Path) -> tuple[int, int] | None:
    """Width and height from the file's head; None where it is no picture."""
    head = picture_head(path)
    return None if head is None else head[0]


def _words(size: tuple[int, ...] | None, image: Json) -> str:
    found = 'no picture' if size is None else f'{size[0]}x{size[1]}'
    return f'{found}, expected {image["width"]}x{image["height"]}'


def _finding(
    piece: str, text: str, problems: Iterator[str] | list[str], lacking: bool = False
) -> Finding:
    problems = list(problems)
    if not problems:
        return Finding(piece, OK, text)
    return Finding(piece, MISSING if lacking else BROKEN, '; '.join(problems))
