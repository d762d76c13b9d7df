"""Cascades and heads with tasks in parts: what they predict, and their ONNX files."""

import copy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmext.configuration import load_config
from mmext.formats.onnx_metadata import read_metadata
from mmext.inference.deployments import deployment_of, forget_weights
from mmext.inference.detector_export import TorchRunner, export_detector
from mmext.inference.onnx_detector import load_detector
from mmext.inference.parts_description import KEY
from mmext.layers.graph_writing import LARGEST_GAP, NEEDED
from mmext.registry import MODELS

SIZE = (64, 96)
WIDTH = 4
EXTRACTOR: dict[str, Any] = dict(
    type='mmext.SingleRoIExtractor',
    roi_layer=dict(type='RoIAlign', output_size=4, sampling_ratio=2),
    out_channels=WIDTH,
    featmap_strides=[4, 8],
)
TASKS: dict[str, Any] = dict(
    keypoints=dict(
        type='mmext.KeypointRCNNTask',
        num_points=3,
        roi_extractor=EXTRACTOR,
        in_channels=WIDTH,
        num_convs=1,
        conv_channels=WIDTH,
    ),
    densepose=dict(
        type='mmext.DensePoseTask',
        roi_extractor={**EXTRACTOR, 'featmap_strides': [4]},
        decoder=dict(
            type='mmext.PyramidDecoder', in_channels=WIDTH, channels=WIDTH, out_channels=WIDTH
        ),
        trunk=dict(type='mmext.SurfaceConvTrunk', in_channels=WIDTH, channels=WIDTH, num_convs=1),
        confidence='wc1',
    ),
)
FIELDS = {
    'cascade': {'bboxes', 'scores', 'labels', 'masks'},
    'tasks': {'bboxes', 'scores', 'labels', 'keypoints', 'keypoint_scores', 'surface'},
}


def detector(kind: str) -> tuple[Any, Config]:
    init_default_scope('mmdet')
    name = {
        'cascade': 'cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco',
        'tasks': 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco',
    }[kind]
    config = load_config(f'mmdet::{name}.py')
    model = config.model
    model.backbone.update(depth=18, init_cfg=None, base_channels=WIDTH, stem_channels=WIDTH)
    model.neck.update(in_channels=[4, 8, 16, 32], out_channels=WIDTH)
    model.rpn_head.update(in_channels=WIDTH, feat_channels=WIDTH)
    head = model.roi_head
    head.bbox_roi_extractor.out_channels = WIDTH
    narrow = dict(in_channels=WIDTH, num_classes=2, fc_out_channels=8)
    for box_head in head.bbox_head if kind == 'cascade' else [head.bbox_head]:
        box_head.update(narrow)
    if kind == 'cascade':
        head.mask_roi_extractor.out_channels = WIDTH
        head.mask_head.update(
            num_convs=1, in_channels=WIDTH, conv_out_channels=WIDTH, num_classes=2
        )
    else:
        head.update(type='mmext.TaskRoIHead', tasks=copy.deepcopy(TASKS))
    model.test_cfg.rcnn.update(score_thr=0.0, max_per_img=5)
    model.test_cfg.rpn.max_per_img = 20
    torch.manual_seed(0)
    return MODELS.build(model).eval(), config


def predicted(model: Any) -> Any:
    meta = dict(img_shape=SIZE, ori_shape=SIZE, batch_input_shape=SIZE, scale_factor=(1.0, 1.0))
    images = torch.randn(1, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return model.predict(images, [DetDataSample(metainfo=meta)])[0].pred_instances


def assert_alike(found: Any, wanted: Any, kind: str) -> None:
    """The same objects in the same order."""
    assert set(found.keys()) >= FIELDS[kind] and len(found) == len(wanted) > 2
    for name in FIELDS[kind] - {'surface'}:
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-4, atol=1e-4)
    if kind == 'tasks':
        assert [s.shape for s in found.surface] == [s.shape for s in wanted.surface]


@pytest.mark.parametrize('kind', FIELDS)
def test_a_detector_predicts_with_its_parts(kind: str) -> None:
    model, _ = detector(kind)
    wanted = predicted(model)
    deployment = deployment_of(model)
    with torch.no_grad():
        parts = deployment.network_parts(copy.deepcopy(model), SIZE, {})
    hollow = copy.deepcopy(model)
    deployment.use_parts(hollow, {name: TorchRunner(part) for name, part in parts.items()})
    forget_weights(hollow)
    assert_alike(predicted(hollow), wanted, kind)


@pytest.mark.skipif(not all(map(find_spec, NEEDED)), reason='needs the extra export')
@pytest.mark.parametrize('kind', FIELDS)
def test_onnx_files(kind: str, tmp_path: Path) -> None:
    model, config = detector(kind)
    file = tmp_path / 'a.onnx'
    gaps = export_detector(model, config, dict(classes=('a', 'b')), file)
    assert len(gaps) == {'cascade': 7, 'tasks': 4}[kind]
    assert max(gaps.values()) < LARGEST_GAP
    opened = load_detector(file, read_metadata(file)[KEY], None, 'onnxruntime', 'cpu', 'fp32')
    assert_alike(predicted(opened.model), predicted(model), kind)
