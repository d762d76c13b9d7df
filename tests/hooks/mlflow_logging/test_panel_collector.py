"""From mmdet's data samples to scenes; and a real, tiny mmdet detector with its panels."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.structures import InstanceData, PixelData
from torch.utils.data import Dataset

from mmext.drawing.panels import Classes, draw_panel
from mmext.hooks.mlflow_logging.content.panel_collector import (
    PanelCollector,
    predicted_scene,
    truth_is_resized,
    truth_scene,
)

SIDE = 64


@pytest.fixture(scope='module')
def sample_type() -> Any:
    from mmdet.structures import DetDataSample

    return DetDataSample


def test_only_sure_objects_are_shown(sample_type: Any) -> None:
    sample = sample_type()
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor([[0.0, 0, 4, 4], [1, 1, 5, 5], [2, 2, 6, 6]]),
        labels=torch.tensor([0, 1, 2]),
        scores=torch.tensor([0.5, 0.1, 0.9]),
        masks=torch.ones(3, 8, 8, dtype=torch.bool),
        keypoints=torch.arange(18.0).reshape(3, 3, 2),
    )
    scene = predicted_scene(sample, (8, 8))
    assert scene.labels.tolist() == [2, 0]
    assert scene.boxes_xyxy is not None and scene.boxes_xyxy.tolist()[0] == [2, 2, 6, 6]
    assert scene.masks is not None and scene.masks.shape == (2, 8, 8)
    assert scene.fields['keypoints'][0].tolist() == [
        [12, 13], [14, 15], [16, 17],
    ]  # fmt: skip
    assert len(sample.pred_instances) == 3, 'the sample itself is left alone'


def test_surfaces_of_persons_are_shown(sample_type: Any) -> None:
    sample = sample_type()
    surface = np.full((3, 4, 3), 7, np.uint8)
    surface[1:] = 128
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor([[1.0, 2, 4, 6], [0, 0, 3, 4]]),
        labels=torch.tensor([0, 0]),
        scores=torch.tensor([0.9, 0.1]),
        surface=[surface, surface],
        surface_boxes=torch.tensor([[1, 2, 3, 4], [0, 0, 3, 4]]),
    )
    scene = predicted_scene(sample, (8, 8))
    assert scene.surface is not None
    assert np.argwhere(scene.surface.part).min(0).tolist() == [2, 1]
    assert (scene.surface.part > 0).sum() == 12  # of the sure one
    drawn = draw_panel(np.zeros((8, 8, 3), np.uint8), None, scene, Classes(['person']))
    assert drawn.any()


def test_panoptic_prediction_and_truth(sample_type: Any) -> None:
    sample = sample_type()
    ids = torch.tensor([[[0, 1000, 2001, 5]]])
    sample.pred_panoptic_seg = PixelData(sem_seg=ids)
    scene = predicted_scene(sample, (1, 4))
    assert scene.panoptic_map is not None and scene.panoptic_map.tolist() == [[0, 1000, 2001, 5]]

    masks = np.zeros((2, 1, 4), bool)
    masks[0, 0, 0] = masks[1, 0, 1] = True
    sample.gt_instances = InstanceData(labels=torch.tensor([0, 0]), masks=masks)
    sample.gt_sem_seg = PixelData(sem_seg=torch.tensor([[[0, 0, 3, 255]]]))
    truth = truth_scene(sample, (1, 4))
    assert truth is not None and truth.panoptic_map is not None
    assert truth.panoptic_map.tolist() == [[1000, 2000, 3, 255]]
    assert truth_scene(sample_type(), (1, 4)) is None


def test_unlabelled_points_are_not_drawn(sample_type: Any) -> None:
    sample = sample_type()
    points = torch.tensor([[[1.0, 2.0, 2.0], [0.0, 0.0, 0.0]]])
    sample.gt_instances = InstanceData(labels=torch.tensor([0]), keypoints=points)
    scene = truth_scene(sample, (8, 8))
    assert scene is not None
    found = scene.fields['keypoints']
    assert np.isnan(found[0, 1]).all() and found[0, 0].tolist() == [1, 2]
    # faces and poses of ours have the visibility in a field of its own
    sample.gt_instances.keypoints = points[..., :2]
    sample.gt_instances.keypoints_visible = points[..., 2]
    again = truth_scene(sample, (8, 8))
    assert again is not None
    np.testing.assert_array_equal(again.fields['keypoints'], found)


def test_the_same_images_are_picked_every_time(sample_type: Any) -> None:
    sample = sample_type(metainfo={'img_path': 'x.jpg', 'ori_shape': (8, 8), 'img_shape': (8, 8)})
    picked = []
    for _ in range(2):
        collector = PanelCollector(3, length=10, batch_size=4)
        for index, size in enumerate((4, 4, 2)):
            batch = {'inputs': [torch.zeros(3, 8, 8)] * size}
            found = len(collector.collect(index, batch, [sample] * size))
            picked.append((index, found))
    assert picked == [(0, 2), (1, 1), (2, 0)] * 2
    assert PanelCollector(3, 10, 4).collect(0, (torch.zeros(4), 0), [0] * 4) == []
    assert PanelCollector(0, 10, 4).collect(0, {'inputs': []}, [0] * 4) == []


def test_frame_of_the_truth_follows_the_pipeline() -> None:
    class Resize: ...

    class LoadAnnotations: ...

    class Pipeline:
        def __init__(self, *transforms: Any) -> None:
            self.transforms = transforms
            self.pipeline = self

    assert truth_is_resized(Pipeline(LoadAnnotations(), Resize()))
    assert not truth_is_resized(Pipeline(Resize(), LoadAnnotations()))
    assert not truth_is_resized(object())


class _Squares(Dataset):
    metainfo = {'classes': ('square', 'disc')}

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        from mmdet.structures import DetDataSample
        from mmdet.structures.bbox import HorizontalBoxes

        image = torch.zeros(3, SIDE, SIDE, dtype=torch.uint8)
        image[:, 8:40, 8:40] = 60 * index + 60
        shape = (SIDE, SIDE)
        sample = DetDataSample(
            metainfo={
                'img_path': f'images/{index}.jpg', 'img_id': index, 'ori_shape': shape,
                'img_shape': shape, 'scale_factor': (1.0, 1.0), 'batch_input_shape': shape,
                'pad_shape': shape,
            }
        )  # fmt: skip
        boxes = HorizontalBoxes(torch.tensor([[8.0, 8, 40, 40]]))
        sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.tensor([0]))
        return {'inputs': image, 'data_samples': sample}


class _Count(BaseMetric):
    default_prefix = 'det'

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results += [len(sample['pred_instances']['labels']) for sample in data_samples]

    def compute_metrics(self, results: list) -> dict:
        return {'found': float(sum(results)), 'square_precision': 0.5}


def _retinanet() -> dict[str, Any]:
    return {
        'type': 'mmdet.RetinaNet',
        'data_preprocessor': {'type': 'mmdet.DetDataPreprocessor', 'pad_size_divisor': 32},
        'backbone': {
            'type': 'mmdet.ResNet', 'depth': 18, 'base_channels': 8, 'init_cfg': None,
        },
        'neck': {
            'type': 'mmdet.FPN', 'in_channels': [8, 16, 32, 64], 'out_channels': 16,
            'start_level': 1, 'num_outs': 3,
        },
        'bbox_head': {
            'type': 'mmdet.RetinaHead', 'num_classes': 2, 'in_channels': 16, 'feat_channels': 16,
            'stacked_convs': 1,
            'anchor_generator': {
                'type': 'mmdet.AnchorGenerator', 'scales': [4], 'ratios': [1.0],
                'strides': [8, 16, 32],
            },
            'bbox_coder': {'type': 'mmdet.DeltaXYWHBBoxCoder'},
            'loss_cls': {'type': 'mmdet.FocalLoss', 'use_sigmoid': True},
            'loss_bbox': {'type': 'mmdet.L1Loss'},
        },
        'train_cfg': {
            'assigner': {
                'type': 'mmdet.MaxIoUAssigner', 'pos_iou_thr': 0.5, 'neg_iou_thr': 0.4,
                'min_pos_iou': 0,
            },
            'allowed_border': -1, 'pos_weight': -1, 'debug': False,
        },
        'test_cfg': {
            'nms_pre': 100, 'score_thr': 0.0, 'nms': {'type': 'nms', 'iou_threshold': 0.5},
            'max_per_img': 5,
        },
    }  # fmt: skip


def test_a_detector_gets_its_panels(
    tiny: ModuleType, work_dir: Path, logged: Any, tmp_path: Path
) -> None:
    loader = {
        'batch_size': 2,
        'num_workers': 0,
        'dataset': _Squares(),
        'sampler': {'type': 'DefaultSampler', 'shuffle': False},
        'collate_fn': {'type': 'pseudo_collate'},
    }
    runner = tiny.make_runner(
        work_dir,
        model=ConfigDict(_retinanet()),
        epochs=2,
        hook={'images': 2, 'checkpoints': 'none'},
        default_scope='mmdet',
        train_dataloader=loader,
        val_dataloader=loader,
        test_dataloader=loader,
        val_evaluator=Evaluator(_Count()),
        test_evaluator=Evaluator(_Count()),
        saving={},
    )
    runner.train()

    assert logged.only_run().info.status == 'FINISHED'
    assert logged.steps('train/loss_cls') == [1, 2, 3, 4]
    panels = sorted(path for path in logged.artifacts('images') if path.endswith('.png'))
    steps = [f'images/val~{image}+step+{step}' for image in (0, 2) for step in (0, 2, 4)]
    assert [path.split('+timestamp')[0] for path in panels] == steps
    picture = cv2.imdecode(
        np.frombuffer(logged.read(panels[1], tmp_path), np.uint8), cv2.IMREAD_COLOR
    )
    assert logged.artifacts('panels') == ['panels/val_000002.jpg', 'panels/val_000004.jpg']
    sheet = cv2.imdecode(
        np.frombuffer(logged.read('panels/val_000002.jpg', tmp_path), np.uint8), cv2.IMREAD_COLOR
    )
    drawn = 4 * SIDE  # small pictures are magnified
    assert sheet.shape == (2 * (drawn + drawn // 14 + 4), 2 * drawn + 4, 3)
    assert np.abs(sheet[: drawn + drawn // 14].astype(int) - picture).mean() < 5
    assert picture.shape == (drawn + drawn // 14, 2 * drawn + 4, 3)
    truth = picture[drawn // 14 :, :drawn]
    assert (truth[160, 48:120] != truth[176, 48:120]).any(), 'the true box is drawn'


def test_frames_of_one_name_in_two_videos_are_two_pictures(sample_type: Any) -> None:
    """One key for both would show one of them, at every step."""
    samples = []
    for video in 'ab':
        sample = sample_type(metainfo={'img_path': f'{video}/00001.jpg', 'ori_shape': (8, 8)})
        sample.pred_instances = InstanceData(labels=torch.zeros(0, dtype=torch.long))
        samples.append(sample)
    batch = {'inputs': [torch.zeros(3, 8, 8, dtype=torch.uint8)] * 2}
    for _ in range(2):  # evaluations
        panels = PanelCollector(2, 2, 2).collect(0, batch, samples)
        assert [panel.name for panel in panels] == ['00001', '00001_1']
