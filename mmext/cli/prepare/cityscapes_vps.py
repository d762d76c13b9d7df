"""Check Cityscapes-VPS as it is downloaded and write the annotations that configs read.

python tools/prepare_data.py cityscapes-vps --root data/cityscapes_vps

Expected below the root (the images of val come from Cityscapes' own sequences):

  panoptic_im_train_city_vps.json  instances_train_city_vps_rle.json  train/{img,labelmap}
  panoptic_gt_val_city_vps.json    im_all_info_val_city_vps.json      val/{img_all,panoptic_video}
  panoptic_im_test_city_vps.json   im_all_info_test_city_vps.json     test/img_all

Written: annotations/panoptic_train.json with annotations/panoptic_train/*.png,
annotations/panoptic_val.json, which lists all frames and refers to val/panoptic_video, and with
`--splits test` annotations/panoptic_test.json, which lists all frames and has no labels.
"""

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as rle
from rich.console import Console

from mmext.cli.prepare.cityscapes_vps_maps import (
    CLASSES,
    STUFF,
    Instance,
    compose_ids,
    describe,
)
from mmext.errors import InputError
from mmext.formats.json_files import read_json
from mmext.formats.panoptic_files import decode_id_png, encode_id_png, segment_positions
from mmext.progress import progress_bar

Json = dict[str, Any]
Advance = Callable[[int], None]
SPLITS = ('train', 'val', 'test')
_LABEL_INTERVAL = 5  # frames 5, 10, ..., 30 of a video are labelled
_FRAMES_PER_VIDEO_ID = 10_000  # ids of all frames are video x 10000 + frame
# 0005_0025_frankfurt_000000_001736_newImg8bit.png: video, labelled frame, place in Cityscapes
_NAME = re.compile(r'(\d{4})_(\d{4})_(.+?_\d{6}_\d{6})_')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    root = Path('data/cityscapes_vps')
    parser.add_argument('--root', type=Path, default=root, help='default data/cityscapes_vps')
    parser.add_argument(
        '--splits', nargs='+', choices=SPLITS, default=SPLITS[:2], help='default: train val'
    )


def run(arguments: argparse.Namespace) -> None:
    """Do what the command line says.

    Raises:
        InputError: a piece is missing, or pieces do not fit each other.
    """
    root: Path = arguments.root
    if not root.is_dir():
        raise InputError(
            f'no such folder: {root.absolute()}. Unpack Cityscapes-VPS there or name its place '
            'with --root; for a trial without a download: python -m mmext.demo video --out '
            'data/demo_video, then configs/vpsnet_demo.py'
        )
    (root / 'annotations').mkdir(exist_ok=True)
    console = Console(soft_wrap=True, highlight=False)
    for split in arguments.splits:
        with progress_bar(f'{split}', None, 'frame') as advance:
            console.print(_CONVERSIONS[split](root, advance))


def convert_train(root: Path, advance: Advance = lambda count: None) -> str:
    """Write the training split; returns what it has.

    Raises:
        InputError: see :func:`run`.
    """
    images = _load(root, 'panoptic_im_train_city_vps.json', 'images')['images']
    of_instances = _load(root, 'instances_train_city_vps_rle.json', 'annotations', 'categories')
    train_id_of = _train_ids(of_instances['categories'], 'instances_train_city_vps_rle.json')
    by_image = defaultdict(list)
    for annotation in of_instances['annotations']:
        by_image[annotation['image_id']].append(annotation)
    folder = root / 'annotations' / 'panoptic_train'
    folder.mkdir(exist_ok=True)
    entries: list[Json] = []
    annotations: list[Json] = []
    for image in images:
        match = _matched(image['file_name'])
        _check_file(root / 'train' / 'img' / image['file_name'])
        train_ids = _read_labelmap(root / 'train' / 'labelmap', image['file_name'])
        instances = [
            _instance(a, train_id_of, train_ids.shape, image['file_name'])
            for a in by_image[image['id']]
        ]
        ids = compose_ids(train_ids, instances)
        name = f'{Path(image["file_name"]).stem}.png'
        (folder / name).write_bytes(encode_id_png(ids))
        height, width = ids.shape
        entries.append(
            {
                'id': image['id'],
                'file_name': image['file_name'],
                'width': width,
                'height': height,
                'video_id': int(match[1]),
                'frame_id': int(match[2]),
            }
        )
        annotations.append(
            {'image_id': image['id'], 'file_name': name, 'segments_info': describe(ids)}
        )
        advance(1)
    _write(root / 'annotations' / 'panoptic_train.json', entries, annotations, _OWN_CATEGORIES)
    crowds = sum(s['iscrowd'] for a in annotations for s in a['segments_info'])
    return (
        f'train: {len({e["video_id"] for e in entries})} videos, {len(entries)} labelled frames; '
        f'{crowds} regions of things without an instance became crowds'
    )


