"""Every configuration of objects as points: parts, one step, one prediction at tiny size."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from tiny_points import CONFIGS, build, make_sample, shrink

from mmext.demo.categories import METAINFO
from mmext.registry import DATASETS, HOOKS, METRICS, MODELS, TRANSFORMS

FILES = sorted(
    ['centernet.py', 'centernet_demo.py', 'centernet_pose_demo.py']
    + [f'centernet/{f.name}' for f in CONFIGS.glob('centernet/p*.py')]
)


@pytest.mark.parametrize('file', FILES)
def test_loss_and_prediction_at_tiny_size(file: str) -> None:
    model = build(shrink(Config.fromfile(CONFIGS / file)).model)
    images, sample = torch.randn(2, 3, 128, 128), make_sample(model)
    total, _ = model.parse_losses(model.train().loss(images, [sample, make_sample(model, seed=1)]))
    total.backward()
    assert total.isfinite()
    assert all(p.grad is not None for p in model.parameters())
    with torch.no_grad():
        (found,) = model.eval().predict(images[:1], [sample])
    wanted = {'bboxes', 'scores', 'labels', 'centers'}
    wanted |= {'keypoints', 'keypoint_scores'} if 'pose' in file else set()
    assert set(found.pred_instances.keys()) == wanted
    assert found.pred_instances.bboxes.isfinite().all()


@pytest.mark.parametrize('file', FILES)
def test_data_hooks_and_metrics_exist(file: str) -> None:
    config = Config.fromfile(CONFIGS / file)
    init_default_scope('mmdet')
    for loader in (config.train_dataloader, config.val_dataloader):
        dataset = DATASETS.get(loader.dataset.type)
        assert dataset is not None
        for transform in loader.dataset.pipeline:
            TRANSFORMS.build(transform)
        meta = loader.dataset.get('metainfo', dataset.METAINFO)
        assert len(meta['classes']) == config.model.bbox_head.num_classes
        if 'pose' in file:
            assert len(meta['keypoints']) == config.model.bbox_head.num_joints
            pairs = config.model.bbox_head.flip_pairs
            assert [*map(tuple, pairs)] == [*map(tuple, meta['flip_pairs'])]
    for transform in config.tta_pipeline:
        TRANSFORMS.build(transform)
    assert MODELS.get(config.tta_model.type) is not None
    evaluators = config.val_evaluator
    for evaluator in evaluators if isinstance(evaluators, list) else [evaluators]:
        assert METRICS.get(evaluator.type) is not None
    for hook in config.default_hooks.values():
        assert HOOKS.get(hook.type) is not None


@pytest.mark.parametrize('file', FILES)
def test_test_sizes_suit_the_network(file: str) -> None:
    config = Config.fromfile(CONFIGS / file)
    wanted = 128 if 'hourglass' in file else 32
    scales = config.tta_pipeline[1]['transforms'][0]
    warps = [*(t for t in config.test_pipeline if t['type'] == 'mmext.CenterWarp'), *scales]
    assert [warp['divisor'] for warp in warps] == [wanted] * 6


def test_the_demo_knows_the_classes_of_the_generated_set() -> None:
    config = Config.fromfile(CONFIGS / 'centernet_demo.py')
    assert list(config.metainfo.classes) == list(METAINFO['thing_classes'])


def test_headline_numbers_of_the_paper() -> None:
    config = Config.fromfile(CONFIGS / 'centernet.py')
    assert config.train_cfg.max_epochs == 140
    assert config.param_scheduler[0].milestones == [90, 120]
    assert config.optim_wrapper.optimizer == dict(type='Adam', lr=5e-4)
    assert config.model.bbox_head.size_weight == 0.1
    assert config.auto_scale_lr.base_batch_size == 128 == 8 * config.train_dataloader.batch_size
