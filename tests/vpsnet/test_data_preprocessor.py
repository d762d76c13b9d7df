"""Pairs of frames are prepared as single ones are, and padded alike."""

import pytest
import torch
from mmdet.structures.bbox import HorizontalBoxes

from mmext.registry import MODELS

torch.set_num_threads(1)
NORMALISE = dict(mean=[10.0, 20.0, 30.0], std=[2.0, 4.0, 8.0], bgr_to_rgb=True)
PAD = dict(pad_size_divisor=32, pad_mask=True, pad_seg=True, seg_pad_value=255)


def build(**options):
    return MODELS.build(dict(type='mmext.VideoPairDataPreprocessor', **options))


def test_both_frames_are_normalised_and_padded_to_one_size(make_clip, make_pairs):
    tall, wide = make_clip(size_hw=(70, 40)), make_clip(size_hw=(30, 90), seed=1)
    batch = make_pairs(tall, [(0, 1)])
    other = make_pairs(wide, [(2, 1)])
    for part in ('img', 'ref_img'):
        batch['inputs'][part] += other['inputs'][part]
    batch['data_samples'] += other['data_samples']
    prepared = build(**NORMALISE, **PAD)(batch, training=True)
    assert {k: v.shape for k, v in prepared['inputs'].items()} == dict.fromkeys(
        ('img', 'ref_img'), (2, 3, 96, 96)
    )
    red = (tall.frames[1, 2].float() - 10) / 2  # loaded as BGR
    torch.testing.assert_close(prepared['inputs']['ref_img'][0, 0, :70, :40], red)
    assert (prepared['inputs']['img'][0, :, 70:] == 0).all()
    for sample, (height, width) in zip(prepared['data_samples'], ((70, 40), (30, 90)), strict=True):
        assert sample.gt_instances.masks.masks.shape[1:] == (96, 96)
        seg = sample.gt_sem_seg.sem_seg
        assert seg.shape == (1, 96, 96)
        assert (seg[:, height:] == 255).all() and (seg[:, :, width:] == 255).all()
        assert (seg[:, :height, :width] != 255).all()
        assert sample.batch_input_shape == (96, 96)


def test_single_frames_are_as_in_mmdet(make_clip):
    clip = make_clip(size_hw=(30, 40))
    data = dict(inputs=[clip.frames[0]], data_samples=[clip.samples[0].clone()])
    ours = build(**NORMALISE, **PAD)(data)
    host = MODELS.build(dict(type='mmdet.DetDataPreprocessor', **NORMALISE, **PAD))(data)
    assert torch.equal(ours['inputs'], host['inputs'])


def test_boxes_of_both_frames_become_tensors(make_clip, make_pairs):
    batch = make_pairs(make_clip(), [(0, 1)])
    (sample,) = batch['data_samples']
    for truth in (sample.gt_instances, sample.ref_gt_instances):
        truth.bboxes = HorizontalBoxes(truth.bboxes)
    (prepared,) = build(**PAD)(batch, training=True)['data_samples']
    assert type(prepared.gt_instances.bboxes) is torch.Tensor
    assert type(prepared.ref_gt_instances.bboxes) is torch.Tensor


def test_frames_of_two_sizes_are_refused():
    inputs = dict(img=[torch.zeros(3, 8, 8)], ref_img=[torch.zeros(3, 8, 9)])
    with pytest.raises(ValueError, match=r'ref_img: expected shape \(3, 8, 8\)'):
        build()(dict(inputs=inputs, data_samples=None))


def test_batch_augmentations_are_refused():
    resize = dict(type='mmdet.BatchSyncRandomResize', random_size_range=(1, 2))
    with pytest.raises(ValueError, match='batch_augments'):
        build(batch_augments=[resize])