def convert_val(root: Path, advance: Advance = lambda count: None) -> str:
    """Write the validation split, all frames; returns what it has.

    Raises:
        InputError: see :func:`run`.
    """
    truth = _load(root, 'panoptic_gt_val_city_vps.json', 'annotations', 'categories')
    all_frames = _load(root, 'im_all_info_val_city_vps.json', 'images')['images']
    train_id_of = _train_ids(truth['categories'], 'panoptic_gt_val_city_vps.json')
    frames = {image['id']: image for image in all_frames}
    by_video = defaultdict(list)
    for annotation in sorted(truth['annotations'], key=lambda a: str(a['file_name'])):
        by_video[int(_matched(annotation['file_name'])[1])].append(annotation)
    annotations = []
    for video, of_video in by_video.items():
        for place, annotation in enumerate(of_video, start=1):
            frame = frames.get(video * _FRAMES_PER_VIDEO_ID + place * _LABEL_INTERVAL)
            _check_same_place(annotation, frame, video, place)
            assert frame is not None
            annotations.append(_checked(root, annotation, frame, train_id_of))
            advance(1)
    entries = [_entry(root / 'val' / 'img_all', image) for image in all_frames]
    _write(root / 'annotations' / 'panoptic_val.json', entries, annotations, _OWN_CATEGORIES)
    videos = {entry['video_id'] for entry in entries}
    return f'val: {len(videos)} videos, {len(entries)} frames, {len(annotations)} of them labelled'


def convert_test(root: Path, advance: Advance = lambda count: None) -> str:
    """Write the list of the test split, all frames, without labels; returns what it has.

    The category ids are those of the set's own list, which a submission has to speak.

    Raises:
        InputError: see :func:`run`.
    """
    judged = _load(root, 'panoptic_im_test_city_vps.json', 'images', 'categories')
    all_frames = _load(root, 'im_all_info_test_city_vps.json', 'images')['images']
    train_id_of = _train_ids(judged['categories'], 'panoptic_im_test_city_vps.json')
    entries = []
    for image in all_frames:
        entries.append(_entry(root / 'test' / 'img_all', image))
        advance(1)
    expected = sum(entry['frame_id'] % _LABEL_INTERVAL == 0 for entry in entries)
    if len(judged['images']) != expected:
        raise InputError(
            f'panoptic_im_test_city_vps.json lists {len(judged["images"])} frames; every '
            f'{_LABEL_INTERVAL}th of im_all_info_test_city_vps.json are {expected}'
        )
    categories = [
        {'id': category_id, 'name': CLASSES[train_id], 'isthing': int(train_id >= len(STUFF))}
        for category_id, train_id in train_id_of.items()
    ]
    _write(root / 'annotations' / 'panoptic_test.json', entries, [], categories)
    videos = {entry['video_id'] for entry in entries}
    return f'test: {len(videos)} videos, {len(entries)} frames, {expected} of them to be submitted'


def _entry(folder: Path, image: Json) -> Json:
    """The entry of ``images`` of one of all frames; its file must be there."""
    _check_file(folder / image['file_name'])
    video, number = divmod(image['id'], _FRAMES_PER_VIDEO_ID)
    kept = {key: image[key] for key in ('id', 'file_name', 'width', 'height')}
    return kept | {'video_id': video, 'frame_id': number}


