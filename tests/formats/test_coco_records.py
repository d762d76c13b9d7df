"""COCO files as exporters write them become the records that COCO itself would have written."""

import copy
import json
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as run_lengths

from mmext.errors import InputError
from mmext.formats.coco_faults import Fault
from mmext.formats.coco_masks import mask_area
from mmext.formats.coco_records import coco_records
from mmext.formats.coco_values import canonical_id, flag


def plain() -> dict[str, Any]:
    """Two images with two objects each, as COCO writes them."""
    images = [dict(id=i, file_name=f'{i}.jpg', width=60, height=40) for i in (1, 2)]
    categories = [dict(id=1, name='cat'), dict(id=2, name='dog')]
    annotations = [
        dict(
            id=1 + k,
            image_id=1 + k // 2,
            category_id=1 + k % 2,
            bbox=[5.0 + k, 6.0, 20.0, 10.0],
            area=200.0,
            iscrowd=0,
            segmentation=[[5 + k, 6, 25 + k, 6, 25 + k, 16, 5 + k, 16]],
        )
        for k in range(4)
    ]
    return dict(images=images, categories=categories, annotations=annotations)


def every(content: dict[str, Any], key: str, change: Any) -> dict[str, Any]:
    """Change a field of all annotations; ``None`` as result takes it out."""
    for annotation in content['annotations']:
        annotation[key] = change(annotation.get(key))
    return content


WAYS_TO_WRITE_IT = {
    'ids as text': lambda c: every(every(c, 'image_id', str), 'category_id', str),
    'ids as floats': lambda c: every(every(c, 'image_id', float), 'category_id', float),
    'image ids as text': lambda c: {
        **c,
        'images': [{**i, 'id': str(i['id'])} for i in c['images']],
    },
    'sizes as text': lambda c: {**c, 'images': [{**i, 'width': '60'} for i in c['images']]},
    'iscrowd as text': lambda c: every(c, 'iscrowd', lambda _: '0'),
    'iscrowd false': lambda c: every(c, 'iscrowd', lambda _: False),
    'iscrowd null': lambda c: every(c, 'iscrowd', lambda _: None),
    'iscrowd 0.0': lambda c: every(c, 'iscrowd', lambda _: 0.0),
    'area null': lambda c: every(c, 'area', lambda _: None),
    'area 0': lambda c: every(c, 'area', lambda _: 0),
    'area as text': lambda c: every(c, 'area', str),
    'area NaN': lambda c: every(c, 'area', lambda _: float('nan')),
    'box as texts': lambda c: every(c, 'bbox', lambda box: [str(v) for v in box]),
    'annotation ids all the same': lambda c: every(c, 'id', lambda _: 7),
    'annotation ids from 0': lambda c: every(c, 'id', lambda i: i - 1),
    'annotation ids null': lambda c: every(c, 'id', lambda _: None),
    'flat polygons': lambda c: every(c, 'segmentation', lambda polygons: polygons[0]),
    'category ids as text': lambda c: {
        **c,
        'categories': [{**k, 'id': str(k['id'])} for k in c['categories']],
    },
}


@pytest.mark.parametrize('way', WAYS_TO_WRITE_IT)
def test_one_content_whatever_it_is_written_like(way: str) -> None:
    expected = coco_records(plain(), 'x.json')
    written = WAYS_TO_WRITE_IT[way](plain())
    before = copy.deepcopy(written)
    records = coco_records(written, 'x.json')
    assert records.content() == {
        **expected.content(),
        'images': [{**i, 'width': 60} for i in expected.images.values()],
    }
    assert not records.faults.counts
    assert json.dumps(written) == json.dumps(before)  # unchanged; as text, since nan != nan


@pytest.mark.parametrize(
    ('way', 'note'),
    [
        ('ids as text', '8 ids or flags were written as text and are read as numbers'),
        ('iscrowd as text', '4 ids or flags were written as text and are read as numbers'),
        ('area null', '4 areas were missing or not positive and come from the mask or the box'),
    ],
)
def test_what_is_read_otherwise_is_said(way: str, note: str) -> None:
    assert coco_records(WAYS_TO_WRITE_IT[way](plain()), 'x.json').notes == [note]


