"""A Cityscapes-VPS of the published layout, with a few small frames; for tests of two folders."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as rle

from mmext.cli.prepare.cityscapes_vps_maps import CLASSES
from mmext.formats.panoptic_files import encode_id_png

HEIGHT, WIDTH = 32, 64
CAR, PERSON, ROAD, SKY = (CLASSES.index(name) for name in ('car', 'person', 'road', 'sky'))
Json = dict[str, Any]


def write_set(root: Path) -> None:
    """Two videos to train on, of two and three labelled frames, and one of ten frames."""
    for folder in ('train/img', 'train/labelmap', 'val/img_all', 'val/panoptic_video',
                   'test/img_all'):  # fmt: skip
        (root / folder).mkdir(parents=True)
    categories = [
        {'id': 7 + i, 'name': name, 'isthing': int(i > 10)} for i, name in enumerate(CLASSES)
    ]
    _write_train(root, categories)
    _write_val(root, categories)
    _write_test(root, categories)


def _write_train(root: Path, categories: list[Json]) -> None:
    images, instances, number = [], [], 0
    for video, length in ((3, 2), (4, 3)):
        for t in range(length):
            number += 1
            stem = f'{video:04d}_{number:04d}_ulm_000000_{number:06d}'
            name = f'{stem}_newImg8bit.png'
            cv2.imwrite(str(root / 'train/img' / name), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
            labels = np.full((HEIGHT, WIDTH), ROAD, np.uint8)
            labels[:8] = SKY
            labels[-4:] = 255
            car = np.zeros((HEIGHT, WIDTH), np.uint8)
            car[12:20, 5 + 4 * t : 20 + 4 * t] = 1
            labels[car > 0] = CAR
            labels[12:18, 50:60] = CAR  # without an instance
            cv2.imwrite(str(root / 'train/labelmap' / f'{stem}_gtFine_labelTrainIds.png'), labels)
            images.append({'id': 100 + number, 'file_name': name, 'height': HEIGHT, 'width': WIDTH})
            code = rle.encode(np.asfortranarray(car))
            instances.append(
                {'id': number, 'image_id': 100 + number, 'category_id': 3, 'inst_id': 26000 + video,
                 'segmentation': dict(code, counts=code['counts'].decode()), 'iscrowd': 0}
            )  # fmt: skip
    things = [{'id': 3, 'name': 'car'}, {'id': 1, 'name': 'person'}]
    _dump(root / 'panoptic_im_train_city_vps.json', images=images, categories=categories)
    _dump(root / 'instances_train_city_vps_rle.json', images=images, annotations=instances,
          categories=things)  # fmt: skip


def _write_val(root: Path, categories: list[Json]) -> None:
    frames, annotations = [], []
    for t in range(1, 11):
        name = f'0005_{t:04d}_bonn_000001_{t:06d}_leftImg8bit.png'
        cv2.imwrite(str(root / 'val/img_all' / name), np.full((HEIGHT, WIDTH, 3), t, np.uint8))
        frames.append({'id': 50_000 + t, 'file_name': name, 'height': HEIGHT, 'width': WIDTH})
        if t % 5 == 0:
            ids = np.full((HEIGHT, WIDTH), 300)
            ids[10:20, 2 * t : 2 * t + 15] = 70_000
            png = f'0005_{24 + t // 5:04d}_bonn_000001_{t:06d}_final_mask.png'
            (root / 'val/panoptic_video' / png).write_bytes(encode_id_png(ids))
            segments = [
                {'id': 300, 'category_id': 7 + ROAD, 'area': HEIGHT * WIDTH - 150, 'iscrowd': 0,
                 'bbox': [0, 0, WIDTH, HEIGHT]},
                {'id': 70_000, 'category_id': 7 + PERSON, 'area': 150, 'iscrowd': 0,
                 'bbox': [2 * t, 10, 15, 10]},
            ]  # fmt: skip
            annotations.append({'image_id': t, 'file_name': png, 'segments_info': segments})
    _dump(root / 'im_all_info_val_city_vps.json', images=frames)
    _dump(root / 'panoptic_gt_val_city_vps.json', annotations=annotations[::-1],
          categories=categories, images=[])  # fmt: skip


def _write_test(root: Path, categories: list[Json]) -> None:
    """Videos 9 and 10, of ten frames each, in the order in which their names sort."""
    frames, judged = [], []
    for video in (9, 10):
        for t in range(1, 11):
            name = f'{video:04d}_{t:04d}_kiel_000002_{t:06d}_leftImg8bit.png'
            cv2.imwrite(str(root / 'test/img_all' / name), np.full((HEIGHT, WIDTH, 3), t, np.uint8))
            frame = {'file_name': name, 'height': HEIGHT, 'width': WIDTH}
            frames.append({'id': 10_000 * video + t, **frame})
            if t % 5 == 0:
                judged.append({'id': len(judged), **frame})
    _dump(root / 'im_all_info_test_city_vps.json', images=frames)
    _dump(root / 'panoptic_im_test_city_vps.json', images=judged, categories=categories)


def _dump(path: Path, **content: Any) -> None:
    path.write_text(json.dumps(content))