def _checked(root: Path, annotation: Json, frame: Json, train_id_of: Mapping[int, int]) -> Json:
    """An annotation under the id of its frame, compared with its PNG."""
    path = root / 'val' / 'panoptic_video' / annotation['file_name']
    _check_file(path)
    found = np.unique(decode_id_png(path.read_bytes(), str(path)))
    segments = annotation['segments_info']
    segment_positions(found, [s['id'] for s in segments], str(path))
    return {
        'image_id': frame['id'],
        'file_name': annotation['file_name'],
        'segments_info': [s | {'category_id': train_id_of[s['category_id']]} for s in segments],
    }


def _check_same_place(annotation: Json, frame: Json | None, video: int, place: int) -> None:
    """Is the frame that should have the label the one that was labelled?"""
    number = place * _LABEL_INTERVAL
    if frame is None:
        raise InputError(
            f'im_all_info_val_city_vps.json has no frame {number} of video {video} '
            f'(id {video * _FRAMES_PER_VIDEO_ID + number}), which {annotation["file_name"]} labels'
        )
    own = _matched(annotation['file_name'])[3]
    if re.search(r'_\d{6}_\d{6}', frame['file_name']) and own not in frame['file_name']:
        raise InputError(
            f'{annotation["file_name"]} should label frame {number} of video {video}, but that is '
            f'{frame["file_name"]}'
        )


def _matched(name: str) -> re.Match[str]:
    match = _NAME.match(Path(name).name)
    if match is None:
        raise InputError(
            f'{name} is no name of Cityscapes-VPS (0005_0025_frankfurt_000000_001736_…): which '
            'video is it of?'
        )
    return match


def _train_ids(categories: list[Json], source: str) -> dict[int, int]:
    """Train id of each category id, by name."""
    unknown = [c['name'] for c in categories if c['name'] not in CLASSES]
    if unknown:
        raise InputError(f'{source}: {unknown} are no classes of Cityscapes ({", ".join(CLASSES)})')
    return {c['id']: CLASSES.index(c['name']) for c in categories}


def _instance(
    annotation: Json, train_id_of: Mapping[int, int], shape: tuple[int, ...], name: str
) -> Instance:
    train_id = train_id_of[annotation['category_id']]
    mask = np.asarray(rle.decode(annotation['segmentation']), dtype=bool)
    if mask.shape != shape or train_id < len(STUFF):
        raise InputError(
            f'instances_train_city_vps_rle.json, annotation {annotation["id"]}: a thing of '
            f'{list(shape)} is expected in {name}, got {CLASSES[train_id]} of {list(mask.shape)}'
        )
    return Instance(train_id, annotation['inst_id'], mask)


def _read_labelmap(folder: Path, image_name: str) -> np.ndarray:
    """The map of train ids of an image; its name begins as the image's."""
    prefix = _matched(image_name)[0]
    paths = sorted(folder.glob(f'{prefix}*.png'))
    if len(paths) != 1:
        raise InputError(f'{folder.absolute()}: one {prefix}*.png is expected, got {len(paths)}')
    labels = cv2.imread(str(paths[0]), cv2.IMREAD_UNCHANGED)
    if labels is None or labels.ndim != 2:
        raise InputError(f'{paths[0]}: no grey picture of train ids')
    return np.asarray(labels, np.uint8)


def _load(root: Path, name: str, *keys: str) -> Json:
    path = root / name
    _check_file(path)
    content = read_json(path)
    missing = [key for key in keys if not isinstance(content, dict) or key not in content]
    if missing:
        raise InputError(f'{path}: no {" and no ".join(missing)} in it')
    return dict(content)


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise InputError(f'nothing at {path.absolute()}; see --help for what is expected where')


def _write(path: Path, images: list[Json], annotations: list[Json], categories: list[Json]) -> None:
    content = {'images': images, 'annotations': annotations, 'categories': categories}
    path.write_text(json.dumps(content), 'utf-8')


_OWN_CATEGORIES: list[Json] = [
    {'id': train_id, 'name': name, 'isthing': int(train_id >= len(STUFF))}
    for train_id, name in enumerate(CLASSES)
]
_CONVERSIONS = dict(zip(SPLITS, (convert_train, convert_val, convert_test), strict=True))
