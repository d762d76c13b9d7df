"""Released models, by the lists of their keys: all is taken, and computes the same."""

from collections.abc import Callable
from pathlib import Path

import pytest
import released_yolact_network
import torch
from mmdet.models.detectors import BaseDetector
from mmdet.structures import DetDataSample
from mmengine.registry import init_default_scope
from torch import Tensor

from mmext.configuration import load_config
from mmext.errors import InputError
from mmext.inference.checkpoint_systems import SYSTEMS, build_without_values, differences
from mmext.registry import MODELS
from mmext.yolact_edge.box_head import per_anchor
from mmext.yolact_edge.checkpoint_keys import background_last, convert

CONFIGS = Path(__file__).parents[2] / 'configs'
MODEL_OF = {
    'r101': 'yolact_edge.py',
    'r50': 'yolact_edge/yolact-edge_r50_coco.py',
    'mobilenetv2': 'yolact_edge/yolact-edge_mobilenetv2_coco.py',
}
BLOCKS_OF_R50 = 6  # of stage 2, which has 23 in ResNet-101
Shapes = dict[str, tuple[int, ...]]
Read = Callable[[str], Shapes]


def shapes_of(name: str, read: Read) -> Shapes:
    if name != 'r50':
        return read(f'yolact-edge_{name}')
    return {
        key: shape
        for key, shape in read('yolact-edge_r101').items()
        if not key.startswith('backbone.layers.2.') or int(key.split('.')[3]) < BLOCKS_OF_R50
    }


@pytest.fixture(scope='module', params=MODEL_OF)
def networks(request: pytest.FixtureRequest, released_shapes: Read):
    """Weights under their names, and our model with them."""
    source = released_yolact_network.fill(shapes_of(request.param, released_shapes))
    temper(source)
    init_default_scope('mmdet')
    with torch.device('meta'):
        model = MODELS.build(load_config(str(CONFIGS / MODEL_OF[request.param])).model)
    model.load_state_dict(convert(source).state, strict=True, assign=True)
    return source, model.eval()


def temper(source: dict[str, Tensor]) -> None:
    """Make scores that differ from each other and boxes that lie about their anchors, in place."""
    with torch.no_grad():
        outputs = released_yolact_network.heads(source, features(source, torch.randn(1, 3, 64, 64)))
    for kind, spread in (('conf', 2.0), ('bbox', 1.0), ('mask', 1.0)):
        values = outputs[kind].atanh() if kind == 'mask' else outputs[kind]
        values = values[values.isfinite()]
        for part in ('weight', 'bias'):
            source[f'prediction_layers.0.{kind}_layer.{part}'] *= spread / values.std()


def assert_alike(ours: Tensor, theirs: Tensor) -> None:
    assert theirs.std() > 1e-3
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4 * max(float(theirs.abs().max()), 1))


def features(source: dict[str, Tensor], images: Tensor) -> list[Tensor]:
    backbone = released_yolact_network.resnet
    if 'backbone.layers.0.0.weight' in source:
        backbone = released_yolact_network.mobilenet
    return released_yolact_network.pyramid(source, backbone(source, images))


def test_the_image_model(networks: tuple[dict[str, Tensor], BaseDetector]) -> None:
    """Features, heads, detections and masks of a picture of 97 x 97."""
    source, model = networks
    torch.manual_seed(0)
    images = torch.randn(1, 3, 97, 97)
    with torch.no_grad():
        levels = features(source, images)
        for ours, theirs in zip(model.extract_feat(images), levels, strict=True):
            assert_alike(ours, theirs)
        outputs = released_yolact_network.heads(source, levels)
        maps = released_yolact_network.prototypes(source, levels[0])
        cls_scores, bbox_preds, coeff_preds, prototypes = model(images, mode='tensor')
        assert_alike(per_anchor(cls_scores, 81)[0].roll(1, 1), outputs['conf'])
        assert_alike(per_anchor(bbox_preds, 4)[0], outputs['bbox'])
        assert_alike(per_anchor(coeff_preds, 32)[0], outputs['mask'])
        assert_alike(prototypes[0].permute(1, 2, 0), maps)
        meta = dict(img_shape=(97, 97), ori_shape=(90, 171), scale_factor=(97 / 171, 97 / 90))
        (sample,) = model.predict(images, [DetDataSample(metainfo=meta)])
    sizes = [tuple(level.shape[2:]) for level in levels]
    theirs = released_yolact_network.detect(outputs, sizes, 97)
    assert_same_detections(sample.pred_instances, theirs, maps)


