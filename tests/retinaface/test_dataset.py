"""WIDER FACE's files as a data set: which image has which faces, and what is refused."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.logging import MMLogger

from mmext.formats.wider_face_files import ATTRIBUTES, ImageFaces, write_faces
from mmext.formats.wider_face_ground_truth import ImageTruth, write_ground_truth
from mmext.registry import DATASETS

LABEL = """# 0--A/first.jpg
10 20 30 40 12 30 0.0 30 30 1.0 20 40 0.0 15 50 0.0 -1.0 -1.0 -1.0 0.5
50 60 0 5 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 1.0
70 60 9 5
# 1--B/none.jpg
"""
DETAILS = [
    {
        'attributes': [{'name': 'glasses', 'values': ['no', 'yes'], 'kind': 'binary'}],
        'mesh': {'num_vertices': 2, 'flip_pairs': [[0, 1]], 'triangles': []},
    },
    {
        'image': '0--A/first.jpg',
        'faces': [
            {'attributes': {'glasses': 'yes'}, 'mesh': [[11, 22, 3], [33, 44, 5]]},
            {'attributes': {'glasses': 'no'}},
            {},
        ],
    },
]


def build(folder: Path, **changes: Any) -> Any:
    """A set of two images, three faces (one without area), and what ``changes`` says."""
    (folder / 'images').mkdir(exist_ok=True)
    if not (folder / 'label.txt').exists():
        (folder / 'label.txt').write_text(LABEL)
    config = dict(
        type='WiderFaceDataset', data_root=str(folder), ann_file='label.txt',
        data_prefix=dict(img='images'), pipeline=[],
    )  # fmt: skip
    return DATASETS.build({**config, **changes})


def write_details(folder: Path, lines: list[Any]) -> str:
    (folder / 'details.jsonl').write_text('\n'.join(map(json.dumps, lines)))
    return 'details.jsonl'


def test_faces_with_landmarks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logger = MMLogger.get_instance('faces', logger_name='faces')
    logger.addHandler(caplog.handler)
    dataset = build(tmp_path)
    first, none = dataset
    assert first['img_path'] == f'{tmp_path}/images/0--A/first.jpg'
    assert (first['img_id'], first['num_keypoints']) == ('0--A/first.jpg', 5)
    assert first['flip_pairs'] == ((0, 1), (3, 4))
    assert [i['bbox'] for i in first['instances']] == [[10, 20, 40, 60], [70, 60, 79, 65]]
    keypoints = np.reshape(first['instances'][0]['keypoints'], (5, 3))
    assert keypoints[:, 2].tolist() == [2, 1, 2, 2, 0]
    assert keypoints[1].tolist() == [30, 30, 1]
    assert none['instances'] == []
    assert dataset.metainfo['classes'] == ('face',)
    warnings = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert any('label.txt: 1 faces without area are left out' in w for w in warnings)
    assert 'attributes' not in first['instances'][0]


def test_details_go_with_their_faces(tmp_path: Path) -> None:
    dataset = build(tmp_path, details_file=write_details(tmp_path, DETAILS))
    first = dataset[0]
    face, other = first['instances']  # the second of the file has no area
    assert (face['attributes'], other['attributes']) == ([1], [-1])
    assert face['mesh'].tolist() == [[11, 22, 3], [33, 44, 5]]
    assert other['mesh'] is None
    assert (first['num_attributes'], first['num_mesh_vertices']) == (1, 2)
    assert first['mesh_flip_pairs'] == ((0, 1),)
    assert dataset.metainfo['attributes'][0]['values'] == ('no', 'yes')


def test_widers_attributes_come_from_the_original_file(tmp_path: Path) -> None:
    original = [
        ImageFaces(
            '0--A/first.jpg',
            np.array([[70.0, 60, 9, 5], [10, 20, 30, 40]]),  # another order
            attributes=np.array([[2, 0, 0, 1, 1, 0], [0, 1, 1, 0, 2, 1]]),
        )
    ]
    write_faces(tmp_path / 'gt.txt', original, 'wider')
    dataset = build(tmp_path, attribute_file='gt.txt')
    face, other = dataset[0]['instances']
    assert face['attributes'] == [0, 1, 1, 0, 2, 1]
    assert other['attributes'] == [2, 0, 0, 1, 1, 0]
    assert [a['name'] for a in dataset.metainfo['attributes']] == [a['name'] for a in ATTRIBUTES]
    both = build(
        tmp_path, attribute_file='gt.txt', details_file=write_details(tmp_path, DETAILS)
    )[0]  # fmt: skip
    assert both['instances'][0]['attributes'] == [0, 1, 1, 0, 2, 1, 1]
    assert both['num_attributes'] == 7


def test_original_file_and_ground_truth_alone(tmp_path: Path) -> None:
    boxes = np.array([[1.0, 2, 30, 40], [50, 60, 7, 8]])
    attributes = np.array([[0, 0, 0, 0, 0, 0], [2, 0, 0, 1, 2, 0]])
    write_faces(
        tmp_path / 'gt.txt', [ImageFaces('0--A/x.jpg', boxes, attributes=attributes)], 'wider'
    )
    (tmp_path / 'mat').mkdir()
    counted = {s: np.ones(2, bool) for s in ('easy', 'medium', 'hard')}
    write_ground_truth(tmp_path / 'mat', [ImageTruth('0--A/x', boxes, counted, attributes)])
    for source in ('gt.txt', 'mat'):
        info = build(tmp_path, ann_file=source, with_wider_attributes=True)[0]
        assert info['img_id'] == '0--A/x.jpg'
        assert [i['bbox'] for i in info['instances']] == [[1, 2, 31, 42], [50, 60, 57, 68]]
        assert [i['ignore_flag'] for i in info['instances']] == [0, 1]  # the second is invalid
        assert [i['attributes'] for i in info['instances']] == attributes.tolist()


def test_labelv2_has_sizes_and_ignored_faces(tmp_path: Path) -> None:
    (tmp_path / 'v2.txt').write_text('# a.jpg 640 480\n1 2 30 40 1\n5 6 50 60 0\n')
    info = build(tmp_path, ann_file='v2.txt')[0]
    assert (info['width'], info['height']) == (640, 480)
    assert [i['ignore_flag'] for i in info['instances']] == [1, 0]


def test_images_without_faces_can_be_left_out(tmp_path: Path) -> None:
    keep = dict(filter_cfg=dict(filter_empty_gt=True))
    assert len(build(tmp_path)) == 2
    assert [d['img_id'] for d in build(tmp_path, **keep)] == ['0--A/first.jpg']
    assert len(build(tmp_path, test_mode=True, **keep)) == 2
    (tmp_path / 'none.txt').write_text('# a.jpg\n')
    with pytest.raises(ValueError, match=r'none\.txt: 1 images, none with a face that counts'):
        build(tmp_path, ann_file='none.txt', **keep)
    with pytest.raises(ValueError, match='none with a face that counts'):
        build(tmp_path, ann_file='none.txt')  # nothing to learn, whatever is kept
    assert len(build(tmp_path, ann_file='none.txt', test_mode=True)) == 1


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(ann_file='nowhere.txt'), 'ann_file: nothing at .*nowhere.txt'),
        (dict(data_prefix=dict(img='photos')), 'data_prefix.img: nothing at .*photos'),
        (dict(attribute_file='gt.txt'), 'attribute_file: nothing at .*gt.txt'),
        (dict(details_file='d.jsonl'), 'details_file: nothing at .*d.jsonl'),
        (dict(ann_file='images'), 'images: a folder without wider_face_val.mat'),
    ],
)
def test_missing_files_are_named(changes: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=message):
        build(tmp_path, **changes)


def test_files_of_other_images_are_refused(tmp_path: Path) -> None:
    elsewhere = [DETAILS[0], {'image': 'b.jpg', 'faces': []}]
    with pytest.raises(ValueError, match=r'details\.jsonl: no image of .*label\.txt is in it'):
        build(tmp_path, details_file=write_details(tmp_path, elsewhere))
    fewer = [DETAILS[0], {'image': '0--A/first.jpg', 'faces': [{}]}]
    with pytest.raises(ValueError, match=r'label.txt:1: 0--A/first.jpg has 3 faces, its details'):
        build(tmp_path, details_file=write_details(tmp_path, fewer))
    other = ImageFaces('b.jpg', np.ones((1, 4)), attributes=np.zeros((1, 6), int))
    write_faces(tmp_path / 'gt.txt', [other], 'wider')
    with pytest.raises(ValueError, match=r'gt.txt: no face of .*label.txt is in it'):
        build(tmp_path, attribute_file='gt.txt')


def test_stated_attributes_must_be_those_of_the_file(tmp_path: Path) -> None:
    details = write_details(tmp_path, DETAILS)
    stated = [dict(name='glasses', values=('yes', 'no'), kind='binary')]
    with pytest.raises(ValueError, match=r"has the attributes \['glasses'\], metainfo states"):
        build(tmp_path, details_file=details, metainfo=dict(attributes=stated))
    stated[0]['values'] = ('no', 'yes')
    build(tmp_path, details_file=details, metainfo=dict(attributes=stated))


def test_classes_are_found_by_themselves(tmp_path: Path) -> None:
    assert build(tmp_path, metainfo=dict(classes='auto')).metainfo['classes'] == ('face',)
