"""The look at some images before a run."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from coco_panoptic_set import segment, write_set
from pycocotools import mask as run_lengths

from mmext.errors import InputError
from mmext.formats.box_agreement import check_boxes, mask_window, misplaced, overlap
from mmext.pipelines.data_look import box_pairs, look_at_data
from mmext.registry import DATASETS

LOADERS = [dict(type='mmext.LoadImage'), dict(type='mmext.LoadPanopticAnnotations')]


def test_overlap_by_counting_pixels() -> None:
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 12, (60, 2, 2, 2))
    boxes = np.concatenate([corners.min(axis=2), corners.max(axis=2)], axis=-1)  # [60, 2, 4]
    ys, xs = np.mgrid[:12, :12]
    for pair, value in zip(boxes, overlap(boxes[:, 0], boxes[:, 1]), strict=True):
        first, second = ((xs >= x1) & (xs < x2) & (ys >= y1) & (ys < y2) for x1, y1, x2, y2 in pair)
        union = (first | second).sum()
        assert value == pytest.approx((first & second).sum() / union if union else 0)


def test_windows_of_masks() -> None:
    mask = np.zeros((20, 30), np.uint8, order='F')
    mask[4:9, 10:17] = 1
    code = run_lengths.encode(mask)
    runs = [10 * 20 + 4, *([5, 15] * 7)[:-1]]
    runs.append(600 - sum(runs))
    for written in (
        code,
        {**code, 'counts': code['counts'].decode()},
        dict(size=[20, 30], counts=runs),
        [[10, 4, 17, 4, 17, 9], [10, 9, 12, 5, 17, 9]],
    ):
        assert mask_window(written, 20, 30) == (10, 4, 17, 9)
    assert mask_window(None, 20, 30) is None
    assert mask_window([], 20, 30) is None


def test_pairs_of_a_panoptic_image(tmp_path: Path) -> None:
    dataset = DATASETS.build(write_set(tmp_path))
    pairs = list(box_pairs(dataset.get_data_info(0)))
    # the dog's box is the one drawn, the cat lies over a part of it; the crowd is left out
    assert pairs == [((15, 5, 25, 12), (15, 5, 25, 12)), ((10, 10, 20, 20), (10, 10, 20, 20))]


def some_boxes(count: int = 6) -> np.ndarray:
    left = np.arange(count) * 30.0 + 20
    return np.stack([left, left + 10, left + 20, left + 40], axis=1)  # x1, y1, x2, y2


def test_boxes_as_corners_are_recognised() -> None:
    windows = some_boxes()
    boxes = windows.copy()
    boxes[:, 2:] += boxes[:, :2]  # corners that were read as x, y, width, height
    pairs = list(zip(map(tuple, boxes), map(tuple, windows), strict=True))
    with pytest.raises(
        InputError, match=r'6 of 6 .* read as corners x1, y1, x2, y2 they would fit'
    ):
        check_boxes(pairs, 'train (x.json)')


def test_corners_that_overlap_their_pixels_are_recognised() -> None:
    windows = np.array([[6.0, 5, 90, 80], [8, 10, 70, 95], [12, 4, 66, 60], [3, 9, 80, 77]])
    boxes = windows.copy()
    boxes[:, 2:] += boxes[:, :2]
    assert overlap(boxes, windows).min() > 0.6
    right = [(window, window) for window in map(tuple, windows)]
    pairs = list(zip(map(tuple, boxes), map(tuple, windows), strict=True))
    with pytest.raises(InputError, match=r'4 of 7 boxes .* read as corners x1, y1, x2, y2'):
        check_boxes(pairs + right[:3], 'train')
    check_boxes(pairs + right + right[:1], 'train')  # most are right
    assert misplaced(boxes, windows).all()


def test_centers_are_recognised() -> None:
    windows = some_boxes()
    boxes = windows.copy()
    half = (windows[:, 2:] - windows[:, :2]) / 2
    boxes[:, :2] += half
    boxes[:, 2:] += half
    pairs = list(zip(map(tuple, boxes), map(tuple, windows), strict=True))
    with pytest.raises(InputError, match='read as center x, center y, width, height'):
        check_boxes(pairs, 'train')


def test_loose_boxes_and_those_of_hidden_parts_pass() -> None:
    windows = some_boxes()
    loose = windows + np.array([-3.0, -4, 3, 4])
    hidden = windows + np.array([0.0, 0, 0, 15])
    for boxes in (loose, hidden):
        check_boxes(list(zip(map(tuple, boxes), map(tuple, windows), strict=True)), 'train')
        assert not misplaced(boxes, windows).any()


def test_boxes_elsewhere_and_a_few_that_are_wrong() -> None:
    windows = some_boxes()
    pairs = list(zip(map(tuple, windows + 500), map(tuple, windows), strict=True))
    with pytest.raises(InputError, match=r'6 of 6 boxes .*bbox \[520, 530') as error:
        check_boxes(pairs, 'train')
    assert 'corners' not in str(error.value)
    right = [(window, window) for _, window in pairs]
    check_boxes(pairs[:3] + right, 'train')  # single ones are corrected or named when loaded
    check_boxes(pairs[:3], 'train')  # too few to tell
    check_boxes([], 'train')


def build(folder: Path, **changes: Any) -> Any:
    return DATASETS.build({**write_set(folder), 'pipeline': LOADERS, **changes})


def test_a_photo_that_is_not_there(tmp_path: Path) -> None:
    dataset = build(tmp_path)
    look_at_data(dataset, 'train')
    (tmp_path / 'photos/b/photo.PNG').unlink()
    with pytest.raises(InputError, match=r'val: no photo at .*b/photo\.PNG'):
        look_at_data(dataset, 'val')
    look_at_data(dataset, 'val', count=1)
    dataset.pipeline.transforms.clear()
    look_at_data(dataset, 'val')  # nothing is loaded


def test_a_photo_of_another_size(tmp_path: Path) -> None:
    dataset = build(tmp_path)
    cv2.imwrite(str(tmp_path / 'photos/b/photo.PNG'), np.zeros((40, 30, 3), np.uint8))
    with pytest.raises(
        ValueError, match='the photo is 30 x 40 pixels, its annotation says 40 x 30'
    ):
        look_at_data(dataset, 'train')


def test_corner_boxes_of_a_panoptic_set(tmp_path: Path) -> None:
    from coco_panoptic_set import AREAS, CAT, DOG

    segments = [segment(i, c, bbox=list(AREAS[i])) for i, c in ((DOG, 3), (CAT, 7))]
    rest = [segment(i, c) for i, c in ((70000, 200), (300, 90), (512, 3))]
    rest[-1]['iscrowd'] = 1
    config = write_set(
        tmp_path,
        annotations=[
            {'image_id': 10 + i, 'file_name': name, 'segments_info': segments + rest}
            for i, name in enumerate(['first.png', 'b/second.png'])
        ],
    )
    dataset = DATASETS.build({**config, 'pipeline': LOADERS})
    with pytest.raises(InputError, match=r'4 of 4 boxes .* as corners'):
        look_at_data(dataset, 'train')
    # the loader alone takes the pixels
    boxes = dataset.get_data_info(0)
    loaded = dataset.pipeline(boxes)
    assert loaded['gt_bboxes'].tensor.tolist()[:2] == [[15, 5, 25, 12], [10, 10, 20, 20]]


@pytest.mark.parametrize('poly2mask', [True, False])
def test_masks_that_a_pipeline_passes_over(poly2mask: bool, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((20, 30, 3), np.uint8))
    mask = np.zeros((20, 30), np.uint8, order='F')
    mask[4:9, 10:17] = 1
    code = run_lengths.encode(mask)
    code['counts'] = code['counts'].decode()
    sizes = dict(bbox=[10, 4, 7, 5], area=35, iscrowd=0, segmentation=code)
    content = dict(
        images=[dict(id=1, file_name='a.png', width=30, height=20)],
        annotations=[dict(id=1, image_id=1, category_id=1, **sizes)],
        categories=[dict(id=1, name='x')],
    )
    (tmp_path / 'a.json').write_text(json.dumps(content))
    masks = dict(type='mmdet.LoadAnnotations', with_bbox=True, with_mask=True, poly2mask=poly2mask)
    dataset = DATASETS.build(
        dict(
            type='mmext.CocoDataset',
            ann_file=str(tmp_path / 'a.json'),
            data_prefix=dict(img=f'{tmp_path}/'),
            metainfo=dict(classes='auto'),
            pipeline=[dict(type='mmext.LoadImage'), masks, dict(type='mmdet.PackDetInputs')],
        )
    )
    if poly2mask:
        look_at_data(dataset, 'train')
        assert np.array_equal(dataset[0]['data_samples'].gt_instances.masks.masks[0], mask)
    else:
        with pytest.raises(InputError, match=r'train: .*run-length codes.*poly2mask=True'):
            look_at_data(dataset, 'train')
