"""Ids beside their boxes and masks, both frames treated alike, packing."""

import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import BaseTransform
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmext.demo.categories import METAINFO
from mmext.formats.panoptic_files import decode_id_png
from mmext.registry import DATASETS
from mmext.vpsnet.transforms import (
    BothFrames,
    LoadVideoPanopticAnnotations,
    PackVideoPanopticInputs,
)

AUGMENTATIONS = [
    dict(type='RandomResize', scale=(120, 80), ratio_range=(0.7, 1.4), keep_ratio=True),
    dict(type='mmdet.RandomFlip', prob=0.5),
    dict(type='mmdet.RandomCrop', crop_size=(48, 64), allow_negative_crop=True),
    dict(type='mmdet.PhotoMetricDistortion'),
]


@pytest.fixture(autouse=True)
def host_scope() -> None:
    init_default_scope('mmdet')


@pytest.fixture
def dataset(video_root: Path) -> Any:
    """Key frames with references, not loaded yet."""
    return DATASETS.build(
        dict(
            type='mmext.VideoPanopticDataset',
            data_root=str(video_root),
            ann_file='annotations/panoptic_train.json',
            data_prefix=dict(img='train/', seg='annotations/panoptic_train/'),
            metainfo=dict(METAINFO),
        )
    )


def loading(*more: Any) -> BothFrames:
    steps = [dict(type='mmext.LoadImage'), dict(type='mmext.LoadVideoPanopticAnnotations')]
    return BothFrames([*steps, *more])


def pair_of(dataset: Any, index: int, reference: int) -> dict[str, Any]:
    return dataset.get_data_info(index) | {'reference': dataset.get_data_info(reference)}


