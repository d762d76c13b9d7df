"""One object has one color wherever it is painted: infer, test, MLflow's panels and clips."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData, PixelData

from mmext.drawing.colors import shade
from mmext.drawing.panels import Classes, Frame, draw_clip, draw_panel
from mmext.hooks.mlflow_logging.content.panel_collector import predicted_scene, truth_scene
from mmext.inference.drawing_hook import DrawPredictionsHook
from mmext.inference.prediction import draw_prediction

SIDE = 240  # of a frame in a clip: nothing is scaled
META = {'classes': ('car', 'sky'), 'palette': [(200, 40, 40), (40, 40, 200)]}
CLASSES = Classes.of(META)
PHOTO = np.full((SIDE, SIDE, 3), 100, np.uint8)
# (row, column) of a pixel without name and border -> class, number
SPOTS = {(20, 20): (1, 0), (110, 20): (0, 1), (110, 220): (0, 2)}


def panoptic_sample(path: Path) -> Any:
    """Two cars below the sky, as predicted and as labeled."""
    ids = np.full((SIDE, SIDE), 1)
    ids[100:, :120], ids[100:, 120:] = 1000, 2000
    sample = DetDataSample(
        metainfo=dict(img_id=1, img_path=str(path), ori_shape=ids.shape, img_shape=ids.shape)
    )
    sample.pred_panoptic_seg = PixelData(sem_seg=torch.tensor(ids)[None])
    sample.gt_sem_seg = PixelData(sem_seg=torch.tensor(ids % 1000)[None])
    masks = BitmapMasks(np.stack([ids == 1000, ids == 2000]).astype(np.uint8), SIDE, SIDE)
    sample.gt_instances = InstanceData(
        labels=torch.tensor([0, 0]), masks=masks, bboxes=torch.zeros(2, 4)
    )
    return sample


def drawn_by_test(sample: Any, folder: Path) -> np.ndarray:
    """The right half of what test.py writes."""
    hook = DrawPredictionsHook(folder, 0.3, lambda path: PHOTO)
    loader = SimpleNamespace(dataset=SimpleNamespace(metainfo=META))
    hook.after_test_iter(SimpleNamespace(test_dataloader=loader), 0, None, [sample])
    (file,) = folder.iterdir()
    return cv2.imread(str(file))[:, -SIDE:, ::-1]


def test_segments(tmp_path: Path) -> None:
    sample = panoptic_sample(tmp_path / 'a.jpg')
    truth, found = (scene(sample, (SIDE, SIDE)) for scene in (truth_scene, predicted_scene))
    clip = draw_clip([Frame(PHOTO, truth.panoptic_map, found.panoptic_map)], CLASSES)
    panel = draw_panel(PHOTO, truth, found, CLASSES)
    # the title of a panel is above; a panel of this size is magnified by two
    panel = panel[-2 * SIDE :: 2, ::2]
    ways = {
        'infer': draw_prediction(PHOTO, sample, META, 0.3),
        'clip, truth': clip[:SIDE],
        'clip': clip[-SIDE:],
        'panel, truth': panel[:, :SIDE],
        'panel': panel[:, -SIDE:],
        'test': drawn_by_test(sample, tmp_path / 'out'),
    }
    for way, picture in ways.items():
        for (row, column), (label, number) in SPOTS.items():
            expected = 0.45 * 100 + 0.55 * np.array(shade(META['palette'][label], number))
            off = 3 if way == 'test' else 1  # a JPEG
            assert picture[row, column] == pytest.approx(expected, abs=off), way


def test_boxes_whatever_the_threshold_and_the_order(tmp_path: Path) -> None:
    """Infer and panel show different numbers of objects; each has its color in both."""
    boxes = torch.tensor([[20.0, 40, 100, 100], [20, 140, 100, 220], [140, 140, 220, 220]])
    sample = DetDataSample(metainfo=dict(img_id=1, img_path='a.jpg'))
    sample.pred_instances = InstanceData(
        bboxes=boxes, labels=torch.tensor([0, 0, 1]), scores=torch.tensor([0.4, 0.9, 0.8])
    )
    panel = draw_panel(PHOTO, None, predicted_scene(sample, (SIDE, SIDE)), CLASSES)[-2 * SIDE :]
    for threshold in (0.3, 0.5):
        drawn = draw_prediction(PHOTO, sample, META, threshold)
        shown = [0, 1, 2] if threshold == 0.3 else [1, 2]
        expected = {0: (0, 1), 1: (0, 0), 2: (1, 0)}
        for index in shown:
            label, number = expected[index]
            color = shade(META['palette'][label], number)
            x, y = int(boxes[index, 2]), int(boxes[index, 3]) - 20  # on the right edge
            assert tuple(drawn[y, x]) == color and tuple(panel[2 * y, 2 * x]) == color
