"""The data sets that the configs name, each with a few tiny pictures.

Folders, file names and class tables are those of the real sets; what a program of ours makes of a
download is made by that program.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cityscapes_vps_set
import cv2
import numpy as np
import small_upsnet
import torch
import wider_face_set
from mmdet.datasets import CocoPanopticDataset

from mmext.cli.prepare.cityscapes_vps import convert_test, convert_train, convert_val
from mmext.configuration import load_config
from mmext.demo.categories import Category
from mmext.demo.coco_files import PanopticSplitWriter, Segment
from mmext.demo.faces import write_face_dataset
from mmext.demo.figures import write_figure_dataset
from mmext.demo.panoptic import write_panoptic_dataset
from mmext.demo.video import write_video_dataset
from mmext.formats.flow_files import write_flow
from mmext.formats.panoptic_files import encode_id_png
from mmext.host import import_mmdet
from mmext.registry import MODELS
from mmext.yolact_edge.dataset import VideoInstanceDataset

Json = dict[str, Any]

# COCO's ids have gaps: 80 things, 53 stuff
THING_IDS = [n for n in range(1, 91) if n not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)]
STUFF_IDS = [
    *(92, 93, 95, 100, 107, 109, 112, 118, 119, 122, 125, 128, 130, 133, 138, 141, 144, 145),
    *(147, 148, 149, 151, 154, 155, 156, 159, 161, 166, 168, 171, 175, 176, 177, 178, 180, 181),
    *range(184, 201),
]
JOINTS = (
    *('nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'left_shoulder', 'right_shoulder'),
    *('left_elbow', 'right_elbow', 'left_wrist', 'right_wrist', 'left_hip', 'right_hip'),
    *('left_knee', 'right_knee', 'left_ankle', 'right_ankle'),
)
# labels.py of cityscapesScripts: ids of the classes that are judged; those with instances from 24
CITYSCAPES = {
    **{7: 'road', 8: 'sidewalk', 11: 'building', 12: 'wall', 13: 'fence', 17: 'pole'},
    **{19: 'traffic light', 20: 'traffic sign', 21: 'vegetation', 22: 'terrain', 23: 'sky'},
    **{24: 'person', 25: 'rider', 26: 'car', 27: 'truck', 28: 'bus', 31: 'train'},
    **{32: 'motorcycle', 33: 'bicycle'},
}
IMAGES = 2  # of a split
TALL, WIDE = (80, 56), (56, 80)


def write_coco(root: Path) -> None:
    """COCO 2017: instances, panoptic and key points; an upright picture and a wide one."""
    names = CocoPanopticDataset.METAINFO['classes']
    table = [
        Category(number, name, 'any', number in THING_IDS, (number, 99, 200 - number))
        for number, name in zip(THING_IDS + STUFF_IDS, names, strict=True)
    ]
    label_of = {name: label for label, name in enumerate(names)}
    for split, first in (('train', 9), ('val', 139)):
        writer = PanopticSplitWriter(root, split, table, 'miniature of COCO')
        for image_id, shape in zip(range(first, first + IMAGES), (TALL, WIDE), strict=True):
            writer.add(image_id, *_scene(image_id, shape, label_of))
        writer.close()
        instances = root / 'annotations' / f'instances_{split}2017.json'
        content = json.loads(instances.read_text())
        _draw_polygons(content['annotations'])
        instances.write_text(json.dumps(content))
        _write_persons(instances.with_name(f'person_keypoints_{split}2017.json'), content)


def _scene(seed: int, shape: tuple[int, int], label_of: dict[str, int]) -> tuple[Any, Any, Any]:
    """Two persons, a dog and a crowd, all of them blocks, between sky and grass; some void."""
    rng = np.random.default_rng(seed)
    kinds = ['sky-other-merged', 'grass-merged', 'person', 'person', 'dog', 'person']
    keys = np.zeros(shape, np.int32)
    keys[shape[0] // 2 :] = 1
    for key, (x, y) in enumerate([(4, 6), (30, 20), (8, 32), (34, 3)], 2):
        height, width = rng.integers(14, 22, 2)
        keys[y : y + height, x : x + width] = key
    keys[-4:] = len(kinds)
    image = rng.integers(0, 255, (len(kinds) + 1, 3), np.uint8)[keys]
    segments = {
        key: Segment(label_of[kind], is_crowd=key == len(kinds) - 1)
        for key, kind in enumerate(kinds)
    }
    return image, keys, segments


def _draw_polygons(annotations: list[Json]) -> None:
    """COCO outlines single things; crowds are run lengths."""
    for annotation in annotations:
        if not annotation['iscrowd']:
            x, y, w, h = annotation['bbox']
            annotation['segmentation'] = [[x, y, x + w, y, x + w, y + h, x, y + h]]


def _write_persons(path: Path, instances: Json) -> None:
    """Every second joint of a person is annotated, of a crowd none."""
    persons = [dict(a) for a in instances['annotations'] if a['category_id'] == 1]
    for person in persons:
        x, y, w, h = person['bbox']
        points = np.zeros((17, 3))
        if not person['iscrowd']:
            steps = np.linspace(0.1, 0.9, 17)[::2]
            points[::2] = np.stack([x + steps * w, y + steps * h, 1 + np.arange(9) % 2], 1)
        person |= dict(
            keypoints=points.ravel().round().tolist(), num_keypoints=int((points[:, 2] > 0).sum())
        )
    category = dict(id=1, name='person', supercategory='person', keypoints=JOINTS, skeleton=[])
    content = {**instances, 'annotations': persons, 'categories': [category]}
    path.write_text(json.dumps(content))


def write_cityscapes(root: Path) -> None:
    """Cityscapes as ``csCreatePanopticImgs`` of cityscapesScripts converts it."""
    table = [
        dict(id=number, name=name, color=[number] * 3, supercategory='any', isthing=number >= 24)
        for number, name in CITYSCAPES.items()
    ]
    for split, city in (('train', 'aachen'), ('val', 'frankfurt')):
        photos = root / 'leftImg8bit' / split / city
        maps = root / 'annotations' / f'cityscapes_panoptic_{split}'
        photos.mkdir(parents=True)
        maps.mkdir(parents=True)
        images, annotations = [], []
        for number in range(IMAGES):
            name = f'{city}_000000_{number:06d}'
            ids = _street(number)
            pixels = np.stack([ids % 251, ids % 91, ids % 17 * 9], 2).astype(np.uint8)
            cv2.imwrite(str(photos / f'{name}_leftImg8bit.png'), pixels)
            (maps / f'{name}_gtFine_panoptic.png').write_bytes(encode_id_png(ids))
            images.append(
                dict(id=name, width=64, height=32, file_name=f'{name}_gtFine_leftImg8bit.png')
            )
            annotations.append(
                dict(
                    image_id=name,
                    file_name=f'{name}_gtFine_panoptic.png',
                    segments_info=_segments(ids),
                )
            )
        content = dict(images=images, annotations=annotations, categories=table)
        (root / 'annotations' / f'cityscapes_panoptic_{split}.json').write_text(json.dumps(content))


def _street(number: int) -> Any:
    """Sky over a road with two cars and a group of persons; some void. 64 x 32 pixels."""
    ids = np.zeros((32, 64), np.int64)
    ids[:12], ids[12:29] = 23, 7
    ids[10:20, 4 + number : 20] = 26_000
    ids[14:26, 30 : 44 + number] = 26_001
    ids[8:16, 50:60] = 24  # a class without a number: a crowd
    return ids


def _segments(ids: Any) -> list[Json]:
    found = []
    for segment_id in np.unique(ids[ids > 0]).tolist():
        mask = (ids == segment_id).astype(np.uint8)
        category = segment_id if segment_id < 1000 else segment_id // 1000
        found.append(
            dict(
                id=segment_id,
                category_id=category,
                area=int(mask.sum()),
                bbox=list(cv2.boundingRect(mask)),
                iscrowd=int(category >= 24 and segment_id < 1000),
            )
        )
    return found


def write_cityscapes_vps(root: Path) -> None:
    """Cityscapes-VPS, with the annotations that ``tools/prepare_data.py`` writes."""
    cityscapes_vps_set.write_set(root)
    (root / 'annotations').mkdir()
    for convert in (convert_train, convert_val, convert_test):
        convert(root)


def write_mpii(root: Path) -> None:
    """MPII as COCO key points: 16 joints."""
    _write_landmarks(root, 'mpii', 'person', 16, 'images')


def write_300w(root: Path) -> None:
    """300W as COCO key points: 68 points."""
    _write_landmarks(root, '300w', 'face', 68, 'images')


def _write_landmarks(root: Path, name: str, kind: str, points: int, folder: str) -> None:
    """Two objects a picture on noise, all points but one of them annotated, some occluded."""
    (root / 'annotations').mkdir(parents=True)
    (root / folder).mkdir()
    category = dict(id=1, name=kind, keypoints=[str(i) for i in range(points)], skeleton=[])
    for split, first in (('train', 1), ('val', 3)):
        pictures: list[Json] = []
        objects: list[Json] = []
        for number in range(first, first + IMAGES):
            rng = np.random.default_rng(number)
            height, width = TALL if number % 2 else WIDE
            file = f'{number:04d}.jpg'
            noise = rng.integers(0, 255, (height, width, 3), np.uint8)
            cv2.imwrite(str(root / folder / file), noise)
            pictures.append(dict(id=number, file_name=file, width=width, height=height))
            for x, y in ((4, 6), (22, 20)):
                w, h = (int(v) for v in rng.integers(20, 30, 2))
                places = rng.uniform(0.1, 0.9, (points, 2)) * (w, h) + (x, y)
                seen = 1 + np.arange(points) % 2
                seen[-1] = 0
                triples = np.concatenate([places, seen[:, None]], 1) * (seen > 0)[:, None]
                objects.append(
                    dict(
                        id=len(objects) + 1,
                        image_id=number,
                        category_id=1,
                        bbox=[x, y, w, h],
                        area=w * h,
                        iscrowd=0,
                        keypoints=triples.round(1).ravel().tolist(),
                        num_keypoints=points - 1,
                        head_bbox=[x, y, w / 2, h / 3],
                    )
                )
        content = dict(images=pictures, annotations=objects, categories=[category])
        (root / 'annotations' / f'{name}_{split}.json').write_text(json.dumps(content))


def write_youtube_vis(root: Path) -> None:
    """YouTube-VIS 2019: every third frame of two clips is annotated, all are there."""
    _write_walks(root, 'figures')
    photos = root / 'train_all_frames' / 'JPEGImages'
    photos.parent.mkdir()
    (root / 'figures' / 'train_clips').rename(photos)
    content = json.loads((root / 'figures/annotations/youtube_vis_train.json').read_text())
    names = VideoInstanceDataset.METAINFO['classes']
    content['categories'] = [dict(id=i, name=name) for i, name in enumerate(names, 1)]
    for video in content['videos']:
        video['file_names'] = video['file_names'][::3]
    for track in content['annotations']:
        for key in ('bboxes', 'segmentations', 'areas'):
            track[key] = track[key][::3]
    (root / 'annotations').mkdir()
    for split in ('train', 'val'):
        (root / f'annotations/{split}.json').write_text(json.dumps(content))
    _write_flying_chairs(root.with_name('FlyingChairs_release'))


def _write_flying_chairs(root: Path) -> None:
    """Four pairs of noise that moves."""
    (root / 'data').mkdir(parents=True)
    for number in range(1, 5):
        noise = np.random.default_rng(number).integers(0, 255, (40, 60, 3), np.uint8)
        for kind, image in (('img1', noise), ('img2', np.roll(noise, number, axis=1))):
            cv2.imwrite(str(root / f'data/{number:05d}_{kind}.ppm'), image)
        flow = np.tile(np.array([number, 0], np.float32), (40, 60, 1))
        write_flow(str(root / f'data/{number:05d}_flow.flo'), flow)


def _write_walks(root: Path, folder: str = '') -> None:
    write_figure_dataset(
        root / folder,
        num_train=1,
        num_val=1,
        num_train_clips=2,
        num_val_clips=1,
        image_size=(96, 96),
    )


def write_densepose_coco(root: Path) -> None:
    """DensePose-COCO's layout with generated figures and their surface in place of SMPL's."""
    write_figure_dataset(
        root, num_train=4, num_val=2, num_train_clips=0, num_val_clips=0, image_size=(96, 96)
    )
    (root / 'train2017').rename(root / 'train2014')
    (root / 'val2017').rename(root / 'val2014')
    annotations = root / 'annotations'
    (annotations / 'densepose_train2017.json').rename(annotations / 'densepose_train2014.json')
    val = (annotations / 'densepose_val2017.json').read_text()
    for split in ('valminusminival', 'minival'):
        (annotations / f'densepose_{split}2014.json').write_text(val)
    (root / 'densepose').mkdir()
    (root / 'surface').rename(root / 'densepose' / 'surface')
    tables = root / 'densepose' / 'surface' / 'UV_symmetry_transforms.mat'
    tables.rename(root / 'densepose' / tables.name)


def write_judge(root: Path) -> None:
    """A UPSNet of the demo's classes, small and untrained, as a config and its weights."""
    root.mkdir(parents=True)
    config = load_config('mmext::upsnet_demo.py')
    small_upsnet.shrink(config, 8)
    config.model.semantic_head.norm_cfg.num_groups = 4
    config.dump(root / 'judge.py')
    import_mmdet()
    torch.manual_seed(0)
    torch.save({'state_dict': MODELS.build(config.model).state_dict()}, root / 'judge.pth')


