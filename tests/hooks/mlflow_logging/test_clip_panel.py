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
