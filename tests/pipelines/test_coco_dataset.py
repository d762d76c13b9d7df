"""COCO's data set: labels by name, what is counted, what is refused."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmdet.datasets import CocoDataset as HostCocoDataset
from mmengine.dataset import BaseDataset

from mmext.errors import InputError
from mmext.pipelines.coco_dataset import CocoDataset
from mmext.pipelines.data_look import look_at_data

CATEGORIES = [dict(id=3, name='dog'), dict(id=1, name='cat'), dict(id=8, name='cow')]


def box(number: int, image: int, category: int, **changes: Any) -> dict[str, Any]:
    entry = dict(id=number, image_id=image, category_id=category, bbox=[number, 2, 9, 8])
    return {**entry, 'area': 72, 'iscrowd': 0, **changes}


def write(folder: Path, annotations: list[dict], **changes: Any) -> dict[str, Any]:
    """Three photos of 40 x 30 px, and the arguments of a data set."""
    images = [dict(id=i, width=40, height=30, file_name=f'{i}.png') for i in (5, 6, 7)]
    for image in images:
        cv2.imwrite(str(folder / image['file_name']), np.zeros((30, 40, 3), np.uint8))
    content = dict(images=images, categories=CATEGORIES, annotations=annotations) | changes
    (folder / 'truth.json').write_text(json.dumps(content))
    return dict(data_root=str(folder), ann_file='truth.json', data_prefix=dict(img=''), pipeline=[])


def labels(dataset: BaseDataset) -> dict[float, int]:
    """Label of each object by the left edge of its box."""
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return {i['bbox'][0]: i['bbox_label'] for info in infos for i in info['instances']}


ROWS = [box(1, 5, 1), box(2, 5, 3), box(3, 7, 8), box(4, 7, 3, iscrowd=1)]


@pytest.mark.parametrize('classes', [('cat', 'dog', 'cow'), ('cow', 'cat', 'dog')])
def test_labels_go_by_name(tmp_path: Path, classes: tuple[str, ...]) -> None:
    of = {name: i for i, name in enumerate(classes)}
    expected = {1: of['cat'], 2: of['dog'], 3: of['cow'], 4: of['dog']}
    for categories in (CATEGORIES, CATEGORIES[::-1]):
        paths = write(tmp_path, ROWS, categories=categories)
        dataset = CocoDataset(**paths, metainfo=dict(classes=classes))
        assert labels(dataset) == expected
        assert dataset.metainfo['palette'] == 'random'
    test = CocoDataset(**paths, metainfo=dict(classes=classes), test_mode=True)
    ids = dict(cat=1, dog=3, cow=8)
    assert test.metainfo['category_ids'] == tuple(ids[name] for name in classes)


def test_classes_of_the_file(tmp_path: Path) -> None:
    for categories in (CATEGORIES, CATEGORIES[::-1]):
        paths = write(tmp_path, ROWS, categories=categories)
        dataset = CocoDataset(**paths, metainfo=dict(classes='auto'))
        assert dataset.metainfo['classes'] == ('cat', 'dog', 'cow')  # by id
        assert labels(dataset) == {1: 0, 2: 1, 3: 2, 4: 1}


def test_everything_else_is_the_hosts(tmp_path: Path) -> None:
    rows = [
        *ROWS,
        box(5, 6, 1, segmentation=[[1, 2, 9, 2, 9, 9]]),
        box(6, 6, 1, bbox=[-3, 2, 9, 8]),
        box(7, 6, 1, ignore=1),
    ]
    paths = write(tmp_path, rows)
    meta = dict(classes=('dog', 'cat', 'cow'))  # the order of the file: the host's labels
    for filter_cfg in (None, dict(filter_empty_gt=True), dict(min_size=30)):
        ours = CocoDataset(**paths, metainfo=meta, filter_cfg=filter_cfg)
        host = HostCocoDataset(**paths, metainfo=meta, filter_cfg=filter_cfg)
        assert len(ours) == len(host)
        for i in range(len(ours)):
            info = ours.get_data_info(i)
            for instance in info['instances']:
                assert instance.get('mask') != [] or instance.pop('mask') == []
            assert info == host.get_data_info(i)


def test_objects_without_a_mask_beside_others(tmp_path: Path) -> None:
    rows = [box(1, 5, 1, segmentation=[[1, 2, 9, 2, 9, 9]]), box(2, 5, 3, segmentation=[])]
    pipeline = [dict(type='mmext.LoadImage'), dict(type='mmdet.LoadAnnotations', with_mask=True)]
    paths = {**write(tmp_path, rows), 'pipeline': pipeline}
    dataset = CocoDataset(**paths, metainfo=dict(classes='auto'))
    assert '1 objects have no mask; to a model of masks they are crowds' in dataset.summary.notes
    loaded = dataset[0]
    assert loaded['gt_ignore_flags'].tolist() == [False, True]
    assert [bool(mask.any()) for mask in loaded['gt_masks'].to_ndarray()] == [True, False]
    look_at_data(dataset, 'train')
    write(tmp_path, [box(1, 5, 1, segmentation=[]), box(2, 5, 3)])
    dataset = CocoDataset(**paths, metainfo=dict(classes='auto'))
    assert not dataset.summary.notes
    with pytest.raises(InputError, match=r'train: the objects of .*5\.png have no mask'):
        look_at_data(dataset, 'train')
    dataset.pipeline.transforms.pop()
    look_at_data(dataset, 'train')


@pytest.mark.parametrize(
    ('changes', 'remedy'),
    [
        (dict(iscrowd=1), 'Set iscrowd to 0 where an annotation is of a single object'),
        (dict(bbox=[0.1, 0.2, 0.3, 0.4]), 'bbox is x, y, width, height in pixels of the photo'),
    ],
)
def test_how_nothing_becomes_something(tmp_path: Path, changes: dict, remedy: str) -> None:
    paths = write(tmp_path, [box(i, 5, 1, **changes) for i in (1, 2)])
    with pytest.raises(InputError, match=rf'^nothing to learn: .*\)\. {remedy}$'):
        CocoDataset(**paths, metainfo=dict(classes='auto'))


def test_boxes_without_masks_as_corners(tmp_path: Path) -> None:
    rows = [box(i, 5 + i % 3, 1, bbox=[i, 12, i + 20, 20 + i]) for i in range(1, 10)]
    loader = dict(type='mmdet.LoadAnnotations', with_bbox=True)
    paths = {**write(tmp_path, rows), 'pipeline': [loader]}
    dataset = CocoDataset(**paths, metainfo=dict(classes='auto'))
    with pytest.raises(InputError, match=r'train \(.*truth\.json\): 9 of 9 boxes .* as corners'):
        look_at_data(dataset, 'train')


def test_a_part_of_the_classes(tmp_path: Path) -> None:
    dataset = CocoDataset(**write(tmp_path, ROWS), metainfo=dict(classes=('cow', 'cat')))
    assert labels(dataset) == {1: 1, 3: 0}
    line = dataset.summary.line('train')
    assert '4 annotated, 2 usable, 0 ignored, 2 left out' in line
    assert '2 of categories that are no class' in line
    assert "categories that are no class: 'dog'" in line


def test_more_classes_than_the_file_has(tmp_path: Path) -> None:
    classes = ('yak', 'cow', 'dog', 'cat')
    dataset = CocoDataset(**write(tmp_path, ROWS), metainfo=dict(classes=classes), test_mode=True)
    assert labels(dataset) == {1: 3, 2: 2, 3: 1, 4: 2}
    assert "no object of 'yak'" in dataset.summary.line('val')
    assert dataset.metainfo['category_ids'] == (9, 8, 3, 1)


@pytest.mark.parametrize(
    ('classes', 'message'),
    [
        (('Dog', 'cat', 'cow'), "no category 'Dog', but 'dog' .'Dog' may be 'dog'."),
        (('dogs', 'cat', 'cow'), "no category 'dogs', but 'dog' .'dogs' may be 'dog'."),
        (None, "no categories 'person', .* and 69 more, but 'dog', 'cat', 'cow'"),
        (('cat', 'dog', 'cat'), "classes of metainfo list 'cat' twice"),
    ],
)
def test_a_class_that_the_file_lacks(tmp_path: Path, classes: Any, message: str) -> None:
    meta = None if classes is None else dict(classes=classes)
    if classes is None:  # COCO's 80, of which three animals are in the file
        message = "no categories 'person', .* but 'ox'"
        categories = [*CATEGORIES, dict(id=9, name='ox')]
    else:
        categories = CATEGORIES
    paths = write(tmp_path, ROWS, categories=categories)
    with pytest.raises(InputError, match=message):
        CocoDataset(**paths, metainfo=meta)


def test_what_cannot_be_used_is_counted(tmp_path: Path) -> None:
    rows = [
        *ROWS,
        box(11, 5, 1, bbox=[float('nan'), 1, 5, 5]),
        box(12, 5, 1, bbox=[3, 1, 0.2, 5]),
        box(13, 5, 1, bbox=[3, 31, 5, 5]),
        box(14, 99, 1),
        box(15, 5, 77),
        box(16, 5, 1, ignore='1'),
        box(17, 5, 1, segmentation=[[1, 2]]),
    ]
    line = CocoDataset(**write(tmp_path, rows), metainfo=dict(classes='auto')).summary.line('train')
    assert line.startswith(
        'train: 3 images; objects: 11 annotated, 4 usable, 1 ignored, 6 left out; 3 classes'
    )
    for text in (
        'left out: 1 with a bbox that is not finite (first: annotation 11 of image 5',
        'left out: 1 smaller than a pixel (first: annotation 12 of image 5, [3, 1, 0.2, 5])',
        'left out: 1 outside of their image (first: annotation 13',
        'left out: 1 of images that the file does not list (first: annotation 14 of image 99)',
        'left out: 1 of categories that the file does not list (first: annotation 15 of image 5',
        'left out: 1 marked "ignore"',
        'without a mask: 1 whose segmentation is neither',
    ):
        assert text in line


@pytest.mark.parametrize(
    'rows',
    [
        [],
        [box(1, 5, 1, iscrowd=1)],
        [box(1, 5, 1, bbox=[0, 0, 0, 0])],
        [box(1, 99, 1)],
    ],
)
def test_nothing_to_learn(tmp_path: Path, rows: list[dict]) -> None:
    paths = write(tmp_path, rows)
    with pytest.raises(InputError, match=r'^nothing to learn: train: 3 images; .* 0 usable'):
        CocoDataset(**paths, metainfo=dict(classes='auto'))
    assert len(CocoDataset(**paths, metainfo=dict(classes='auto'), test_mode=True)) == 3


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(bbox=None), r'objects 1 without bbox .first: annotation 1 of image 5.'),
        (dict(bbox=[1, 2, 3]), r'objects 1 whose bbox is not four numbers'),
        (dict(bbox='1 2 3 4'), r'objects 1 whose bbox is not four numbers'),
    ],
)
def test_boxes_that_cannot_be_read(tmp_path: Path, change: dict, message: str) -> None:
    paths = write(tmp_path, [box(1, 5, 1, **change), *ROWS[1:]])
    with pytest.raises(InputError, match=message):
        CocoDataset(**paths, metainfo=dict(classes='auto'))


def test_places_that_are_not_there(tmp_path: Path) -> None:
    paths = write(tmp_path, ROWS)
    with pytest.raises(FileNotFoundError, match=r'ann_file: nothing at .*gone\.json'):
        CocoDataset(**{**paths, 'ann_file': 'gone.json'})
    with pytest.raises(FileNotFoundError, match=r'data_prefix\.img: nothing at .*gone'):
        CocoDataset(**{**paths, 'data_prefix': dict(img='gone')})


def test_adopted_classes(tmp_path: Path) -> None:
    meta = dict(classes=('cat', 'cow', 'dog'), palette=[(1, 1, 1), (2, 2, 2), (3, 3, 3)])
    dataset = CocoDataset(**write(tmp_path, ROWS), metainfo=meta, test_mode=True)
    dataset.adopt_classes(('dog', 'cat', 'cow'))
    assert labels(dataset) == {1: 1, 2: 0, 3: 2, 4: 0}
    assert dataset.metainfo['palette'] == [(3, 3, 3), (1, 1, 1), (2, 2, 2)]
    assert dataset.metainfo['category_ids'] == (3, 1, 8)
    dataset.adopt_classes(('dog', 'cat', 'yak', 'cow'))
    assert labels(dataset) == {1: 1, 2: 0, 3: 3, 4: 0}
    assert dataset.metainfo['palette'] == 'random'
