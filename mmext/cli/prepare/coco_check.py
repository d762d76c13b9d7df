"""Is a COCO data set complete and consistent? Every piece is looked at and explained."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from mmext.cli.prepare import coco_layout as layout
from mmext.cli.prepare.coco_layout import Json
from mmext.errors import InputError
from mmext.formats.panoptic_files import decode_id_png, segment_positions

OK, MISSING, BROKEN, ABSENT = 'ok', 'missing', 'broken', 'absent'
_LISTED = 3
Advance = Callable[[int], None]


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
    photos: Json = {}
    for kind in layout.KINDS:
        path = layout.annotation_file(root, kind, split)
        name = str(path.relative_to(root))
        if not path.is_file():
            yield _absent_annotations(kind, name, path)
            continue
        try:
            content = layout.read_annotations(path)
        except InputError as error:
            yield Finding(name, BROKEN, str(error))
            continue
        photos |= {image['id']: image for image in content['images']}
        problems = _annotation_problems(content, kind)
        yield _finding(name, _counts(content, kind), problems)
        if kind == 'panoptic':
            yield _check_maps(root, split, content, decode, advance)
    yield _check_photos(root, split, list(photos.values()), advance)


def _absent_annotations(kind: str, name: str, path: Path) -> Finding:
    archive = Path(layout.ANNOTATION_ARCHIVES[kind]).name
    text = f'not there (looked for {path.absolute()}); it is in {archive}'
    if kind == 'person_keypoints':
        return Finding(name, ABSENT, f'{text}; only pose models need it')
    return Finding(name, MISSING, f'{text}; put it there or run with --download')


def _counts(content: Json, kind: str) -> str:
    categories, official = len(content['categories']), layout.NUM_CATEGORIES[kind]
    text = (
        f'{len(content["images"])} images, {len(content["annotations"])} annotations, '
        f'{categories} categories'
    )
    return text if categories == official else f'{text} (COCO has {official})'


def _annotation_problems(content: Json, kind: str) -> Iterator[str]:
    """Contradictions inside a JSON file."""
    images = {image['id']: image for image in content['images']}
    if len(images) < len(content['images']):
        yield f'{len(content["images"]) - len(images)} image ids are used twice'
    categories = {category['id'] for category in content['categories']}
    annotations = content['annotations']
    strangers = [a['image_id'] for a in annotations if a['image_id'] not in images]
    if strangers:
        yield f'{len(strangers)} annotations of images that are not in it ({_some(strangers)})'
    objects = annotations
    if kind == 'panoptic':
        objects = [segment for a in annotations for segment in a['segments_info']]
        annotated = {a['image_id'] for a in annotations}
        bare = [image_id for image_id in images if image_id not in annotated]
        if bare:
            yield f'{len(bare)} images without annotation ({_some(bare)})'
    unknown = sorted({o['category_id'] for o in objects} - categories)
    if unknown:
        yield f'category ids that are not in its table: {_some(unknown)}'
    ids = [o['id'] for o in objects] if kind != 'panoptic' else []
    if len(set(ids)) < len(ids):
        yield f'{len(ids) - len(set(ids))} annotation ids are used twice'
    if kind != 'panoptic':
        outside = [a['id'] for a in annotations if _is_outside(a, images.get(a['image_id']))]
        if outside:
            yield f'{len(outside)} boxes reach out of their image (annotations {_some(outside)})'


def _is_outside(annotation: Json, image: Json | None) -> bool:
    """COCO's own boxes end up to a pixel behind the border."""
    x, y, w, h = annotation['bbox']
    if image is None:
        return False
    return min(x, y) < -1 or x + w > image['width'] + 1 or y + h > image['height'] + 1


def _check_photos(root: Path, split: str, images: Sequence[Json], advance: Advance) -> Finding:
    folder = layout.photo_folder(root, split)
    if not folder.is_dir():
        text = f'not there (looked for {folder.absolute()}); it is {folder.name}.zip; '
        return Finding(folder.name, MISSING, f'{text}unpack it there or run with --download')
    there = {path.name for path in folder.iterdir()}
    missing = [i['file_name'] for i in images if i['file_name'] not in there]
    problems = []
    if missing:
        problems.append(f'{len(missing)} photos of the annotations are missing ({_some(missing)})')
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
        problems.append(f'{len(other)} photos cannot be used ({_some(other)})')
    official = layout.NUM_IMAGES[split]
    whole = 'complete' if len(images) == official else f'a part of the {official} of COCO'
    text = f'{len(images)} photos of the right size, {whole}'
    return _finding(folder.name, text, problems, lacking=bool(missing))


def _check_maps(root: Path, split: str, content: Json, decode: int, advance: Advance) -> Finding:
    folder = layout.map_folder(root, split)
    name = str(folder.relative_to(root))
    if not folder.is_dir():
        text = f'not there (looked for {folder.absolute()}); it is in '
        archive = Path(layout.ANNOTATION_ARCHIVES['panoptic']).name
        text += f'{folder.name}.zip inside {archive}; unpack it there or run with --download'
        return Finding(name, MISSING, text)
    there = {path.name for path in folder.iterdir()}
    annotations = content['annotations']
    missing = [a['file_name'] for a in annotations if a['file_name'] not in there]
    problems = []
    if missing:
        problems.append(f'{len(missing)} PNGs of the JSON are not there ({_some(missing)})')
    present = [a for a in annotations if a['file_name'] in there]
    images = {image['id']: image for image in content['images']}
    wrong = []
    chosen = np.linspace(0, len(present) - 1, min(decode, len(present))).astype(int)
    for index in chosen:
        wrong += _map_problems(folder, present[index], images.get(present[index]['image_id']))
        advance(1)
    if wrong:
        problems.append(f'{len(wrong)} of {len(chosen)} PNGs do not fit the JSON ({_some(wrong)})')
    text = f'{len(present)} PNGs, {len(chosen)} compared by pixel'
    return _finding(name, text, problems, lacking=bool(missing))


def _map_problems(folder: Path, annotation: Json, image: Json | None) -> list[str]:
    path = folder / annotation['file_name']
    segments = annotation['segments_info']
    try:
        ids = decode_id_png(path.read_bytes(), path.name)
        values, counts = np.unique(ids, return_counts=True)
        positions = segment_positions(values, [s['id'] for s in segments], path.name)
    except ValueError as error:
        return [str(error)]
    if image is not None and ids.shape != (image['height'], image['width']):
        return [f'{path.name}: {_words(ids.shape[::-1], image)}']
    areas = counts[positions]
    wrong = [s['id'] for s, area in zip(segments, areas, strict=True) if s['area'] != area]
    return [f'{path.name}: areas of segments {_some(wrong)} differ'] if wrong else []


def _picture_size(path: Path) -> tuple[int, int] | None:
    """Width and height from the file's head; None where it is no picture."""
    try:
        with Image.open(path) as picture:
            return picture.size
    except OSError:
        return None


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


def _some(items: Sequence[object]) -> str:
    more = f' and {len(items) - _LISTED} more' if len(items) > _LISTED else ''
    return ', '.join(map(str, items[:_LISTED])) + more
