"""The COCO panoptic data set: labels, crowds, file names, and what it refuses."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from coco_panoptic_set import CAT, CATEGORIES, CROWD, DOG, METAINFO, SEA, SKY, segment, write_set
from mmengine.dataset import ConcatDataset
from mmengine.logging import MMLogger

from mmext.registry import DATASETS


def build(config: dict[str, Any], **changes: Any) -> Any:
    return DATASETS.build({**config, **changes})


def with_segments(folder: Path, *segments: dict[str, Any]) -> dict[str, Any]:
    annotations = [{'image_id': 10, 'file_name': 'first.png', 'segments_info': list(segments)}]
    return write_set(folder, annotations=annotations)


def test_paths_are_those_of_the_file(tmp_path: Path) -> None:
    dataset = build(write_set(tmp_path))
    assert [d['img_path'] for d in dataset] == [
        f'{tmp_path}/photos/a/photo.jpeg',
        f'{tmp_path}/photos/b/photo.PNG',
    ]
    assert [d['seg_map_path'] for d in dataset] == [
        f'{tmp_path}/png/first.png',
        f'{tmp_path}/png/b/second.png',
    ]
    assert [(d['img_id'], d['height'], d['width']) for d in dataset] == [
        (10, 30, 40),
        (11, 30, 40),
    ]


def test_labels_follow_metainfo(tmp_path: Path) -> None:
    info = build(write_set(tmp_path))[0]
    assert {s['id']: s['category'] for s in info['segments_info']} == {
        CAT: 0,
        DOG: 1,
        CROWD: 1,
        SEA: 2,
        SKY: 3,
    }


def test_crowds_are_ignored_instances(tmp_path: Path) -> None:
    info = build(write_set(tmp_path))[0]
    assert info['instances'] == [
        {'bbox': [15, 5, 25, 12], 'bbox_label': 1, 'ignore_flag': 0, 'segment_id': DOG},
        {'bbox': [30, 20, 38, 28], 'bbox_label': 1, 'ignore_flag': 1, 'segment_id': CROWD},
        {'bbox': [10, 10, 20, 20], 'bbox_label': 0, 'ignore_flag': 0, 'segment_id': CAT},
    ]
    flags = {s['id']: (s['is_thing'], s['iscrowd']) for s in info['segments_info']}
    assert flags == {
        CAT: (True, False),
        DOG: (True, False),
        CROWD: (False, True),
        SEA: (False, False),
        SKY: (False, False),
    }


@pytest.mark.parametrize(
    'metainfo', [METAINFO, {'thing_classes': ['cat', 'dog'], 'stuff_classes': ['sea', 'sky']}]
)
def test_class_table_of_ones_own(tmp_path: Path, metainfo: dict[str, list[str]]) -> None:
    meta = build(write_set(tmp_path), metainfo=metainfo).metainfo
    assert meta['classes'] == ('cat', 'dog', 'sea', 'sky')
    assert (meta['thing_classes'], meta['stuff_classes']) == (('cat', 'dog'), ('sea', 'sky'))
    assert meta['palette'] == 'random'


def test_class_table_of_the_file(tmp_path: Path) -> None:
    dataset = build(write_set(tmp_path), metainfo={'classes': 'auto', 'palette': [(1, 2, 3)] * 4})
    assert dataset.metainfo == {
        'classes': ('dog', 'cat', 'sea', 'sky'),  # by id
        'thing_classes': ('dog', 'cat'),
        'stuff_classes': ('sea', 'sky'),
        'palette': [(1, 2, 3)] * 4,
    }
    assert dataset[0]['instances'][0]['bbox_label'] == 0


def test_category_ids_go_with_results(tmp_path: Path) -> None:
    config = write_set(tmp_path)
    assert build(config, test_mode=True).metainfo['category_ids'] == (7, 3, 90, 200)
    other = write_set(
        tmp_path / 'b', categories=[{**c, 'id': c['id'] + 1} for c in CATEGORIES], annotations=[]
    )
    joined = ConcatDataset([dict(c, pipeline=[]) for c in (config, other)])  # by name
    assert len(joined) == 4


def test_class_table_of_the_file_does_not_depend_on_its_order(tmp_path: Path) -> None:
    datasets = []
    for name, categories in (('train', CATEGORIES), ('val', CATEGORIES[::-1])):
        config = write_set(tmp_path / name, categories=categories)
        datasets.append(build(config, metainfo={'classes': 'auto'}))
    assert datasets[0].metainfo['classes'] == datasets[1].metainfo['classes']
    assert datasets[0].cat2label == datasets[1].cat2label


def test_coco_is_the_default() -> None:
    meta = build(
        {'type': 'mmext.CocoPanopticDataset', 'data_prefix': {}, 'lazy_init': True}
    ).metainfo
    assert (len(meta['thing_classes']), len(meta['stuff_classes'])) == (80, 53)
    assert meta['classes'] == meta['thing_classes'] + meta['stuff_classes']


def test_training_set_drops_images_without_things(tmp_path: Path) -> None:
    config = with_segments(tmp_path, segment(SKY, 200), segment(CAT, 7))
    filters = {'filter_empty_gt': True}
    assert len(build(config)) == 2
    assert [d['img_id'] for d in build(config, filter_cfg=filters)] == [10]
    assert len(build(config, filter_cfg=filters, test_mode=True)) == 2


def test_no_image_left(tmp_path: Path) -> None:
    config = with_segments(tmp_path, segment(SKY, 200), segment(CROWD, 3, iscrowd=1))
    with pytest.raises(ValueError, match=r'panoptic\.json: 2 images, none left by filter_cfg'):
        build(config, filter_cfg={'filter_empty_gt': True})


def test_images_without_annotations(tmp_path: Path) -> None:
    config = write_set(tmp_path, annotations=[])
    info = build(config)[0]
    assert info['seg_map_path'] is None
    assert info['instances'] == info['segments_info'] == []
    content = json.loads((tmp_path / 'panoptic.json').read_text())
    del content['annotations']
    (tmp_path / 'panoptic.json').write_text(json.dumps(content))
    assert len(build(config, data_prefix={'img': 'photos'})) == 2


@pytest.mark.parametrize(
    'box',
    [
        [float('nan'), 5, 10, 7],
        [15, 5, float('nan'), 7],
        [15, 5, float('inf'), 7],
        [float('-inf'), 5, 10, 7],
        [15, 5, -10, 7],
        [15, 5, 0.5, 7],
        [40, 5, 10, 7],
        [15, -7, 10, 7],
    ],
)
def test_unusable_boxes_are_no_instances(
    tmp_path: Path, box: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    config = with_segments(tmp_path, segment(DOG, 3, bbox=box), segment(CAT, 7))
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    info = build(config)[0]
    logger.removeHandler(caplog.handler)
    assert [i['segment_id'] for i in info['instances']] == [CAT]
    assert [s['id'] for s in info['segments_info']] == [DOG, CAT]  # its pixels stay a dog's
    (record,) = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert 'panoptic.json: 1 things are no instances' in record.getMessage()
    assert f'image 10, segment {DOG}, bbox [{box[0]}' in record.getMessage()


def test_segments_without_area_are_skipped(tmp_path: Path) -> None:
    info = build(with_segments(tmp_path, segment(DOG, 3, area=0), segment(CAT, 7)))[0]
    assert [s['id'] for s in info['segments_info']] == [CAT]


@pytest.mark.parametrize(
    ('metainfo', 'message'),
    [
        (None, "only in the file: 'sky'\n  only in metainfo: 'person', .* and 122 more"),
        ({'classes': ['cat', 'cow', 'sea', 'sky']}, "only in the file: 'dog'\n.*'cow'"),
        ({'classes': ['sea', 'sky', 'cat', 'dog']}, "position 0 'sea' stands for 'cat'"),
        ({'classes': ['cat', 'sea', 'dog', 'sky']}, "position 1 'sea' stands for 'dog'"),
        (
            {
                'classes': ['sea', 'sky', 'cat', 'dog'],
                'thing_classes': ['cat', 'dog'],
                'stuff_classes': ['sea', 'sky'],
            },
            "position 0 'sea' stands for 'cat'",
        ),
        (
            {
                'classes': ['cat', 'dog', 'sea', 'sky'],
                'thing_classes': ['cat'],
                'stuff_classes': ['dog', 'sea', 'sky'],
            },
            "isthing=1 in the file, stuff in metainfo: 'dog'",
        ),
        (
            {
                'classes': ['cat', 'dog', 'sea', 'sky'],
                'thing_classes': ['cat', 'dog'],
                'stuff_classes': ['sea'],
            },
            "position 3 'sky' stands for None",
        ),
    ],
)
def test_refused_class_tables(tmp_path: Path, metainfo: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        build(write_set(tmp_path), metainfo=metainfo)
    text = str(error.value)
    assert text.startswith(f'{tmp_path}/panoptic.json: ')
    assert "metainfo=dict(classes=('dog', 'cat', 'sea', 'sky'))" in text


def test_too_many_classes(tmp_path: Path) -> None:
    categories = [{'id': i, 'name': str(i), 'isthing': 1} for i in range(256)]
    config = write_set(tmp_path, categories=categories, annotations=[])
    with pytest.raises(ValueError, match='at most 255 classes, got 256'):
        build(config, metainfo={'classes': 'auto'})


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'ann_file': 'gone.json'}, 'ann_file: nothing at {}/gone.json'),
        ({'data_prefix': {'img': 'gone', 'seg': 'png'}}, 'data_prefix.img: nothing at {}/gone'),
        ({'data_prefix': {'img': 'photos', 'seg': 'x'}}, 'data_prefix.seg: nothing at {}/x'),
    ],
)
def test_missing_data(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(FileNotFoundError, match=message.format(tmp_path)) as error:
        build(write_set(tmp_path), **changes)
    assert 'change data_root' in str(error.value)


def test_refused_files(tmp_path: Path) -> None:
    config = write_set(tmp_path, annotations=[{'image_id': 10, 'bbox': [0, 0, 1, 1]}])
    with pytest.raises(ValueError, match='is it an instances file'):
        build(config)
    (tmp_path / 'panoptic.json').write_text('[]')
    with pytest.raises(ValueError, match='no COCO panoptic file'):
        build(config)


@pytest.mark.parametrize(
    ('entry', 'message'),
    [
        (segment(DOG, 999), f'image 10, segment {DOG}: category_id 999 is not in its categories'),
        ({'id': 5, 'category_id': 3}, "a segment of image 10 has no 'bbox'"),
        ({'category_id': 90}, "a segment of image 10 has no 'id'"),
    ],
)
def test_refused_segments(tmp_path: Path, entry: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(with_segments(tmp_path, entry))


def test_tables_here_are_as_the_tests_assume() -> None:
    assert sorted(c['name'] for c in CATEGORIES) == sorted(METAINFO['classes'])


def test_cityscapes_photos_are_found_in_the_folder_of_their_city(tmp_path: Path) -> None:
    name = 'aachen_000000_000019'
    classes = DATASETS.get('CityscapesPanopticDataset').METAINFO
    categories = [
        {'id': 7 + i, 'name': c, 'isthing': int(c in classes['thing_classes'])}
        for i, c in enumerate(sorted(classes['classes']))
    ]
    config = write_set(
        tmp_path,
        categories=categories,
        images=[
            {'id': name, 'file_name': f'{name}_gtFine_leftImg8bit.png', 'height': 30, 'width': 40}
        ],
        annotations=[
            {'image_id': name, 'file_name': f'{name}_gtFine_panoptic.png', 'segments_info': []}
        ],
    )
    (info,) = build(config, type='mmext.CityscapesPanopticDataset', metainfo=None)
    assert info['img_path'] == f'{tmp_path}/photos/aachen/{name}_leftImg8bit.png'
    assert info['seg_map_path'] == f'{tmp_path}/png/{name}_gtFine_panoptic.png'