def test_missing_fields_of_an_annotation() -> None:
    content = plain()
    for annotation in content['annotations']:
        del annotation['id'], annotation['iscrowd'], annotation['area'], annotation['segmentation']
    records = coco_records(content, 'x.json').annotations
    assert [(a['id'], a['iscrowd'], a['area']) for a in records] == [
        (k, 0, 200.0) for k in (1, 2, 3, 4)
    ]


def test_area_is_that_of_the_mask() -> None:
    content = every(plain(), 'area', lambda _: None)
    mask = np.zeros((40, 60), np.uint8, order='F')
    mask[3:7, 10:15] = 1
    code = run_lengths.encode(mask)
    content['annotations'][0]['segmentation'] = {**code, 'counts': code['counts'].decode()}
    content['annotations'][1]['segmentation'] = dict(size=[40, 60], counts=[3, 5, 2392])
    areas = [a['area'] for a in coco_records(content, 'x.json').annotations]
    assert areas == [20.0, 5.0, 200.0, 200.0]
    assert mask_area([[0, 0, 4, 0, 4, 4, 0, 4]], 40, 60) == 16


def test_no_mask_is_no_fault() -> None:
    for nothing in ([], None, '', {}):
        records = coco_records(every(plain(), 'segmentation', lambda _, n=nothing: n), 'x.json')
        assert not records.faults.counts and not records.notes
        assert all('segmentation' not in a for a in records.annotations)


def test_a_photo_and_a_class_that_are_there_twice_are_said() -> None:
    content = plain()
    content['images'][1]['file_name'] = '1.jpg'
    content['categories'].append(dict(id=3, name='Cat '))
    assert coco_records(content, 'x.json').notes == [
        '1 images have the photo of another one (first: 1.jpg, images 1 and 2)',
        "classes 'cat' and 'Cat ' have nearly the same name",
    ]


def test_names_and_large_numbers_as_ids() -> None:
    content = plain()
    names = {1: 'cam_1', 2: 2**53 + 1}
    for image in content['images']:
        image['id'] = names[image['id']]
    every(content, 'image_id', names.get)
    records = coco_records(content, 'x.json')
    assert list(records.images) == ['cam_1', 9007199254740993]
    assert [a['image_id'] for a in records.annotations] == ['cam_1', 'cam_1', *[2**53 + 1] * 2]


def test_crowds_and_windows_paths() -> None:
    content = every(plain(), 'iscrowd', lambda _: True)
    content['images'][0]['file_name'] = 'photos\\a\\1.jpg'
    records = coco_records(content, 'x.json')
    assert [a['iscrowd'] for a in records.annotations] == [1] * 4
    assert records.images[1]['file_name'] == 'photos/a/1.jpg'


