"""What all conversions of landmarks do: read a split, write COCO's JSON, draw some objects."""

import argparse
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.markup import escape

from mmext.drawing.contact_sheet import contact_sheet
from mmext.drawing.points import draw_points
from mmext.errors import InputError
from mmext.formats.landmark_sets import LANDMARK_SETS, LandmarkSet
from mmext.formats.landmarks.records import LandmarkImage, coco_keypoints
from mmext.functional.keypoints import is_inside

Read = Callable[[str], list[LandmarkImage]]

_SHOWN, _COLUMNS, _SIDE_PX = 8, 4, 320
_MARGIN = 1.4  # of what is shown around the box of an object
_FEW_OUTSIDE = 0.2  # of the annotated points; more are a sign that photos and file do not fit


def add_landmark_arguments(
    parser: argparse.ArgumentParser, root: str, splits: Sequence[str]
) -> None:
    """The flags of all conversions.

    Args:
        parser: of the data set.
        root: default folder.
        splits: that the data set has.
    """
    parser.add_argument('--root', type=Path, default=Path(root), help='default %(default)s')
    parser.add_argument('--splits', nargs='+', choices=splits, default=None, help='default: all')
    parser.add_argument(
        '--out', type=Path, metavar='DIR', help='for the JSON files (default ROOT/annotations)'
    )


def convert_splits(
    name: str, kind: LandmarkSet, read: Read, arguments: argparse.Namespace, photos: Path
) -> None:
    """Convert the splits that are asked for, and say what they hold.

    Args:
        name: of the data set, with which the names of the files begin.
        kind: what the points are.
        read: a split as images; called once for each.
        arguments: of :func:`add_landmark_arguments`, with all splits filled in.
        photos: their folder.

    Raises:
        InputError: a file is missing or broken; no JSON file is written then.
    """
    root: Path = arguments.root
    if not root.is_dir():
        raise InputError(f'no such folder: {root.absolute()}; name the place of the set by --root')
    out: Path = arguments.out or root / 'annotations'
    console = Console(soft_wrap=True, highlight=False)
    contents = {}
    for split in arguments.splits:
        contents[split] = coco_keypoints(read(split), kind, photos, f'{name} {split}')
        check_inside(contents[split], f'{name} {split}', photos)
    out.mkdir(parents=True, exist_ok=True)
    for split, content in contents.items():
        target = out / f'{name}_{split}.json'
        draft = target.with_suffix('.draft')
        draft.write_text(json.dumps(content), encoding='utf-8')
        os.replace(draft, target)
        sheet = target.with_suffix('.png')
        cv2.imwrite(str(sheet), draw_objects(content, kind, photos)[..., ::-1])
        console.print(f'{escape(str(target))} – {describe(content)}')
        console.print(f'{escape(str(sheet))} – look at it: are the points where they belong?')
    console.print(escape(config_lines(kind, photos)))


def describe(content: Mapping[str, Any]) -> str:
    """Numbers of a file in one line."""
    annotations = content['annotations']
    marks = np.concatenate([np.zeros(0), *(a['keypoints'][2::3] for a in annotations)])
    counts = ', '.join(
        f'{int((marks == value).sum())} {word}'
        for value, word in ((2, 'visible'), (1, 'occluded'), (0, 'not annotated'))
    )
    subsets: dict[str, int] = {}
    own = {image['id']: image.get('subsets', []) for image in content['images']}
    for annotation in annotations:
        for subset in (*own[annotation['image_id']], *annotation.get('subsets', ())):
            subsets[subset] = subsets.get(subset, 0) + 1
    parts = [f'{len(own)} images', f'{len(annotations)} objects', f'points: {counts}']
    if subsets:
        parts.append(', '.join(f'{count} {subset}' for subset, count in sorted(subsets.items())))
    return '; '.join(parts)


def config_lines(kind: LandmarkSet, photos: Path) -> str:
    """What a config says of such files."""
    name = next(name for name, known in LANDMARK_SETS.items() if known is kind)
    return (
        f"for a config: type='mmext.CocoKeypointDataset', landmark_set='{name}', "
        f"data_prefix=dict(img='{photos}/')"
    )


def check_inside(content: Mapping[str, Any], name: str, photos: Path) -> None:
    """InputError if many points lie outside of their photos: then these are others."""
    sizes = {image['id']: (image['height'], image['width']) for image in content['images']}
    outside = total = 0
    for annotation in content['annotations']:
        triples = np.array(annotation['keypoints']).reshape(-1, 3)
        known = triples[triples[:, 2] > 0, :2]
        total += len(known)
        outside += int((~is_inside(known, sizes[annotation['image_id']])).sum())
    if outside > _FEW_OUTSIDE * total:
        raise InputError(
            f'{name}: {outside} of {total} points lie outside of their photos: are these the '
            f'photos of the annotation, below {photos.absolute()}?'
        )


def draw_objects(content: Mapping[str, Any], kind: LandmarkSet, photos: Path) -> np.ndarray:
    """Some objects of a file, spread over it, with their points; RGB ``[H, W, 3]``."""
    annotations = [a for a in content['annotations'] if a['num_keypoints']]
    names = {image['id']: image['file_name'] for image in content['images']}
    steps = np.linspace(0, len(annotations) - 1, min(_SHOWN, len(annotations)))
    pictures, captions = [], []
    for index in np.unique(steps.round().astype(int)).tolist():
        annotation = annotations[index]
        path = photos / names[annotation['image_id']]
        bgr = cv2.imread(str(path))
        if bgr is None:
            raise InputError(f'{path}: cannot be read as an image')
        pictures.append(_draw_object(np.asarray(bgr[..., ::-1], np.uint8), annotation, kind))
        marks = annotation['keypoints'][2::3]
        hidden = f'{marks.count(1)} occluded, {marks.count(0)} unknown'
        captions.append([names[annotation['image_id']], hidden])
    if not pictures:
        raise InputError(f'{photos}: no object has an annotated point')
    return contact_sheet(pictures, captions, _COLUMNS)


def _draw_object(
    picture: np.ndarray, annotation: Mapping[str, Any], kind: LandmarkSet
) -> np.ndarray:
    """The part of a picture around an object, ``_SIDE_PX`` high and wide."""
    triples = np.array(annotation['keypoints'], np.float64).reshape(-1, 3)
    known = triples[triples[:, 2] > 0, :2]
    x, y, width, height = annotation['bbox']
    low = np.minimum(known.min(axis=0), (x, y))
    high = np.maximum(known.max(axis=0), (x + width, y + height))
    side = max(_MARGIN * float((high - low).max()), 1.0)
    left, top = (low + high) / 2 - side / 2
    scale = _SIDE_PX / side
    matrix = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
    matrix[:, 2] += 0.5 * scale - 0.5  # OpenCV's pixel centers have whole numbers
    view = cv2.warpAffine(picture, matrix, (_SIDE_PX, _SIDE_PX), flags=cv2.INTER_LINEAR)
    fields = {
        'keypoints': ((triples[:, :2] - (left, top)) * scale)[None],
        'keypoints_visible': triples[None, :, 2],
    }
    return draw_points(np.asarray(view, np.uint8), None, fields, dict(skeleton=kind.skeleton))
