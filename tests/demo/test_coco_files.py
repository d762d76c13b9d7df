"""The files: PNG, segments_info and instances say the same, read by the usual tools."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as mask_coding
from pycocotools.coco import COCO

from mmext.demo.categories import CATEGORIES
from mmext.demo.coco_files import PanopticSplitWriter, Segment, free_id, uncompressed_rle

SPLITS = ('train2017', 'val2017')


def load(root: Path, kind: str, split: str) -> Any:
    return json.loads((root / 'annotations' / f'{kind}_{split}.json').read_text())


def read_ids(path: Path) -> NDArray[np.int64]:
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR).astype(np.int64)
    return bgr[..., 2] + 256 * bgr[..., 1] + 65536 * bgr[..., 0]


@pytest.mark.parametrize('split', SPLITS)
def test_png_and_segments_info_agree(demo_root: Path, split: str) -> None:
    content = load(demo_root, 'panoptic', split)
    images = {image['id']: image for image in content['images']}
    categories = {category['id']: category for category in content['categories']}
    assert len(images) == len(content['annotations']) == {'train2017': 40, 'val2017': 20}[split]
    for annotation in content['annotations']:
        image = images[annotation['image_id']]
        ids = read_ids(demo_root / 'annotations' / f'panoptic_{split}' / annotation['file_name'])
        photo = cv2.imread(str(demo_root / split / image['file_name']))
        assert ids.shape == photo.shape[:2] == (image['height'], image['width'])
        infos = annotation['segments_info']
        assert set(np.unique(ids).tolist()) - {0} == {info['id'] for info in infos}
        assert len({info['id'] for info in infos}) == len(infos)
        for info in infos:
            rows, columns = np.nonzero(ids == info['id'])
            x, y = columns.min(), rows.min()
            assert info['area'] == len(rows)
            assert info['bbox'] == [x, y, columns.max() - x + 1, rows.max() - y + 1]
            assert info['iscrowd'] <= categories[info['category_id']]['isthing']
        stuff = [
            info['category_id'] for info in infos if not categories[info['category_id']]['isthing']
        ]
        assert len(set(stuff)) == len(stuff)  # one segment per stuff class


@pytest.mark.parametrize('split', SPLITS)
def test_instances_are_the_thing_segments(demo_root: Path, split: str) -> None:
    panoptic = load(demo_root, 'panoptic', split)
    coco = COCO(str(demo_root / 'annotations' / f'instances_{split}.json'))
    things = {category['id'] for category in panoptic['categories'] if category['isthing']}
    assert set(coco.getCatIds()) == things
    for annotation in panoptic['annotations']:
        ids = read_ids(demo_root / 'annotations' / f'panoptic_{split}' / annotation['file_name'])
        infos = [info for info in annotation['segments_info'] if info['category_id'] in things]
        instances = coco.loadAnns(coco.getAnnIds(imgIds=[annotation['image_id']]))
        assert len(instances) == len(infos)
        for info, instance in zip(infos, instances, strict=True):
            for key in ('category_id', 'iscrowd', 'bbox', 'area'):
                assert instance[key] == info[key]
            np.testing.assert_array_equal(coco.annToMask(instance), ids == info['id'])
            assert isinstance(instance['segmentation']['counts'], list) == bool(info['iscrowd'])


def test_the_set_holds_the_hard_cases(demo_root: Path) -> None:
    for split in SPLITS:
        content = load(demo_root, 'panoptic', split)
        things = {category['id'] for category in content['categories'] if category['isthing']}
        segments = [annotation['segments_info'] for annotation in content['annotations']]
        assert any(info['iscrowd'] for infos in segments for info in infos)
        assert any(not any(info['category_id'] in things for info in infos) for infos in segments)
        areas = {image['id']: image['width'] * image['height'] for image in content['images']}
        assert any(
            sum(info['area'] for info in annotation['segments_info'])
            < areas[annotation['image_id']]
            for annotation in content['annotations']
        )  # void
        assert len({(image['width'], image['height']) for image in content['images']}) > 1


def test_category_table_and_ids_of_the_splits(demo_root: Path) -> None:
    ids = []
    for split in SPLITS:
        content = load(demo_root, 'panoptic', split)
        assert content['categories'] == [
            {**category._asdict(), 'isthing': int(category.isthing), 'color': list(category.color)}
            for category in CATEGORIES
        ]
        assert content['info']['description']
        assert content['licenses'][0]['id'] == content['images'][0]['license']
        ids += [image['id'] for image in content['images']]
    assert len(set(ids)) == len(ids)


def testfree_ids_differ_and_the_first_is_the_categorys_color() -> None:
    taken: set[int] = set()
    for _ in range(256):
        taken.add(free_id((220, 20, 60), taken))
    assert len(taken) == 256
    assert 220 + 256 * 20 + 65536 * 60 in taken
    assert free_id((0, 0, 0), set()) != 0
    with pytest.raises(ValueError, match=r'no free segment id near color \(220, 20, 60\)'):
        for _ in range(300):
            taken.add(free_id((220, 20, 60), taken))


@pytest.mark.parametrize('share', [0.0, 0.3, 1.0])
def test_uncompressed_rle_is_read_back(share: float) -> None:
    mask = np.random.default_rng(0).random((7, 5)) < share
    rle = uncompressed_rle(mask)
    assert sum(rle['counts']) == mask.size
    coded = mask_coding.frPyObjects(rle, 7, 5)
    np.testing.assert_array_equal(mask_coding.decode(coded), mask)


def test_keys_without_meaning_are_void_and_absent_segments_unlisted(tmp_path: Path) -> None:
    writer = PanopticSplitWriter(tmp_path, 'val', CATEGORIES, 'by hand')
    keys = np.int32([[7, 7, 0], [7, 9, 3]])
    writer.add(
        12, np.zeros((2, 3, 3), np.uint8), keys, {7: Segment(0), 9: Segment(5), 5: Segment(1)}
    )
    writer.close()
    (annotation,) = load(tmp_path, 'panoptic', 'val2017')['annotations']
    assert annotation['file_name'] == '000000000012.png'
    first, second = annotation['segments_info']
    assert (first['area'], first['bbox'], second['category_id']) == (3, [0, 0, 2, 2], 94)
    ids = read_ids(tmp_path / 'annotations/panoptic_val2017/000000000012.png')
    np.testing.assert_array_equal(ids == 0, (keys == 0) | (keys == 3))
    assert len(load(tmp_path, 'instances', 'val2017')['annotations']) == 1
