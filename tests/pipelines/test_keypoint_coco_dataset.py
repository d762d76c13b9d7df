import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmdet.datasets import CocoDataset

from mmext.errors import InputError
from mmext.pipelines.keypoint_coco_dataset import CocoKeypointDataset

META = dict(
    classes=('car',), keypoints=('front', 'left', 'right'), flip_pairs=((1, 2),), sigmas=(0.1,) * 3
)


def write(folder: Path, annotations: list[dict]) -> dict:
    images = [dict(id=i, width=80, height=60, file_name=f'{i}.png') for i in range(3)]
    for image in images:
        cv2.imwrite(str(folder / image['file_name']), np.zeros((60, 80, 3), np.uint8))
    categories = [dict(id=7, name='car'), dict(id=8, name='cow')]
    content = dict(images=images, categories=categories, annotations=annotations)
    (folder / 'truth.json').write_text(json.dumps(content))
    return dict(data_root=str(folder), ann_file='truth.json', data_prefix=dict(img=''))


def annotation(number: int, image: int, **changes: object) -> dict:
    box = [10.0 + number, 10, 30, 20]
    return dict(id=number, image_id=image, category_id=7, iscrowd=0, bbox=box, area=500.0) | changes


def test_points_belong_to_their_instances(tmp_path: Path) -> None:
    points = [12, 13, 2, 14, 15, 1, 0, 0, 0]
    rows = [
        annotation(1, 0, bbox=[1, 2, 0.5, 9], keypoints=[1] * 9),  # too small
        annotation(2, 0, keypoints=points, segmentation=[[1.0, 2, 3, 4, 5, 6]]),
        annotation(3, 0, category_id=8, keypoints=[2] * 9),  # another category
        annotation(4, 0),
        annotation(5, 1, iscrowd=1, keypoints=points),
    ]
    data = CocoKeypointDataset(**write(tmp_path, rows), metainfo=META, pipeline=[])
    first, second, third = (data.get_data_info(i) for i in range(3))
    assert [i['keypoints'] for i in first['instances']] == [points, [0] * 9]
    assert first['instances'][0]['mask'] == [[1.0, 2, 3, 4, 5, 6]]
    assert first['instances'][1]['mask'] == []
    assert second['instances'][0]['ignore_flag'] == 1
    assert third['instances'] == []
    assert first['num_keypoints'] == 3
    assert first['flip_pairs'] == ((1, 2),)


def test_everything_else_is_the_hosts(tmp_path: Path) -> None:
    rows = [annotation(1, 0, keypoints=[1] * 9), annotation(2, 2, segmentation=[[0.0] * 6])]
    paths = write(tmp_path, rows)
    ours = CocoKeypointDataset(**paths, metainfo=META, pipeline=[])
    host = CocoDataset(**paths, metainfo=dict(classes=('car',)), pipeline=[])
    for i in range(3):
        info = ours.get_data_info(i)
        del info['num_keypoints'], info['flip_pairs']
        for instance in info['instances']:
            del instance['keypoints']
            if not instance.get('mask'):
                instance.pop('mask', None)  # empty beside objects that have one
        assert info == host.get_data_info(i)


def test_images_with_enough_points(tmp_path: Path) -> None:
    rows = [
        annotation(1, 0, keypoints=[1, 1, 2, 0, 0, 0, 0, 0, 0]),
        annotation(2, 1, keypoints=[1, 1, 2, 3, 3, 1, 0, 0, 0]),
        annotation(3, 2, keypoints=[1, 1, 2, 3, 3, 1, 0, 0, 0], iscrowd=1),
    ]
    paths = write(tmp_path, rows)
    kept = {}
    for wanted in (0, 1, 2):
        data = CocoKeypointDataset(
            **paths, metainfo=META, filter_cfg=dict(min_keypoints=wanted), pipeline=[]
        )
        kept[wanted] = [data.get_data_info(i)['img_id'] for i in range(len(data))]
    assert kept == {0: [0, 1, 2], 1: [0, 1], 2: [1]}
    test = CocoKeypointDataset(
        **paths, metainfo=META, filter_cfg=dict(min_keypoints=2), pipeline=[], test_mode=True
    )
    assert len(test) == 3
    with pytest.raises(InputError, match=r'3 images, none left by filter_cfg=.*min_keypoints.: 3'):
        CocoKeypointDataset(**paths, metainfo=META, filter_cfg=dict(min_keypoints=3), pipeline=[])


