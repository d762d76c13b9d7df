"""Miniature data sets of landmarks in the layouts of the real ones, and what they hold.

Every writer puts a set below a folder and returns, for each split, the objects in the order of the
files: name of the photo, box (None: any), and x, y, visibility of the points ``[K, 3]``.
"""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.io import savemat

Truth = dict[str, list[tuple[str, list[float] | None, np.ndarray]]]
WIDTH, HEIGHT = 96, 80


def draw(seed: int, count: int) -> np.ndarray:
    """Points ``[count, 2]`` of whole and half pixels inside of a photo, as an index from 1."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(4, 180, count) / 2, rng.integers(4, 150, count) / 2], axis=1)


def photo(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (HEIGHT // 8, WIDTH // 8, 3), np.uint8)
    cv2.imwrite(str(path), cv2.resize(pixels, (WIDTH, HEIGHT)))


def triples(points: np.ndarray, visible: Any = 2) -> np.ndarray:
    marks = np.broadcast_to(np.asarray(visible, float), len(points))
    return np.concatenate([np.where(marks[:, None] > 0, points, 0), marks[:, None]], axis=1)


def write_300w(root: Path) -> Truth:
    truth: Truth = {'train': [], 'val': [], 'test': []}
    places = {
        'train': ('afw/1', 'helen/trainset/a_1', 'lfpw/trainset/image_1'),
        'val': ('helen/testset/b', 'lfpw/testset/image_2', 'ibug/image_3 _1'),
        'test': ('300W/01_Indoor/indoor_001', '300W/02_Outdoor/outdoor_001'),
    }
    for split, names in places.items():
        for number, name in enumerate(names):
            points = draw(number, 68)
            suffix = '.png' if 'lfpw' in name else '.jpg'
            photo(root / f'{name}{suffix}', number)
            rows = '\n'.join(f'{x:.6f} {y:.6f}' for x, y in points)
            text = f'version: 1\nn_points:  68\n{{\n{rows}\n}}\n'
            (root / f'{name}.pts').write_text(text.replace('\n', '\r\n') if number else text)
            truth[split].append((f'{name}{suffix}', None, triples(points - 0.5)))
    return truth


def write_wflw(root: Path) -> Truth:
    truth: Truth = {'train': [], 'test': []}
    folder = root / 'WFLW_annotations/list_98pt_rect_attr_train_test'
    folder.mkdir(parents=True)
    names = {'train': ['0--Parade/a b.jpg'], 'test': ['1--X/c.jpg', '1--X/d.jpg', '1--X/c.jpg']}
    for split, photos in names.items():
        lines = []
        for number, name in enumerate(photos):
            photo(root / 'WFLW_images' / name)
            points = draw(number, 98)
            flags = [int(number == 0), 0, 0, 0, int(number == 2), int(number == 2)]
            fields = [f'{v:.4f}' for v in points.ravel()] + ['5', '6', '80', '70']
            lines.append(' '.join([*fields, *map(str, flags), name]))
            truth[split].append((name, [5, 6, 75, 64], triples(points)))
        (folder / f'list_98pt_rect_attr_{split}.txt').write_text('\n'.join(lines) + '\n')
    truth['test'] = [truth['test'][i] for i in (0, 2, 1)]  # by photo
    return truth


def cofw_tables(split: str) -> tuple[list[np.ndarray], np.ndarray, np.ndarray, Truth]:
    rng = np.random.default_rng(len(split))
    pictures = [
        rng.integers(0, 255, shape, np.uint8) for shape in ((HEIGHT, WIDTH), (HEIGHT, WIDTH, 3))
    ]
    boxes = np.array([[4.0, 5, 60, 50], [10, 11, 70, 60]])
    points = np.stack([draw(number, 29) for number in range(2)])
    occluded = rng.integers(0, 2, (2, 29)).astype(float)
    phis = np.concatenate([points[..., 0], points[..., 1], occluded], axis=1)
    truth = [
        (
            f'{split}_{i + 1:04d}.png',
            [boxes[i, 0] - 0.5, boxes[i, 1] - 0.5, boxes[i, 2], boxes[i, 3]],
            triples(points[i] - 0.5, 2 - occluded[i]),
        )
        for i in range(2)
    ]
    return pictures, boxes, phis, {split: truth}


def write_cofw(root: Path) -> Truth:
    """As saved again with -v7; the released files are HDF5, see ``write_cofw_hdf5``."""
    truth: Truth = {}
    for split, suffix in (('train', 'Tr'), ('test', 'T')):
        pictures, boxes, phis, own = cofw_tables(split)
        cells = np.empty((2, 1), object)
        for number, picture in enumerate(pictures):
            cells[number, 0] = picture
        content = {f'Is{suffix}': cells, f'bboxes{suffix}': boxes, f'phis{suffix}': phis}
        savemat(root / f'COFW_{split}_color.mat', content)
        truth |= own
    return truth


def write_cofw_hdf5(root: Path) -> Truth:
    import h5py

    truth: Truth = {}
    (root / 'COFW_color').mkdir()
    for split, suffix in (('train', 'Tr'), ('test', 'T')):
        pictures, boxes, phis, own = cofw_tables(split)
        path = root / f'COFW_color/COFW_{split}_color.mat'
        with h5py.File(path, 'w', userblock_size=512) as file:
            cells = file.create_dataset(f'Is{suffix}', (1, 2), dtype=h5py.ref_dtype)
            for number, picture in enumerate(pictures):
                stored = file.create_dataset(f'#refs#/{number}', data=picture.T)
                cells[0, number] = stored.ref
            file[f'bboxes{suffix}'], file[f'phis{suffix}'] = boxes.T, phis.T
        truth |= own
    return truth


def write_aflw(root: Path) -> Truth:
    rng = np.random.default_rng(5)
    names = ['0/image1.jpg', '2/image2.jpg', '2/image2.jpg', '3/image3.jpg']
    points = np.stack([draw(number, 19) for number in range(4)])
    mask = rng.integers(0, 2, (4, 19))
    mask[3] = 1
    corners = np.concatenate([points.min(axis=1) - 1, points.max(axis=1) + 1], axis=1)
    cells = np.empty((4, 1), object)
    for number, name in enumerate(names):
        photo(root / 'flickr' / name)
        cells[number, 0] = name
    content = dict(
        bbox=corners[:, [0, 2, 1, 3]],  # x1, x2, y1, y2
        data=np.concatenate([points[..., 0], points[..., 1]], axis=1),
        mask_new=mask.astype(float),
        nameList=cells,
        ra=np.array([[2, 4, 3, 1]]),
    )
    savemat(root / 'AFLWinfo_release.mat', content)
    whole = [
        (
            names[i],
            [*corners[i, :2], *(corners[i, 2:] - corners[i, :2])],
            triples(points[i], 2 * mask[i]),
        )
        for i in range(4)
    ]
    return {'train': [whole[1], whole[3]], 'test': [whole[2], whole[0]]}


def _square(center: list[float], scale: float) -> list[float]:
    side = 200 * scale
    return [center[0] - 0.5 - side / 2, center[1] - 0.5 + 15 * scale - side / 2, side, side]


def write_mpii(root: Path) -> Truth:
    """The files of HRNet and mmpose."""
    truth: Truth = {}
    (root / 'annot').mkdir()
    heads = np.array([[[10.0, 12], [20, 22]], [[30, 33], [45, 49]]])  # [corner, xy, person]
    for split, file, count in (('train', 'train.json', 3), ('val', 'valid.json', 2)):
        records, truth[split] = [], []
        for number in range(count):
            name = f'{split}{number // 2}.jpg'
            photo(root / 'images' / name)
            points, marks = draw(number, 16), np.arange(16) % 3 > 0
            points[:2], marks[:2] = -1, False
            center, scale = [40.0, 30.0 + number], 0.25
            records.append(
                dict(
                    image=name, center=center, scale=scale, joints=points.tolist(),
                    joints_vis=marks.astype(int).tolist(),
                )
            )  # fmt: skip
            visible = np.where(points[:, 0] < 0, 0, 1 + marks)
            truth[split].append((name, _square(center, scale), triples(points - 0.5, visible)))
        (root / 'annot' / file).write_text(json.dumps(records))
    savemat(root / 'annot/mpii_gt_val.mat', dict(headboxes_src=heads))
    return truth


def write_mpii_one_file(root: Path) -> Truth:
    """The file of pytorch-pose."""
    truth: Truth = {'train': [], 'val': []}
    records = []
    for number, split in enumerate(('train', 'val', 'train')):
        name = f'{number}.jpg'
        photo(root / 'images' / name)
        points, marks = draw(number, 16), np.arange(16) % 2
        points[5], marks[5] = 0, 0
        records.append(
            dict(
                img_paths=name, isValidation=float(split == 'val'), objpos=[40.0, 41.0],
                scale_provided=0.3,
                joint_self=np.concatenate([points, marks[:, None]], axis=1).tolist(),
            )
        )  # fmt: skip
        visible = np.where(points[:, 0] == 0, 0, 1 + marks)
        truth[split].append((name, _square([40, 41], 0.3), triples(points - 0.5, visible)))
    (root / 'mpii_annotations.json').write_text(json.dumps(records))
    return truth


def write_mpii_released(root: Path) -> Truth:
    """The structure of the released file: persons without points, empty marks, one person alone."""
    truth: Truth = {'train': []}
    images = []
    for number in range(3):
        name = f'{number}.jpg'
        photo(root / 'images' / name)
        people: list[dict[str, Any]] = []
        for person in range(1 + (number == 1)):
            points = draw(10 * number + person, 16)
            ids = [i for i in range(16) if i != 4]
            marks = [np.zeros((0, 0)) if i in (6, 7) else np.uint8(i % 2) for i in ids]
            place = dict(x=40.0, y=50.0 + person)
            people.append(
                dict(
                    x1=np.uint8(200), y1=np.uint8(20), x2=np.uint8(230), y2=np.uint8(60),
                    annopoints=dict(
                        point=[
                            dict(id=i, x=points[i, 0], y=points[i, 1], is_visible=mark)
                            for i, mark in zip(ids, marks, strict=True)
                        ]
                    ),
                    objpos=place, scale=0.2,
                )
            )  # fmt: skip
            visible = np.array(
                [0 if i == 4 else 2 if i in (6, 7) else 1 + i % 2 for i in range(16)]
            )
            if number < 2:
                box = _square([place['x'], place['y']], 0.2)
                truth['train'].append((name, box, triples(points - 0.5, visible)))
        if number == 0:  # somebody of whom nothing but the head is known
            people.append(dict(people[0], annopoints=np.zeros((0, 0))))
        images.append(dict(image=dict(name=name), annorect=people))
    release = dict(annolist=images, img_train=np.array([1, 1, 0]))
    savemat(root / 'mpii_human_pose_v1_u12_1.mat', dict(RELEASE=release))
    return truth


def write_lsp(root: Path) -> Truth:
    points = np.stack([draw(number, 14) for number in range(4)])
    occluded = np.random.default_rng(1).integers(0, 2, (4, 14))
    joints = np.concatenate([points, occluded[..., None]], axis=2).transpose(2, 1, 0)
    savemat(root / 'joints.mat', dict(joints=joints))
    whole = []
    for number in range(4):
        name = f'images/im{number + 1:04d}.jpg'
        photo(root / name)
        whole.append((name, None, triples(points[number] - 0.5, 2 - occluded[number])))
    return {'train': whole[:2], 'test': whole[2:]}


def write_lspet(root: Path) -> Truth:
    points, visible = np.stack([draw(n, 14) for n in range(2)]), np.ones((2, 14))
    points[0, 3], visible[0, 3] = (-4, -7), 0  # not to be seen at all
    visible[1, 2] = 0
    joints = np.concatenate([points, visible[..., None]], axis=2).transpose(1, 2, 0)
    savemat(root / 'joints.mat', dict(joints=joints))
    marks = 1 + visible
    marks[0, 3] = 0
    whole = []
    for number in range(2):
        photo(root / f'images/im{number + 1:05d}.jpg')
        name = f'images/im{number + 1:05d}.jpg'
        whole.append((name, None, triples(points[number] - 0.5, marks[number])))
    return {'train': whole}


def write_face_labels(root: Path) -> Truth:
    """The first split as one file, the second in a folder as RetinaFace's release has it."""
    truth: Truth = {}
    for split, file in (('train', 'train.txt'), ('val', 'val/label.txt')):
        lines, truth[split] = [], []
        for number in range(2):
            name, box = f'{split}/{number}.jpg', [3.0, 4.5, 60.0, 50.0 + number]
            photo(root / name)
            points, visible = draw(number, 5), np.array([2, 1, 0, 2, 2])
            file_marks = {0: '-1 -1 -1', 1: '{} {} 1', 2: '{} {} 0'}
            fields = [file_marks[v].format(*p) for p, v in zip(points, visible, strict=True)]
            lines += [f'# {name}', ' '.join([*map(str, box), *fields, '1.0'])]
            truth[split].append((name, box, triples(points, visible)))
        (root / file).parent.mkdir(exist_ok=True)
        (root / file).write_text('\n'.join(lines))
    return truth