@pytest.mark.parametrize(
    ('changes', 'fault', 'example'),
    [
        (dict(bbox=None), Fault.NO_BOX, 'annotation 2 of image 1'),
        (dict(bbox=[1, 2, 3]), Fault.BAD_BOX, 'annotation 2 of image 1, [1, 2, 3]'),
        (dict(bbox={'x': 1}), Fault.BAD_BOX, "annotation 2 of image 1, {'x': 1}"),
        (dict(bbox=[float('nan'), 2, 3, 4]), Fault.NOT_FINITE, 'annotation 2 of image 1'),
        (dict(bbox=[1, 2, float('inf'), 4]), Fault.NOT_FINITE, 'annotation 2 of image 1'),
        (dict(bbox=[1, 2, -3, 4]), Fault.SMALL, 'annotation 2 of image 1, [1, 2, -3, 4]'),
        (dict(bbox=[1, 2, 0.5, 4]), Fault.SMALL, 'annotation 2 of image 1'),
        (dict(bbox=[60, 2, 3, 4]), Fault.OUTSIDE, 'annotation 2 of image 1'),
        (dict(bbox=[1, -4, 3, 4]), Fault.OUTSIDE, 'annotation 2 of image 1'),
        (dict(image_id=9), Fault.UNKNOWN_IMAGE, 'annotation 2 of image 9'),
        (dict(category_id=9), Fault.UNKNOWN_CATEGORY, 'annotation 2 of image 1, category 9'),
        (dict(segmentation=[[1, 2, 3, 4]]), Fault.BAD_MASK, 'annotation 2 of image 1'),
        (dict(segmentation=[[1, 2, 3, 4, 5, 6, 7]]), Fault.BAD_MASK, 'annotation 2 of image 1'),
        (dict(segmentation='none'), Fault.BAD_MASK, 'annotation 2 of image 1'),
        (
            dict(segmentation=dict(size=[60, 40], counts=[2400])),  # turned
            Fault.BAD_MASK,
            'annotation 2 of image 1',
        ),
        *(
            (dict(segmentation=mask), Fault.BAD_MASK, 'annotation 2 of image 1')
            for mask in (
                dict(size=[40, 60], counts=[3, 5]),  # ends inside of the image
                dict(size=[40, 60], counts=[3, -5, 2402]),
                dict(size=[40, 60], counts=[2**70]),
                dict(size=[40, 60], counts='no code'),
                dict(size=[40, 60], counts='\u00e9'),
                dict(size=[40, 60], counts=''),
                dict(counts=[2400]),
                [[0, 0, 9, 0, 9, 1e12]],  # drawing it would walk a thousand million pixels
            )
        ),
    ],
)
def test_faults_are_counted_and_named(changes: dict, fault: Fault, example: str) -> None:
    content = plain()
    content['annotations'][1] |= changes
    faults = coco_records(content, 'x.json').faults
    assert faults.counts == {fault: 1}
    assert faults.first[fault].startswith(example)
    with pytest.raises(InputError, match=r'x\.json: objects 1 '):
        faults.refuse([fault], 'x.json', 'Mend them')


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(images=[]), "x.json: 'images' is empty"),
        (dict(categories=[]), "x.json: 'categories' is empty"),
        (dict(images={}), "x.json: 'images' is a dict; expected a list"),
        (dict(categories=None), "x.json: 'categories' is nothing; expected a list"),
        (dict(annotations=[3]), r'x.json: annotations\[0\] is a int; expected an object'),
        (dict(images=[dict(id=1, width=4, height=4)]), 'file_name of image 1 is None'),
        (dict(images=[dict(id=1, file_name=7, width=4, height=4)]), 'file_name of image 1 is 7'),
        (dict(images=[dict(id=1, file_name='a', width=4)]), 'height of image 1 is None'),
        (dict(images=[dict(id=1, file_name='a', width='wide', height=4)]), "image 1 is 'wide'"),
        (dict(images=[dict(id=1, file_name='a', width=0, height=4)]), 'width of image 1 is 0'),
        (dict(images=[dict(file_name='a', width=4, height=4)]), 'id of image number 1 is None'),
        (
            dict(images=[dict(id=1, file_name=n, width=4, height=4) for n in 'ab']),
            'image id 1 is used twice, by a and b',
        ),
        (
            dict(images=[dict(id=i, file_name='a', width=4, height=4) for i in (1, '1')]),
            'image id 1 is used twice',
        ),
        (dict(categories=[dict(id=1)]), 'name of category 1 is None'),
        (dict(categories=[dict(name='cat')]), 'id of category number 1 is None'),
        (
            dict(categories=[dict(id=1, name='cat'), dict(id=2, name='cat')]),
            "categories 1 and 2 are both named 'cat'",
        ),
        (
            dict(categories=[dict(id=1, name='cat'), dict(id=1, name='dog')]),
            'category id 1 is used twice',
        ),
        (dict(annotations=[dict(image_id=[1], category_id=1)]), r'image_id of annotation .* \[1\]'),
        (dict(annotations=[dict(image_id=1.5, category_id=1)]), 'expected a whole number'),
        (dict(annotations=[dict(id=4, image_id=1)]), 'category_id of annotation 4 is None'),
        (
            dict(annotations=[dict(id=4, image_id=1, category_id=1, iscrowd='maybe')]),
            "iscrowd of annotation 4 is 'maybe'; expected 0 or 1",
        ),
        (
            dict(annotations=[dict(id=4, image_id=1, category_id=1, iscrowd=2)]),
            'iscrowd of annotation 4 is 2',
        ),
    ],
)
def test_what_has_no_meaning_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        coco_records({**plain(), **changes}, 'x.json')
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('content', [None, [], 3, 'text', {}, {'images': [{}]}])
def test_no_annotation_file(content: Any) -> None:
    with pytest.raises(InputError, match=r'x\.json: no COCO file, .*export it in the format COCO'):
        coco_records(content, 'x.json')


