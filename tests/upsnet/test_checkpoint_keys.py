"""Released models, by the lists of their keys: all is taken, and computes the same."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmdet.models.detectors import BaseDetector
from mmengine.config import Config
from mmengine.registry import init_default_scope
from released_network import (
    backbone,
    box_branch,
    fill,
    mask_branch,
    proposals,
    pyramid,
    semantic,
)
from torch import Tensor

from mmext.registry import DATASETS, MODELS
from mmext.upsnet.checkpoint_keys import convert

CONFIGS = Path(__file__).parents[2] / 'configs/upsnet'
NAMES = ['r50_coco', 'r101-dcn_coco', 'r50_cityscapes', 'r101_cityscapes']
# their train ids 0 to 18
CITYSCAPES = [
    *('road', 'sidewalk', 'building', 'wall', 'fence', 'pole', 'traffic light', 'traffic sign'),
    *('vegetation', 'terrain', 'sky'),
    *('person', 'rider', 'car', 'truck', 'bus', 'train', 'motorcycle', 'bicycle'),
]
Shapes = Callable[[str], dict[str, tuple[int, ...]]]


def released_config(name: str) -> Config:
    return Config.fromfile(CONFIGS / f'upsnet_{name}_released.py')


def load(config: Config, state: dict[str, Tensor]) -> BaseDetector:
    """The config's model at its real size, with these weights and no others."""
    init_default_scope('mmdet')
    with torch.device('meta'):
        model = MODELS.build(config.model)
    model.load_state_dict(state, strict=True, assign=True)
    return model.eval()


def assert_alike(ours: Tensor, theirs: Tensor) -> None:
    assert theirs.std() > 1e-3
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))


@pytest.fixture(scope='module', params=NAMES)
def networks(request: pytest.FixtureRequest, released_shapes: Shapes):
    """Weights under their names, our model with them, and its class table."""
    torch.manual_seed(0)
    source = fill(released_shapes(f'upsnet_{request.param}'))
    config = released_config(request.param)
    converted = convert(source)
    assert not converted.dropped and len(converted.state) == len(source)
    meta = DATASETS.get(config.train_dataloader.dataset.type).METAINFO
    return source, load(config, converted.state), meta


def test_features_and_proposals(networks: tuple) -> None:
    source, model, _ = networks
    images = torch.randn(2, 3, 96, 128)
    with torch.no_grad():
        stages = backbone(source, images)
        levels = pyramid(source, stages)
        for ours, theirs in zip(model.backbone(images), stages, strict=True):
            assert_alike(ours, theirs)
        for ours, theirs in zip(model.neck(stages), levels, strict=True):
            assert_alike(ours, theirs)
        scores, deltas = model.rpn_head(levels)
        for level, (their_scores, their_deltas) in enumerate(proposals(source, levels)):
            assert_alike(scores[level], their_scores)
            assert_alike(deltas[level], their_deltas)


def test_branches_class_by_class(networks: tuple) -> None:
    source, model, meta = networks
    theirs = ['background', *meta['thing_classes']]
    boxes, masks = torch.randn(5, 256, 7, 7), torch.randn(3, 256, 14, 14)
    with torch.no_grad():
        logits, deltas = box_branch(source, boxes)
        our_logits, our_deltas = model.roi_head.bbox_head(boxes)
        mask_logits, our_masks = mask_branch(source, masks), model.roi_head.mask_head(masks)
    assert our_logits.shape[1] == len(theirs) == logits.shape[1]
    assert_alike(our_logits[:, -1], logits[:, 0])  # background
    for label, name in enumerate(meta['thing_classes']):
        row = theirs.index(name)
        assert_alike(our_logits[:, label], logits[:, row])
        assert_alike(our_deltas[:, 4 * label : 4 * label + 4], deltas[:, row])
        assert_alike(our_masks[:, label], mask_logits[:, row])


def test_semantic_logits_class_by_class(networks: tuple) -> None:
    source, model, meta = networks
    theirs = [*meta['stuff_classes'], *meta['thing_classes']]
    levels = [torch.randn(1, 256, 32 >> i, 48 >> i) for i in range(5)]
    with torch.no_grad():
        logits, ours = semantic(source, levels), model.semantic_head(levels)
    assert ours.shape[1] == len(theirs) == logits.shape[1]
    for label, name in enumerate(meta['classes']):
        assert_alike(ours[:, label], logits[:, theirs.index(name)])


def test_the_class_tables_are_those_of_the_release() -> None:
    coco = DATASETS.get('mmext.CocoPanopticDataset').METAINFO
    assert (len(coco['stuff_classes']), len(coco['thing_classes'])) == (53, 80)
    assert (coco['stuff_classes'][0], coco['thing_classes'][0]) == ('banner', 'person')
    assert (coco['stuff_classes'][-1], coco['thing_classes'][-1]) == ('rug-merged', 'toothbrush')
    streets = DATASETS.get('mmext.CityscapesPanopticDataset').METAINFO
    assert [*streets['stuff_classes'], *streets['thing_classes']] == CITYSCAPES


@pytest.mark.parametrize('name', NAMES)
def test_settings_of_the_release(name: str) -> None:
    config = released_config(name)
    assert '_base_' not in config.pretty_text and 'BASE' not in config.pretty_text
    model, coco = config.model, name.endswith('coco')
    assert model.data_preprocessor.mean == [102.9801, 115.9465, 122.7717]
    assert model.data_preprocessor.std == [1.0, 1.0, 1.0]
    assert not model.data_preprocessor.bgr_to_rgb
    panoptic, boxes, rpn = model.test_cfg.panoptic, model.test_cfg.rcnn, model.test_cfg.rpn
    assert (panoptic.score_thr, panoptic.mask_overlap, panoptic.max_per_img) == (0.6, 0.3, 100)
    assert panoptic.nms == dict(type='nms', iou_threshold=0.5, class_agnostic=True)
    assert panoptic.stuff_area_limit == (4096 if coco else 2048)
    assert (boxes.score_thr, boxes.nms.iou_threshold, boxes.max_per_img) == (0.05, 0.5, 100)
    assert (rpn.nms_pre, rpn.max_per_img, rpn.nms.iou_threshold) == (1000, 1000, 0.7)
    (resize,) = [t for t in config.test_pipeline if t.type == 'Resize']
    assert tuple(resize.scale) == ((1333, 800) if coco else (2048, 1024))
    for extractor, size in (('bbox_roi_extractor', 7), ('mask_roi_extractor', 14)):
        layer = model.roi_head[extractor].roi_layer
        assert (layer.output_size, layer.sampling_ratio) == (size, 2)
        assert (layer.aligned, layer.inclusive_ends) == (False, True)


def test_strangers_and_gaps_are_named(released_shapes: Shapes) -> None:
    source = {
        key: torch.empty(shape, device='meta')
        for key, shape in released_shapes('upsnet_r50_coco').items()
    }
    with pytest.raises(ValueError, match='1 of 377 keys are unknown: whatever'):
        convert(source | {'whatever': torch.zeros(1)})
    del source['fcn_head.score.bias']
    with pytest.raises(ValueError, match=r'semantic_head\.conv_logits\.bias'):
        convert(source)
