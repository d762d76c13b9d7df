"""Panoptic files as exporters write them."""

import copy
import json
from typing import Any

import pytest

from mmext.errors import InputError
from mmext.formats.coco_faults import Fault
from mmext.formats.panoptic_records import annotation_list, panoptic_records


def plain() -> dict[str, Any]:
    """Two images with a thing and a stuff segment each."""
    images = [dict(id=i, file_name=f'{i}.jpg', width=60, height=40) for i in (1, 2)]
    categories = [dict(id=1, name='cat', isthing=1), dict(id=2, name='sky', isthing=0)]
    segments = [
        dict(id=7, category_id=1, iscrowd=0, area=50.0, bbox=[1.0, 2.0, 10.0, 5.0]),
        dict(id=9, category_id=2, iscrowd=0, area=70.0),
    ]
    annotations = [dict(image_id=i, file_name=f'{i}.png', segments_info=segments) for i in (1, 2)]
    content = dict(images=images, categories=categories, annotations=annotations)
    return json.loads(json.dumps(content))  # nothing shared


def segments(content: dict[str, Any], **changes: Any) -> dict[str, Any]:
    for annotation in content['annotations']:
        for segment in annotation['segments_info']:
            segment |= {key: change(segment.get(key)) for key, change in changes.items()}
    return content


WAYS_TO_WRITE_IT = {
    'ids as text': lambda c: segments(c, id=str, category_id=str),
    'ids as floats': lambda c: segments(c, id=float, category_id=float),
    'iscrowd as text': lambda c: segments(c, iscrowd=lambda _: '0'),
    'iscrowd null': lambda c: segments(c, iscrowd=lambda _: None),
    'area as text': lambda c: segments(c, area=str),
    'image ids as text': lambda c: {
        **c,
        'images': [{**i, 'id': str(i['id'])} for i in c['images']],
    },
    'isthing as text': lambda c: {
        **c,
        'categories': [{**k, 'isthing': str(k['isthing'])} for k in c['categories']],
    },
    'isthing as bool': lambda c: {
        **c,
        'categories': [{**k, 'isthing': bool(k['isthing'])} for k in c['categories']],
    },
}


@pytest.mark.parametrize('way', WAYS_TO_WRITE_IT)
def test_one_content_whatever_it_is_written_like(way: str) -> None:
    written = WAYS_TO_WRITE_IT[way](plain())
    before = copy.deepcopy(written)
    records = panoptic_records(written, 'x.json')
    assert records.content() == plain()
    assert not records.faults.counts
    assert written == before


def test_a_missing_area_stays_unknown() -> None:
    content = segments(plain(), area=lambda _: None)
    (segment, _) = panoptic_records(content, 'x.json').annotations[1]['segments_info']
    assert 'area' not in segment


def test_images_without_annotation() -> None:
    content = plain()
    content['annotations'].pop(0)
    assert panoptic_records(content, 'x.json').unannotated == [1]
    assert panoptic_records({**content, 'annotations': []}, 'x.json').unannotated == []


def test_faults() -> None:
    content = plain()
    content['annotations'].append(dict(image_id=5, file_name='5.png', segments_info=[]))
    content['annotations'][0]['segments_info'][0]['bbox'] = [1, 2, float('nan'), 4]
    del content['annotations'][1]['segments_info'][0]['bbox']
    records = panoptic_records(content, 'x.json')
    counts = {Fault.UNKNOWN_IMAGE: 1, Fault.NOT_FINITE: 1, Fault.NO_BOX: 1}
    assert records.faults.counts == counts  # stuff needs no box
    assert records.faults.first[Fault.NO_BOX] == 'segment 7 of image 2'
    assert list(records.annotations) == [1, 2]


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(annotations={}), "'annotations' is a dict; expected a list"),
        (dict(annotations=[dict(image_id=1)]), 'is it an instances file'),
        (dict(annotations=[dict(segments_info=[])]), 'image_id of annotation number 1 is None'),
        (
            dict(annotations=[dict(image_id=1, segments_info=[])]),
            'file_name of the annotation of image 1 is None',
        ),
        (
            dict(annotations=[dict(image_id=1, file_name='a\0.png', segments_info=[])]),
            'file_name of the annotation of image 1 is',
        ),
        (
            dict(annotations=[dict(image_id=1, file_name='a.png', segments_info=None)]),
            'segments_info of the annotation of image 1 is None',
        ),
        (
            dict(annotations=[dict(image_id=1, file_name='a.png', segments_info=[])] * 2),
            'image 1 is annotated twice',
        ),
        (
            dict(annotations=[dict(image_id=1, file_name='a.png', segments_info=[3])]),
            'a segment of the annotation of image 1 is 3',
        ),
        (dict(categories=[dict(id=1, name='cat')]), r'isthing of category 1 \(cat\) is missing'),
        (dict(categories=[dict(id=1, name='cat', isthing=7)]), 'isthing of category 1 .* is 7'),
    ],
)
def test_what_has_no_meaning_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        panoptic_records({**plain(), **changes}, 'x.json')
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(id=lambda _: 0), 'id of segment 0 .* is not between 1 and 16777215'),
        (dict(id=lambda _: 'left'), 'id of segment left .* is not between'),
        (dict(id=lambda _: None), 'id of a segment in the annotation of image 1 is None'),
        (dict(category_id=lambda _: 5), 'category_id 5 of segment 7 .* is not in its categories'),
        (dict(category_id=lambda _: None), 'category_id of segment 7 .* is None'),
        (dict(area=lambda _: 'large'), "area of segment 7 .* is 'large'"),
        (dict(iscrowd=lambda _: 'perhaps'), "iscrowd of segment 7 .* is 'perhaps'"),
    ],
)
def test_segments_that_have_no_meaning(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        panoptic_records(segments(plain(), **changes), 'x.json')


def test_results_need_less() -> None:
    written = [dict(segments_info=[dict(id='4', category_id='3')])]
    assert annotation_list(written, 'pred.json') == [
        dict(segments_info=[dict(id=4, category_id=3, iscrowd=0)])
    ]
    with pytest.raises(InputError, match=r'pred\.json: image_id of annotation number 1 is None'):
        annotation_list(written, 'pred.json', ['image_id'])
