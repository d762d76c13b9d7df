"""Annotations out of data samples, by hand."""

import pytest

from mmext.metrics.coco.sample_truth import join_annotations, sample_annotations

BOX = dict(bbox=[1, 2, 5, 4], bbox_label=3)
SQUARE = dict(size=[4, 4], counts=[5, 2, 2, 2, 5])  # 2 x 2 pixels, uncompressed
POLYGON = [[0, 0, 3, 0, 3, 2, 0, 2]]


@pytest.mark.parametrize(
    ('mask', 'area'), [(None, 8), (SQUARE, 4), (POLYGON, 6), ([*POLYGON, *POLYGON], 6)]
)
def test_the_area_is_of_the_mask_or_else_of_the_box(mask, area: int) -> None:
    instance = dict(BOX, mask=mask) if mask else BOX
    sample = dict(img_id=7, ori_shape=(4, 4), instances=[instance])
    (annotation,) = sample_annotations(sample)
    assert annotation['area'] == area
    assert annotation['bbox'] == [1, 2, 4, 2]
    assert (annotation['category_id'], annotation['iscrowd']) == (3, 0)
    assert annotation.get('segmentation') == mask


def test_joined_annotations_are_numbered() -> None:
    crowd = dict(BOX, ignore_flag=1)
    own = [
        sample_annotations(dict(img_id=i, ori_shape=(4, 4), instances=objects))
        for i, objects in ((7, [BOX, crowd]), (9, []), (11, [BOX]))
    ]
    content = join_annotations([dict(id=i) for i in (7, 9, 11)], own, ['a', 'b', 'c', 'd'])
    assert [(a['id'], a['image_id'], a['iscrowd']) for a in content['annotations']] == [
        (1, 7, 0),
        (2, 7, 1),
        (3, 11, 0),
    ]
    assert content['categories'][3] == dict(id=3, name='d')
