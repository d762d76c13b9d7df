"""Clips: which frames are taken, one colour per object, truth above prediction."""

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData, PixelData

from mmext.drawing.panels import Classes
from mmext.hooks.mlflow_logging.content.clip_panel import Frame, colour_of_id, draw_clip
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


def test_an_object_has_one_colour_in_all_frames_and_rows_are_truth_and_prediction():
    frames = []
    for i in range(3):
        truth, ids = np.full(SIZE, 5), np.full(SIZE, 5)
        truth[8:16, 4 * i : 4 * i + 8], ids[8:16, 4 * i : 4 * i + 8] = 7001, 3001
        frames.append(Frame(np.zeros((*SIZE, 3), np.uint8), truth, ids))
    drawn = draw_clip(frames, CLASSES)
    assert drawn.shape == (2 * 160 + 4, 3 * 240 + 2 * 4, 3)
    for row, panoptic_id in ((0, 7001), (164, 3001)):
        for i in range(3):
            pixel = drawn[row + 60, 244 * i + 20 * i + 20]
            assert np.abs(pixel - 0.6 * np.array(colour_of_id(panoptic_id))).max() <= 1
    assert colour_of_id(7001) != colour_of_id(3001)
    assert colour_of_id(1, [(1, 2, 3)] * 2) == (1, 2, 3) != colour_of_id(7001, [(1, 2, 3)] * 2)


def test_void_is_uncoloured_and_without_truth_there_is_one_row():
    picture = np.full((*SIZE, 3), 100, np.uint8)
    drawn = draw_clip([Frame(picture, None, np.full(SIZE, 10))], CLASSES)
    assert drawn.shape == (160, 240, 3)
    assert (drawn == 100).all()


def test_records_are_an_image_of_the_evaluation():
    (clip,) = panels([sample('a', i, 3) for i in range(3)])
    names = [str(record) for record in clip.records('val', 40, CLASSES)]
    assert any('val~clip_a+step+40' in name for name in names)
