"""Tags measured on pixels, and data sets that label only some classes."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.datasets.transforms import PackDetInputs
from mmdet.structures.mask import BitmapMasks
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData

from mmext.errors import InputError
from mmext.language.measured_tags import COLORS, color_of, ground_below
from mmext.registry import DATASETS, TRANSFORMS


def painted(*bgr: int) -> np.ndarray:
    return np.array([bgr], np.uint8)


@pytest.mark.parametrize(
    ('bgr', 'name'),
    [
        ((30, 30, 220), 'red'), ((20, 140, 240), 'orange'), ((20, 60, 110), 'brown'),
        ((40, 230, 240), 'yellow'), ((50, 170, 60), 'green'), ((220, 80, 30), 'blue'),
        ((170, 40, 110), 'purple'), ((180, 100, 250), 'pink'), ((250, 250, 250), 'white'),
        ((120, 125, 120), 'gray'), ((10, 12, 9), 'black'),
    ],
)  # fmt: skip
def test_names_of_colors(bgr: tuple[int, int, int], name: str) -> None:
    assert color_of(painted(*bgr)) == name


def test_the_median_and_the_nearest_color() -> None:
    pixels = np.array([[30, 30, 220]] * 5 + [[255, 0, 0]] * 4, np.uint8)
    kept = pixels.copy()
    assert color_of(pixels) == 'red'
    assert color_of(painted(20, 140, 240), ['red', 'blue']) == 'red'
    assert (pixels == kept).all()
    assert set(COLORS) >= {'red', 'black'}


def test_the_ground_below() -> None:
    mask = np.zeros((20, 20), bool)
    mask[4:14, 5:10] = True
    semantic = np.full((20, 20), 3)
    semantic[14:, 5:10], semantic[:, 18:] = 7, 255
    assert ground_below(mask, semantic) == 7
    assert ground_below(mask, semantic, [7]) == -1
    semantic[16:, 5:7] = 3  # below the strip
    assert ground_below(mask, semantic, [7]) == -1
    semantic[14, 5:7] = 3
    assert ground_below(mask, semantic, [7]) == 3
    assert ground_below(np.zeros((20, 20), bool), semantic) == -1
    assert ground_below(np.ones((20, 20), bool), semantic) == -1
    assert ground_below(mask, np.full((20, 20), 255)) == -1


def packed(with_masks: bool = True, with_ground: bool = True) -> dict:
    image = np.full((20, 20, 3), (40, 160, 60), np.uint8)
    image[4:14, 5:10] = (30, 30, 220)
    mask = np.zeros((1, 20, 20), np.uint8)
    mask[0, 4:14, 5:10] = 1
    results = dict(
        img=image, img_id=1, img_path='a.jpg', ori_shape=(20, 20), img_shape=(20, 20),
        scale_factor=(1.0, 1.0), flip=False, flip_direction=None,
        gt_bboxes=np.array([[5, 4, 10, 14]], np.float32), gt_bboxes_labels=np.array([0]),
        gt_ignore_flags=np.array([False]),
    )  # fmt: skip
    if with_masks:
        results['gt_masks'] = BitmapMasks(mask, 20, 20)
    made = PackDetInputs()(results)
    if with_ground:
        ground = torch.full((1, 20, 20), 2)
        ground[0, :, :3], ground[0, 14:, 5:7] = 1, 1
        made['data_samples'].gt_sem_seg = PixelData(sem_seg=ground)
    return made


WORDS = ('red', 'ball', 'grass', 'sky', 'blue')
CLASSES = ('ball', 'sky', 'grass')


def measured(grounds: list[str] | None = None, **options: bool) -> list[bool]:
    measure = TRANSFORMS.build(
        dict(type='mmext.MeasureTags', words=WORDS, classes=CLASSES, grounds=grounds)
    )
    return measure(packed(**options))['data_samples'].gt_instances.tags.tolist()


def test_tags_of_an_object() -> None:
    assert measured() == [[True, True, True, False, False]]
    assert measured(with_ground=False) == [[True, True, False, False, False]]
    assert measured(grounds=['sky']) == [[True, True, False, True, False]]
    with pytest.raises(InputError, match='with_mask=True'):
        measured(with_masks=False)


def test_tags_follow_a_mirrored_image() -> None:
    sample = packed()
    mirrored = {'inputs': sample['inputs'].flip(2), 'data_samples': sample['data_samples']}
    truth = mirrored['data_samples'].gt_instances
    truth.masks = truth.masks.flip()
    measure = TRANSFORMS.build(dict(type='mmext.MeasureTags', words=WORDS, classes=CLASSES))
    assert measure(mirrored)['data_samples'].gt_instances.tags.tolist()[0][:2] == [True, True]


def small_set(folder: Path) -> str:
    """One picture with a tree, a ball and a fish; the file has its categories in another order."""
    names = ('fish', 'tree', 'ball')
    content = {
        'images': [{'id': 1, 'file_name': 'a.jpg', 'width': 20, 'height': 20}],
        'categories': [{'id': i, 'name': name} for i, name in enumerate(names, 5)],
        'annotations': [
            dict(id=i, image_id=1, category_id=c, bbox=[c, c, 6, 6], area=36, iscrowd=0)
            for i, c in enumerate((6, 7, 5), 1)
        ],
    }  # fmt: skip
    (folder / 'a.json').write_text(json.dumps(content))
    cv2.imwrite(str(folder / 'a.jpg'), np.zeros((20, 20, 3), np.uint8))
    return str(folder)


def partial(folder: Path, labelled: tuple[str, ...], **options: object) -> object:
    init_default_scope('mmdet')
    return DATASETS.build(
        dict(
            type='mmext.PartialCocoDataset',
            data_root=small_set(folder),
            ann_file='a.json',
            data_prefix=dict(img=''),
            metainfo=dict(classes=('ball', 'mushroom', 'tree', 'fish')),
            labelled=labelled,
            pipeline=[],
            **options,
        )
    )


def test_a_picture_without_annotations_stays_as_it_is() -> None:
    """What a trained captioner is given by `mmext infer`, and by a server."""
    transform = TRANSFORMS.build(dict(type='mmext.RegionCaptions', words=['red'], classes=['ball']))
    results = dict(img=np.zeros((4, 4, 3), np.uint8))
    assert transform(dict(results)).keys() == results.keys()
    with pytest.raises(InputError, match=r'RegionCaptions needs masks'):
        transform(dict(results, gt_bboxes=np.zeros((0, 4))))


def test_a_set_that_labels_some_classes(tmp_path: Path) -> None:
    dataset = partial(tmp_path, ('tree', 'ball'))
    data = dataset.get_data_info(0)
    assert data['labelled_classes'] == [0, 2]
    assert [instance['bbox_label'] for instance in data['instances']] == [2, 0]
    assert dataset.metainfo['classes'] == ('ball', 'mushroom', 'tree', 'fish')
    other = partial(tmp_path, ('fish',))
    assert other.metainfo == dataset.metainfo  # so that both can be concatenated
    assert [i['bbox_label'] for i in other.get_data_info(0)['instances']] == [3]
    assert len(partial(tmp_path, ('fish',), share=(0, 2))) == 1
    with pytest.raises(InputError, match='nothing to learn: train: 0 images'):
        partial(tmp_path, ('fish',), share=(1, 2))
    with pytest.raises(InputError, match='labelled car: not among the classes ball'):
        partial(tmp_path, ('car',))