def test_another_number_of_points(tmp_path: Path) -> None:
    paths = write(tmp_path, [annotation(1, 0, keypoints=[1] * 51)])
    with pytest.raises(ValueError, match=r'annotation 1: expected 3 key points .*, got 17'):
        CocoKeypointDataset(**paths, metainfo=META, pipeline=[])


def test_points_that_are_no_numbers(tmp_path: Path) -> None:
    for points, message in (
        (['a', *[1] * 8], 'expected numbers in threes'),
        ([1] * 8, 'expected numbers in threes'),
        ([None, *[1] * 8], r'got \[nan, 1.0, 1.0\] of point 0'),
        ([1, 2, 5, *[1] * 6], r'got \[1.0, 2.0, 5.0\] of point 0'),
    ):
        paths = write(tmp_path, [annotation(4, 0, keypoints=points)])
        with pytest.raises(InputError, match=rf'0\.png, annotation 1: keypoints: .*{message}'):
            CocoKeypointDataset(**paths, metainfo=META, pipeline=[])
    paths = write(tmp_path, [annotation(4, 0, keypoints=['1', '2.5', '2', *[0] * 6])])
    data = CocoKeypointDataset(**paths, metainfo=META, pipeline=[])
    assert data.get_data_info(0)['instances'][0]['keypoints'] == [1, 2.5, 2, *[0] * 6]


def test_through_the_pipeline(tmp_path: Path) -> None:
    paths = write(tmp_path, [annotation(1, 0, keypoints=[12, 13, 2, 14, 15, 1, 16, 17, 2])])
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations', with_bbox=True),
        dict(type='mmext.LoadKeypoints'),
        dict(type='mmdet.RandomFlip', prob=1.0),
        dict(type='mmext.PackKeypointInputs', meta_keys=('img_id', 'flip_pairs')),
    ]
    data = CocoKeypointDataset(**paths, metainfo=META, pipeline=pipeline)
    sample = data[0]['data_samples']
    assert sample.gt_instances.keypoints[0].tolist() == [[68, 13], [64, 17], [66, 15]]
    assert sample.flip_pairs == ((1, 2),)


def test_persons_of_coco_are_the_default() -> None:
    meta = CocoKeypointDataset.METAINFO
    assert len(meta['keypoints']) == len(meta['sigmas']) == 17
    names = meta['keypoints']
    for left, right in meta['flip_pairs']:
        assert names[left].replace('left', 'right') == names[right]
        assert meta['sigmas'][left] == meta['sigmas'][right]
    assert len(meta['skeleton']) == 19


def test_a_public_set_by_its_name(tmp_path: Path) -> None:
    rows = [annotation(1, 0, category_id=3, keypoints=[1.0, 2, 2] * 29)]
    paths = write(tmp_path, rows)
    content = json.loads((tmp_path / 'truth.json').read_text())
    content['categories'] = [dict(id=3, name='face')]
    (tmp_path / 'truth.json').write_text(json.dumps(content))
    data = CocoKeypointDataset(**paths, landmark_set='cofw', pipeline=[])
    assert data.metainfo['classes'] == ('face',)
    assert len(data.metainfo['keypoints']) == 29
    assert data.metainfo['sigmas'] is None  # not those of persons
    assert data.get_data_info(0)['flip_pairs'][:2] == ((0, 1), (2, 3))
    own = dict(sigmas=(0.05,) * 29)
    changed = CocoKeypointDataset(**paths, landmark_set='cofw', metainfo=own, pipeline=[])
    assert changed.metainfo['sigmas'] == own['sigmas']
    with pytest.raises(InputError, match=r"landmark_set: expected one of .*wflw.*, got 'lfw'"):
        CocoKeypointDataset(**paths, landmark_set='lfw', pipeline=[])
