"""The COCO panoptic data set: labels, crowds, file names, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
from coco_panoptic_set import CAT, CATEGORIES, CROWD, DOG, METAINFO, SEA, SKY, segment, write_set
from mmengine.dataset import ConcatDataset

from mmext.errors import InputError
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
        tmp_path / 'b',
        categories=[{**c, 'id': c['id'] + 1} for c in CATEGORIES],
        annotations=[
            {'image_id': i, 'file_name': 'first.png', 'segments_info': [segment(CAT, 8)]}
            for i in (10, 11)
        ],
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
    annotated = json.loads((tmp_path / 'panoptic.json').read_text())['annotations']
    bare = segment(SEA, 90)
    annotated.append({'image_id': 11, 'file_name': 'b/second.png', 'segments_info': [bare]})
    config = write_set(tmp_path, annotations=annotated)
    assert len(build(config)) == 2
    assert [d['img_id'] for d in build(config, filter_cfg=filters)] == [10]
    assert len(build(config, filter_cfg=filters, test_mode=True)) == 2


def test_images_without_an_annotation_are_left_out_and_said(tmp_path: Path) -> None:
    config = with_segments(tmp_path, segment(SKY, 200), segment(CAT, 7))
    for test_mode in (False, True):
        dataset = build(config, test_mode=test_mode)
        assert [d['img_id'] for d in dataset] == [10]
        assert '1 images without annotation are left out (11)' in dataset.summary.line('train')


def test_segments_are_said_by_kind(tmp_path: Path) -> None:
    config = with_segments(tmp_path, segment(SKY, 200), segment(SEA, 90), segment(CAT, 7))
    line = build(config).summary.line('train')
    assert '; 3 segments, 1 of things (the objects), 2 of stuff; ' in line
    line = build(write_set(tmp_path, annotations=[]), test_mode=True).summary.line('test')
    assert '; no segments (' in line


def test_no_image_left(tmp_path: Path) -> None:
    config = with_segments(tmp_path, segment(SKY, 200), segment(CAT, 7))
    with pytest.raises(InputError, match=r'panoptic\.json: 1 images, none left by filter_cfg'):
        build(config, filter_cfg={'min_size': 1000})


def test_nothing_to_learn(tmp_path: Path) -> None:
    config = with_segments(tmp_path, segment(SKY, 200), segment(CROWD, 3, iscrowd=1))
    with pytest.raises(InputError, match=r'nothing to learn: .* 1 annotated, 0 usable, 1 ignored'):
        build(config)
    assert len(build(config, test_mode=True)) == 1


def test_images_without_annotations(tmp_path: Path) -> None:
    config = write_set(tmp_path, annotations=[])
    info = build(config, test_mode=True)[0]
    assert info['seg_map_path'] is None
    assert info['instances'] == info['segments_info'] == []
    content = json.loads((tmp_path / 'panoptic.json').read_text())
    del content['annotations']
    (tmp_path / 'panoptic.json').write_text(json.dumps(content))
    assert len(build(config, data_prefix={'img': 'photos'}, test_mode=True)) == 2


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
def test_unusable_boxes_are_no_instances(tmp_path: Path, box: list[float]) -> None:
    config = with_segments(tmp_path, segment(DOG, 3, bbox=box), segment(CAT, 7))
    dataset = build(config)
    info = dataset[0]
    assert [i['segment_id'] for i in info['instances']] == [CAT]
    assert [s['id'] for s in info['segments_info']] == [DOG, CAT]  # its pixels stay a dog's
    line = dataset.summary.line('train')
    assert 'objects: 2 annotated, 1 usable, 0 ignored, 1 left out' in line
    assert f'first: segment {DOG} of image 10, [{box[0]}' in line


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
        (
            segment(DOG, 999),
            f'category_id 999 of segment {DOG} in the annotation of image 10',
        ),
        ({'id': 5, 'category_id': 3}, '1 without bbox .first: segment 5 of image 10.'),
        ({'category_id': 90}, 'id of a segment in the annotation of image 10 is None'),
        (segment(DOG, 3, bbox='0,0,1,1'), "four numbers .first: segment .* image 10, '0,0,1,1'"),
        (segment(DOG, 3, bbox=[1, 2, 3]), 'four numbers .first: segment'),
        (segment(DOG, 3, area='large'), f"area of segment {DOG} .* is 'large'"),
        (segment(DOG, 3, iscrowd='maybe'), f"iscrowd of segment {DOG} .* is 'maybe'"),
        (segment(DOG, 3, id=2**24), 'is not between 1 and 16777215'),
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
    (info,) = build(config, type='mmext.CityscapesPanopticDataset', metainfo=None, test_mode=True)
    assert info['img_path'] == f'{tmp_path}/photos/aachen/{name}_leftImg8bit.png'
    assert info['seg_map_path'] == f'{tmp_path}/png/{name}_gtFine_panoptic.png'