def assert_same_detections(ours, theirs, maps: Tensor) -> None:
    """Equal scores may change places: each of ours has one of theirs, but for the last ones."""
    assert len(theirs) == len(ours) > 20
    scale = torch.tensor([171.0, 90, 171, 90])
    left = list(theirs)
    for box, score, label, mask in zip(
        ours.bboxes, ours.scores.tolist(), ours.labels.tolist(), ours.masks, strict=True
    ):
        wanted = [
            item
            for item in left
            if item[1] == label
            and abs(item[0] - score) < 1e-4
            and (clipped(item[2]) * scale - box).abs().max() < 1e-2
        ]
        if not wanted:
            assert score - theirs[-1][0] < 1e-5  # cut at 100
            continue
        left.remove(wanted[0])
        probabilities = released_yolact_network.mask_probabilities(
            maps, wanted[0][3], wanted[0][2], (90, 171)
        )
        clear = (probabilities - 0.5).abs() > 1e-3
        assert ((probabilities > 0.5) != mask)[clear].float().mean() < 1e-3
    assert len(left) <= 2


def clipped(box: list[float]) -> Tensor:
    return torch.tensor(box).clamp(0, 1)


def test_the_training_branch(networks: tuple[dict[str, Tensor], BaseDetector]) -> None:
    source, model = networks
    level = torch.randn(1, 256, 18, 18)
    with torch.no_grad():
        ours = model.mask_head.segm_branch(level)
    assert_alike(ours, released_yolact_network.convolve(source, 'semantic_seg_conv', level))


@pytest.mark.parametrize('name', MODEL_OF)
def test_every_key_is_accounted_for(name: str, released_shapes: Read) -> None:
    shapes = shapes_of(name, released_shapes)
    converted = convert({key: torch.empty(s, device='meta') for key, s in shapes.items()})
    assert MODEL_OF[name] in SYSTEMS['yolact-edge'].configs
    model = build_without_values(load_config(str(CONFIGS / MODEL_OF[name])))
    assert differences(converted.state, model) == []
    assert len(converted.state) + len(converted.dropped) == len(shapes)
    assert len(converted.dropped) == (24 if name == 'mobilenetv2' else 0)


def test_plain_yolact_has_another_pyramid(released_shapes: Read) -> None:
    """And older files of it the stages twice."""
    source = released_yolact_network.fill(shapes_of('r50', released_shapes))
    plain = {
        key.replace('fpn_phase_1', 'fpn').replace('fpn_phase_2', 'fpn'): value
        for key, value in source.items()
    }
    twice = {f'backbone.layer{n}.0.conv1.weight': torch.ones(1) for n in (1, 2)}
    converted = convert(plain | twice)
    assert converted.dropped.keys() == twice.keys()
    wanted = convert(source).state
    assert converted.state.keys() == wanted.keys()
    assert all(value.equal(wanted[key]) for key, value in converted.state.items())


def test_background_moves_behind_the_classes_of_each_anchor() -> None:
    rows = torch.arange(9)  # three anchors of background and two classes
    assert background_last(rows).tolist() == [1, 2, 0, 4, 5, 3, 7, 8, 6]
    with pytest.raises(InputError, match='rows of 3 anchors, got 10 rows'):
        background_last(torch.zeros(10))


def test_strangers_and_gaps_are_named(released_shapes: Read) -> None:
    shapes = shapes_of('r101', released_shapes)
    source = {key: torch.empty(shape, device='meta') for key, shape in shapes.items()}
    flow = {'flow_net.pred1.conv.weight': torch.zeros(1)}
    with pytest.raises(ValueError, match=r'1 of 661 keys are unknown: flow_net\.pred1'):
        convert(source | flow)
    del source['prediction_layers.0.conf_layer.bias']
    with pytest.raises(ValueError, match=r'bbox_head\.conv_cls\.bias'):
        convert(source)