class _Untold(BaseTransform):
    """Draws from all generators behind mmcv's back."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        draw = np.random.rand() + torch.rand(()).item()
        return results | {'draw': draw}


class _Drop(BaseTransform):
    """Drops the frames of a number."""

    def __init__(self, frame_id: int) -> None:
        self.frame_id = frame_id

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        return None if results['frame_id'] == self.frame_id else results


class _CropByFrame(BaseTransform):
    """Decides by what the frame is."""

    def __init__(self, height: int, moves: int) -> None:
        self.height, self.moves = height, moves

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        number = results['frame_id']
        shift = np.eye(3)
        shift[0, 2] = -self.moves * number
        return results | {
            'img': results['img'][self.height * number :], 'homography_matrix': shift
        }  # fmt: skip


def test_ids_belong_to_boxes_and_masks(dataset) -> None:
    seen = 0
    for index in range(0, len(dataset), 3):
        info = dataset.get_data_info(index)
        info['ori_shape'] = info['height'], info['width']
        results = LoadVideoPanopticAnnotations().transform(info)
        ids = decode_id_png(Path(info['seg_map_path']).read_bytes(), 'map')
        assert results['gt_instances_ids'].dtype == np.int64
        for object_id, mask, box in zip(
            results['gt_instances_ids'], results['gt_masks'].masks, results['gt_bboxes'],
            strict=True,
        ):  # fmt: skip
            np.testing.assert_array_equal(mask > 0, ids == object_id)
            x, y, w, h = cv2.boundingRect(mask)
            assert box.tensor.tolist() == [[x, y, x + w, y + h]]
            seen += 1
    assert seen > 15


def test_the_png_of_a_reference_is_not_read(dataset) -> None:
    reference = dataset.get_data_info(1) | {'is_reference': True, 'seg_map_path': '/nowhere.png'}
    results = LoadVideoPanopticAnnotations().transform(reference)
    assert 'gt_masks' not in results and 'gt_seg_map' not in results
    assert len(results['gt_instances_ids']) == len(results['gt_bboxes']) > 0


def test_both_frames_are_augmented_alike(dataset) -> None:
    """A frame that is its own reference stays equal to it, to the pixel."""
    both = loading(*AUGMENTATIONS, _Untold())
    shapes, draws = set(), set()
    for seed in range(40):
        np.random.seed(seed)
        index = seed % len(dataset)
        pair = both(pair_of(dataset, index, index))
        reference = pair['reference']
        np.testing.assert_array_equal(pair['img'], reference['img'])
        np.testing.assert_array_equal(pair['gt_bboxes'].numpy(), reference['gt_bboxes'].numpy())
        np.testing.assert_array_equal(pair['gt_instances_ids'], reference['gt_instances_ids'])
        np.testing.assert_array_equal(pair['homography_matrix'], reference['homography_matrix'])
        assert pair['draw'] == reference['draw']
        assert len(pair['gt_masks']) == len(pair['gt_instances_ids'])
        shapes.add((pair['scale'], pair['flip'], tuple(pair['homography_matrix'][:2, 2])))
        draws.add(pair['draw'])
    assert len(shapes) > 30 and len(draws) == 40  # every pair has its own


@pytest.mark.parametrize(('height', 'moves'), [(3, 0), (0, 1)])
def test_frames_that_are_treated_differently_are_refused(dataset, height: int, moves: int) -> None:
    both = loading(_CropByFrame(height, moves))
    assert both(pair_of(dataset, 4, 4))
    with pytest.raises(ValueError, match=r'its reference .*must have one size, and transforms'):
        both(pair_of(dataset, 4, 5))


def test_pairs_keep_motion(dataset) -> None:
    """Another frame is another picture with the same objects in other places."""
    pair = loading()(pair_of(dataset, 0, 3))
    assert (pair['img'] != pair['reference']['img']).any()
    shared = set(pair['gt_instances_ids']) & set(pair['reference']['gt_instances_ids'])
    assert shared


def test_transforms_stay_fit_for_worker_processes(dataset) -> None:
    both = loading(*AUGMENTATIONS)
    both(pair_of(dataset, 0, 1))
    again = pickle.loads(pickle.dumps(both))
    np.random.seed(5)
    first = both(pair_of(dataset, 0, 1))
    np.random.seed(5)
    np.testing.assert_array_equal(again(pair_of(dataset, 0, 1))['img'], first['img'])


@pytest.mark.parametrize('dropped', [0, 1])
def test_a_pair_with_a_dropped_frame_is_dropped(dataset, dropped: int) -> None:
    both = loading(_Drop(dropped), *AUGMENTATIONS)
    assert both(pair_of(dataset, 0, 1)) is None
    assert both(pair_of(dataset, 2, 3)) is not None


def test_without_a_reference_it_is_a_sequence(dataset) -> None:
    results = loading(dict(type='mmdet.RandomFlip', prob=1.0))(dataset.get_data_info(0))
    assert results['flip'] and 'reference' not in results


def test_packed_pair(dataset) -> None:
    pair = loading(dict(type='mmdet.RandomFlip', prob=0.0))(pair_of(dataset, 2, 3))
    pair['gt_ignore_flags'][:1] = 1  # as if a crowd
    pair['reference']['gt_ignore_flags'][:1] = 1
    objects = [pair['gt_instances_ids'], pair['reference']['gt_instances_ids']]
    frames = pair['img'], pair['reference']['img']
    packed = PackVideoPanopticInputs().transform(pair)
    for name, frame in zip(('img', 'ref_img'), frames, strict=True):
        np.testing.assert_array_equal(packed['inputs'][name].permute(1, 2, 0).numpy(), frame)
    sample = packed['data_samples']
    assert sample.gt_instances.instances_ids.tolist() == objects[0][1:].tolist()
    assert sample.gt_instances.instances_ids.dtype == torch.int64
    assert sample.ignored_instances.instances_ids.tolist() == objects[0][:1].tolist()
    assert sample.ref_gt_instances.instances_ids.tolist() == objects[1][1:].tolist()
    assert set(sample.ref_gt_instances.keys()) == {'bboxes', 'labels', 'instances_ids'}
    assert sample.gt_sem_seg.sem_seg.shape == (1, *frames[0].shape[:2])
    assert (sample.video_id, sample.frame_id, sample.ref_frame_id) == (1, 2, 3)
    assert sample.ref_img_path.endswith('00003.jpg') and sample.video_length >= 6


def test_packed_frame_has_what_the_metric_needs(dataset) -> None:
    dataset.test_mode = True
    packed = PackVideoPanopticInputs().transform(loading()(dataset.get_data_info(4)))
    assert packed['inputs'].shape[0] == 3
    sample = packed['data_samples']
    assert {'video_id', 'frame_id', 'video_length', 'seg_map_path', 'segments_info', 'img_id',
            'ori_shape', 'img_shape'} <= set(sample.metainfo_keys())  # fmt: skip
    assert 'ref_gt_instances' not in sample and 'ref_frame_id' not in sample


def test_a_transform_that_forgets_ids_is_named(dataset) -> None:
    pair = loading()(pair_of(dataset, 0, 1))
    pair['gt_instances_ids'] = pair['gt_instances_ids'][1:]
    with pytest.raises(ValueError, match='drops boxes and does not know ids'):
        PackVideoPanopticInputs().transform(pair)


def test_the_demo_pipeline_feeds_the_model(video_root: Path) -> None:
    """A batch through the data loader's collation and the model's preprocessor."""
    from mmengine.dataset import pseudo_collate

    from mmext.registry import MODELS

    config = Config.fromfile(Path(__file__).parents[2] / 'configs/vpsnet_demo.py')
    part = config.train_dataloader.dataset
    part.data_root = str(video_root)
    dataset = DATASETS.build(part)
    batch = pseudo_collate([dataset[0], dataset[9]])
    preprocessor = MODELS.build(config.model.data_preprocessor)
    data = preprocessor(batch, training=True)
    img, ref_img = data['inputs']['img'], data['inputs']['ref_img']
    assert img.shape == ref_img.shape == (2, 3, *img.shape[2:])
    for sample in data['data_samples']:
        assert sample.gt_sem_seg.sem_seg.shape[1:] == img.shape[2:]
        assert isinstance(sample.ref_gt_instances.bboxes, torch.Tensor)