def write_translator(root: Path) -> None:
    """A small untrained CycleGAN, as a config and its weights."""
    root.mkdir(parents=True)
    config = load_config('mmext::cyclegan_demo.py')
    config.model.generator.update(width=4, num_blocks=1)
    config.dump(root / 'day.py')
    import_mmdet()
    torch.save({'state_dict': MODELS.build(config.model).state_dict()}, root / 'day.pth')


def write_nights(root: Path) -> None:
    """The same landscapes by day and at night."""
    for light in ('day', 'night'):
        write_panoptic_dataset(
            root / light, num_train=4, num_val=2, image_size=(96, 96), light=light
        )


def write_pairs(root: Path) -> None:
    """Pictures of pix2pix: both of a pair side by side."""
    for split in ('train', 'val'):
        _write_pictures(root / split, (128, 300))


def write_domains(root: Path) -> None:
    """Pictures of CycleGAN: two domains without pairs."""
    for name in ('trainA', 'trainB', 'testA', 'testB'):
        _write_pictures(root / name, (128, 150))


def _write_pictures(folder: Path, shape: tuple[int, int]) -> None:
    folder.mkdir(parents=True)
    for number in range(IMAGES):
        noise = np.random.default_rng(number).integers(0, 256, (*shape, 3), np.uint8)
        cv2.imwrite(str(folder / f'{number}.jpg'), noise)


WRITERS: dict[str, Callable[[Path], Any]] = {
    'judge': write_judge,
    'translator': write_translator,
    'facades': write_pairs,
    'horse2zebra': write_domains,
    'coco': write_coco,
    'cityscapes': write_cityscapes,
    'cityscapes_vps': write_cityscapes_vps,
    'wider_face': wider_face_set.write_set,
    'mpii': write_mpii,
    '300w': write_300w,
    'demo_panoptic': lambda root: write_panoptic_dataset(
        root, num_train=4, num_val=2, image_size=(64, 64)
    ),
    'demo_nights': write_nights,
    'demo_video': lambda root: write_video_dataset(
        root, num_train=2, num_val=1, image_size=(96, 64)
    ),
    'youtube_vis_2019': write_youtube_vis,
    'demo_walks': _write_walks,
    'demo_faces': lambda root: write_face_dataset(
        root, num_train=8, num_val=2, image_size=(128, 128)
    ),
    'demo_figures': lambda root: write_figure_dataset(
        root, num_train=4, num_val=2, num_train_clips=0, num_val_clips=0, image_size=(96, 96)
    ),
    'densepose_coco': write_densepose_coco,
}
