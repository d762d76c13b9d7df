"""The triplet configurations: parse, build, train and predict at tiny size; the paper's numbers."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from tiny_triplets import make_sample

from mmext.demo.categories import METAINFO
from mmext.registry import HOOKS, METRICS, MODELS, TRANSFORMS

CONFIGS = Path(__file__).parents[2] / 'configs'
FILES = sorted(
    ['centernet_triplet_demo.py', *(f'centernet/{f.name}' for f in CONFIGS.glob('centernet/tri*'))]
)


@pytest.mark.parametrize('file', FILES)
def test_loss_and_prediction_at_tiny_size(file: str) -> None:
    config = Config.fromfile(CONFIGS / file)
    init_default_scope('mmdet')
    model_config = config.model
    model_config.backbone.update(
        downsample_times=2, stage_channels=[8, 8, 8], stage_blocks=[1, 1, 1], feat_channel=8
    )
    model_config.bbox_head.update(in_channels=8, pool_channels=4)
    torch.manual_seed(0)
    model = MODELS.build(model_config)
    model.init_weights()
    assert len(model.bbox_head.stacks) == model.backbone.num_stacks
    images, samples = (
        torch.randn(2, 3, 63, 63),
        [make_sample(2, (63, 63)), make_sample(0, (63, 63))],
    )
    losses = model.loss(images, samples)
    sum(losses.values()).backward()
    assert all(torch.isfinite(value) for value in losses.values())
    with torch.no_grad():
        found = model.eval().predict(images, samples)
    assert all(
        {'bboxes', 'scores', 'labels', 'centers'} <= set(s.pred_instances.keys()) for s in found
    )


@pytest.mark.parametrize('file', FILES)
def test_pipelines_hooks_and_metrics_exist(file: str, tmp_path: Path) -> None:
    config = Config.fromfile(CONFIGS / file)
    init_default_scope('mmdet')
    for loader in (config.train_dataloader, config.val_dataloader):
        for transform in loader.dataset.pipeline:
            TRANSFORMS.build(transform)
    for hook in config.default_hooks.values():
        assert HOOKS.get(hook.type) is not None
    ann_file = tmp_path / 'instances.json'
    ann_file.write_text('{}')
    METRICS.build({**config.val_evaluator, 'ann_file': str(ann_file)})
    if 'demo' not in file:
        for transform in config.tta_pipeline:
            TRANSFORMS.build(transform)
        assert MODELS.get(config.tta_model.type) is not None


def test_the_demo_spells_out_the_table_of_the_generated_set() -> None:
    config = Config.fromfile(CONFIGS / 'centernet_triplet_demo.py')
    assert config.metainfo.classes == METAINFO['thing_classes']
    assert config.metainfo.palette == METAINFO['palette'][: len(METAINFO['thing_classes'])]


def test_headline_numbers() -> None:
    config = Config.fromfile(CONFIGS / 'centernet/triplet-hourglass104_480k_coco.py')
    assert config.train_cfg.max_iters == 480_000
    assert config.train_dataloader.batch_size * 8 == config.auto_scale_lr.base_batch_size == 48
    assert config.optim_wrapper.optimizer == dict(type='Adam', lr=2.5e-4)
    assert config.model.bbox_head.loss_weights == dict(heatmap=1.0, pull=0.1, push=0.1, offset=1.0)
    assert config.model.test_cfg.top_k == 70
    (resize, *_) = config.tta_pipeline[1].transforms
    assert [r.scale_factor for r in resize] == [0.6, 1.0, 1.2, 1.5, 1.8]