def write_whole_body(root: Path, part: str) -> Truth:
    sizes = dict(keypoints=17, foot_kpts=6, face_kpts=68, lefthand_kpts=21, righthand_kpts=21)
    truth: Truth = {}
    (root / 'annotations').mkdir()
    for split in ('train', 'val'):
        images, annotations, truth[split] = [], [], []
        for number in range(2):
            name = f'{number:012d}.jpg'
            photo(root / f'{split}2017' / name)
            images.append(dict(id=7 + number, file_name=name, width=WIDTH, height=HEIGHT))
            rng = np.random.default_rng(number)
            own = {
                k: triples(draw(n, c), rng.integers(0, 3, c))
                for n, (k, c) in enumerate(sizes.items())
            }
            boxes = dict(bbox=[1, 2, 80, 70], face_box=[3, 4, 20, 21])
            boxes |= dict(lefthand_box=[5, 6, 9, 8], righthand_box=[7, 8, 9, 10])
            record: dict[str, Any] = {k: v.ravel().tolist() for k, v in own.items()} | boxes
            record |= dict(face_valid=True, foot_valid=True, lefthand_valid=number == 1)
            record |= dict(righthand_valid=True, iscrowd=0, area=1234.0, category_id=1)
            annotations.append(record | dict(id=number, image_id=7 + number))
            path = f'{split}2017/{name}'
            chosen: list[tuple[str, Any]] = {
                'body': [('keypoints', boxes['bbox'])],
                'face': [('face_kpts', boxes['face_box'])],
                'feet': [('foot_kpts', None)],
                'hands': [('lefthand_kpts', boxes['lefthand_box'])] * number
                + [('righthand_kpts', boxes['righthand_box'])],
            }.get(part, [])
            if part == 'whole':
                truth[split].append((path, boxes['bbox'], np.concatenate(list(own.values()))))
            truth[split] += [(path, box, own[key]) for key, box in chosen]
        content = dict(images=images, annotations=annotations, categories=[])
        target = root / f'annotations/coco_wholebody_{split}_v1.0.json'
        target.write_text(json.dumps(content))
    return truth
