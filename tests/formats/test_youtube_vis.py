"""Tracks of videos become objects of frames."""

from typing import Any

import pytest

from mmext.errors import InputError
from mmext.formats.youtube_vis import frames_as_coco

MASK = {'size': [10, 20], 'counts': '0'}
BOX = [1.0, 2.0, 3.0, 4.0]


def content(**changes: Any) -> dict[str, Any]:
    video = dict(id=7, width=20, height=10, file_names=['b/00010.jpg', 'b/00015.jpg'])
    other = dict(id=3, width=20, height=10, file_names=['a/00000.jpg'])
    track = dict(
        id=1, video_id=7, category_id=2, bboxes=[None, BOX], segmentations=[None, MASK],
        areas=[None, 12], iscrowd=0,
    )  # fmt: skip
    return dict(
        videos=[video, other], annotations=[track | changes], categories=[dict(id=2, name='dog')]
    )


def test_frames_and_objects() -> None:
    given = content()
    before = repr(given)
    coco = frames_as_coco(given, 'file')
    places = [(i['id'], i['file_name'], i['video_id'], i['frame_id']) for i in coco['images']]
    assert places == [
        (1, 'b/00010.jpg', 7, 10), (2, 'b/00015.jpg', 7, 15), (3, 'a/00000.jpg', 3, 0),
    ]  # fmt: skip
    (found,) = coco['annotations']
    assert found == dict(
        id=1, image_id=2, category_id=2, bbox=BOX, segmentation=MASK, area=12, iscrowd=0,
        instance_id=1,
    )  # fmt: skip
    assert repr(given) == before


def test_frames_that_the_file_does_not_list() -> None:
    files = dict(b=[f'b/{n:05d}.jpg' for n in (17, 10, 12)], a=[])
    coco = frames_as_coco(content(), 'file', lambda folder: files[folder])
    of_b = [i for i in coco['images'] if i['video_id'] == 7]
    assert [i['frame_id'] for i in of_b] == [10, 12, 15, 17]
    assert [i['is_annotated'] for i in of_b] == [True, False, True, False]
    assert {i['video_length'] for i in of_b} == {4}
    assert [a['image_id'] for a in coco['annotations']] == [3]


def test_names_without_numbers_count_from_0() -> None:
    given = content()
    given['videos'][0]['file_names'] = ['b\\late.png', 'b\\early.png']
    images = frames_as_coco(given, 'file')['images']
    assert [(i['file_name'], i['frame_id']) for i in images[:2]] == [
        ('b/late.png', 0), ('b/early.png', 1),
    ]  # fmt: skip


def test_a_test_file_has_no_objects() -> None:
    given = content()
    given['annotations'] = None
    assert frames_as_coco(given, 'file')['annotations'] == []


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(bboxes=[BOX]), 'bboxes has 1 entries, video 7 2 frames'),
        (dict(segmentations=None), 'segmentations has 0'),
        (dict(video_id=9), 'no video 9'),
    ],
)
def test_lists_that_do_not_fit(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        frames_as_coco(content(**changes), 'vis.json')


def test_other_files_are_refused() -> None:
    with pytest.raises(InputError, match='YouTube-VIS'):
        frames_as_coco(dict(images=[], annotations=[], categories=[]), 'coco.json')
    with pytest.raises(InputError, match='file_names'):
        frames_as_coco(dict(videos=[dict(id=1)], categories=[]), 'vis.json')