def test_a_test_set_has_no_annotations() -> None:
    for annotations in ([], None):
        records = coco_records({**plain(), 'annotations': annotations}, 'x.json')
        assert (len(records.images), records.annotations, records.num_written) == (2, [], 0)


@pytest.mark.parametrize(
    ('written', 'read'),
    [
        *((value, 12) for value in (12, '12', 12.0)),
        *((value, value) for value in ('012', 'cam', '1.5', '1e3', '٣', '-', '')[:-1]),
        (-3, -3),
        ('-3', -3),
        ('0', 0),
        (2**70, 2**70),
        (str(2**70), 2**70),
    ],
)
def test_ids(written: Any, read: Any) -> None:
    assert canonical_id(written) == read
    assert type(canonical_id(written)) is type(read)


def test_a_float_that_is_not_exact_is_no_id() -> None:
    assert canonical_id(2.0**53) == 2**53
    with pytest.raises(InputError, match=r'^number is .* not exact'):
        canonical_id(2.0**53 + 2, 'number')


@pytest.mark.parametrize('value', [None, '', True, 1.5, float('nan'), float('inf'), [], {}])
def test_no_ids(value: Any) -> None:
    with pytest.raises(InputError, match=r'^number is .*; expected'):
        canonical_id(value, 'number')


def test_flags() -> None:
    assert [flag(v, '') for v in (0, '0', None, False, 'False', 0.0, '')] == [0] * 7
    assert [flag(v, '') for v in (1, '1', True, 'true', 'TRUE', 1.0)] == [1] * 6
    for value in (2, 'yes', -1, 0.5, [], float('nan')):
        with pytest.raises(InputError, match=r'crowd is .*; expected 0 or 1'):
            flag(value, 'crowd')


def test_the_short_path_reads_what_the_long_one_reads() -> None:
    """An object marked "ignore": 0 is read value by value; it must come out the same."""
    values: dict[str, list[Any]] = {
        'bbox': [[1, 2, 3, 4], [1, 2, 0.5, 4], [-90, 2, 3, 4], [70, 2, 3, 4], None, [1, 2, 3],
                 [1, 2, float('nan'), 4], [1, 2, float('inf'), 4], [True, 2, 3, 4], '1234', []],
        'area': [7, 0, -1, None, '7', float('nan'), float('inf'), True],
        'segmentation': [[[1, 2, 3, 4, 5, 6]], [], None, [1, 2, 3, 4, 5, 6], [[1, 2]], [['a'] * 6],
                         [[1, 2, 3, 4, 5, float('inf')]], [[1, 2, 3, 4, 5, 6], [1]], 'text'],
        'image_id': [1, 2, 9, '1', 1.0],
        'category_id': [1, 5, '2', 2.0],
        'iscrowd': [0, 1, None, '0', False],
    }  # fmt: skip
    for key, choices in values.items():
        for value in choices:
            short, long = plain(), plain()
            for content in (short, long):
                content['annotations'][1][key] = value
            every(long, 'ignore', lambda _: 0)
            read, expected = coco_records(short, 'a'), coco_records(long, 'a')
            for annotation in expected.annotations:
                del annotation['ignore']
            text, expected_text = repr(read.annotations), repr(expected.annotations)
            assert sorted(text) == sorted(expected_text), (key, value)  # keys in any order
            assert (read.faults, read.notes) == (expected.faults, expected.notes), (key, value)
