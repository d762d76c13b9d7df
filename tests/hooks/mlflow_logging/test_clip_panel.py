"""Clips: which frames are taken, with ids of truth and prediction."""

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData, PixelData

from mmext.drawing.panels import Classes
from mmext.hooks.mlflow_logging.content.panel_collector import PanelCollector

CLASSES = Classes([''] * 10)
SIZE = (32, 48)


def sample(video_id, frame_id, length, truth=True):
    """An object, id 7 in the truth and 3 in the prediction, that moves over stuff 5."""
    column = 4 * frame_id
    made = DetDataSample(
        metainfo=dict(
            video_id=video_id, frame_id=frame_id, video_length=length, ori_shape=SIZE,
            img_shape=SIZE, img_path=f'{video_id}/{frame_id}.png',
        )
    )  # fmt: skip
    ids = torch.full(SIZE, 5)
    ids[8:16, column : column + 8] = 3001
    made.pred_panoptic_seg = PixelData(sem_seg=ids[None])
    if truth:
        mask = np.zeros((1, *SIZE), np.uint8)
        mask[0, 8:16, column : column + 8] = 1
        labels = torch.full(SIZE, 5)
        labels[8:16, column : column + 8] = 1
        made.gt_sem_seg = PixelData(sem_seg=labels[None])
        made.gt_instances = InstanceData(
            bboxes=torch.tensor([[column, 8, column + 8, 16]]),
            labels=torch.tensor([1]),
            masks=BitmapMasks(mask, *SIZE),
            instances_ids=torch.tensor([7]),
        )
    return made


def panels(samples, count=1, batch_size=1):
    collector = PanelCollector(count, len(samples), batch_size)
    found = []
    for start in range(0, len(samples), batch_size):
        part = samples[start : start + batch_size]
        inputs = [torch.zeros(3, *SIZE, dtype=torch.uint8) for _ in part]
        found += collector.collect(start // batch_size, dict(inputs=inputs), part)
    return [panel for panel in found if panel.name.startswith('clip_')]


@pytest.mark.parametrize('batch_size', [1, 4])
@pytest.mark.parametrize(
    ('length', 'columns'), [(1, [0]), (4, [0, 1, 2, 3]), (11, [0, 2, 4, 6, 8, 10])]
)
def test_frames_are_spread_over_the_first_video(length, columns, batch_size):
    samples = [sample('a', i, length) for i in range(length)]
    samples += [sample('b', i, 3) for i in range(3)]
    (clip,) = panels(samples, batch_size=batch_size)
    assert clip.name == 'clip_a'
    left = [int(np.nonzero((frame.ids == 3001).any(0))[0][0]) // 4 for frame in clip.frames]
    assert left == columns
    assert all(
        (frame.truth_ids == 7001).sum() == (frame.ids == 3001).sum() for frame in clip.frames
    )


def test_pictures_that_are_no_video_give_no_clip():
    still = [sample('a', 0, 1) for _ in range(3)]
    for one in still:
        del one.video_id
    assert panels(still) == []
    assert panels([sample('a', i, 3) for i in range(3)], count=0) == []


def test_records_are_an_image_of_the_evaluation():
    (clip,) = panels([sample('a', i, 3) for i in range(3)])
    names = [str(record) for record in clip.records('val', 40, CLASSES)]
    assert any('val~clip_a+step+40' in name for name in names)


def test_instances_with_numbers_are_a_clip():
    """Drawn in the color of their number, which no other frame gives to another object."""
    samples = [sample('a', i, 3) for i in range(3)]
    for i, one in enumerate(samples):
        del one.pred_panoptic_seg, one.gt_sem_seg
        mask = torch.zeros(2, *SIZE, dtype=torch.bool)
        mask[0, 8:16, 4 * i : 4 * i + 8] = mask[1, 20:28, 30:40] = True
        order = [1, 0] if i == 1 else [0, 1]  # whoever has the better score comes first
        one.pred_instances = InstanceData(
            bboxes=torch.tensor([[4.0 * i, 8, 4 * i + 8, 16], [30, 20, 40, 28]])[order],
            labels=torch.tensor([1, 1]),
            scores=torch.tensor([0.9, 0.8]),
            masks=mask[order],
            instances_ids=torch.tensor([3, 1])[order],
        )
    (clip,) = panels(samples)
    list(clip.records('val', 40, CLASSES, first=True))
    height, width = clip.drawn.shape[0] // 2, clip.drawn.shape[1] // 3
    assert clip.drawn.shape[2] == 3 and height > 0
    scale = width / SIZE[1]
    middles = [clip.drawn[int(height + 25 * scale), int(i * width + 36 * scale)] for i in range(3)]
    assert (middles[0] == middles[1]).all() and (middles[0] == middles[2]).all()
