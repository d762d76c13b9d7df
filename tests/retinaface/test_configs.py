"""Every RetinaFace configuration parses, builds its parts, trains and predicts at tiny size."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS, init_default_scope

from mmext.registry import DATASETS, HOOKS, METRICS, TRANSFORMS

CONFIGS = Path(__file__).parents[2] / 'configs'
FILES = sorted(
    [
        *('retinaface.py', 'retinaface_demo.py'),
        *(f'retinaface/{file.name}' for file in CONFIGS.glob('retinaface/*.py')),
    ]
)


def shrink(config: Config) -> Config:
    """The same architecture with few channels, without weights to load."""
    model = config.model
    if model.backbone.type == 'ResNet':
        model.backbone.update(base_channels=2, stem_channels=2, init_cfg=None)
        expansion = 1 if model.backbone.depth < 50 else 4
        stages = [2 * expansion * 2**index for index in range(4)]
        model.neck.in_channels = [stages[index] for index in model.backbone.out_indices]
    else:
        model.backbone.widen_factor = 1 / 16
        model.neck.in_channels = [16, 32, 64]
    model.neck.out_channels = model.bbox_head.in_channels = 8
    if 'views' in model.test_cfg:
        scaled = (edge // 20 for edge in model.test_cfg.views.short_edges_px)
        model.test_cfg.views.short_edges_px = tuple(scaled)
    return config


def annotate(sample: DetDataSample, model: torch.nn.Module) -> DetDataSample:
    """The sample with the details that this model has."""
    faces, details = sample.gt_instances, model.bbox_head.details
    faces.attributes = torch.zeros(len(faces), len(details.table.attributes), dtype=torch.long)
    faces.mesh = torch.rand(len(faces), details.num_vertices, 3) * 64
    return sample


@pytest.mark.parametrize('file', FILES)
def test_loss_and_prediction_at_tiny_size(
    file: str, build_model: Callable, face_sample: Callable
) -> None:
    model = build_model(shrink(Config.fromfile(CONFIGS / file)).model)
    images, samples = torch.rand(1, 3, 96, 96), [annotate(face_sample(), model)]
    total, _ = model.parse_losses(model.loss(images, samples))
    total.backward()
    assert torch.isfinite(total)
    assert not [path for path, p in model.named_parameters() if p.requires_grad and p.grad is None]
    with torch.no_grad():
        (sample,) = model.eval().predict(images, samples)
    assert {'bboxes', 'scores', 'labels', 'keypoints'} <= set(sample.pred_instances.keys())


@pytest.mark.parametrize('file', FILES)
def test_data_hooks_metrics_and_schedules_exist(file: str) -> None:
    config = Config.fromfile(CONFIGS / file)
    init_default_scope(config.default_scope)
    for loader in (config.train_dataloader, config.val_dataloader):
        assert DATASETS.get(loader.dataset.type) is DATASETS.get('mmext.WiderFaceDataset')
        for transform in loader.dataset.pipeline:
            TRANSFORMS.build(transform)
    evaluators = config.val_evaluator
    for metric in evaluators if isinstance(evaluators, list) else [evaluators]:
        assert METRICS.get(metric.type) is not None
    for hook in config.default_hooks.values():
        assert HOOKS.get(hook.type) is not None
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    for scheduler in config.param_scheduler:
        settings = dict(scheduler, optimizer=optimizer)
        if settings.pop('convert_to_iter_based', False):
            kind = PARAM_SCHEDULERS.get(settings.pop('type'))
            assert kind.build_iter_from_epoch(**settings, epoch_length=2)
        else:
            PARAM_SCHEDULERS.build(settings)


@pytest.mark.parametrize(
    ('file', 'epochs', 'batch', 'peak'),
    [
        ('retinaface.py', 100, 24, 1e-3),
        ('retinaface/retinaface_mobilenet025_wider.py', 250, 32, 1e-3),
        ('retinaface/retinaface_r152-dcn_paper_wider.py', 80, 32, 1e-2),
    ],
)
def test_published_schedules(file: str, epochs: int, batch: int, peak: float) -> None:
    config = Config.fromfile(CONFIGS / file)
    assert config.train_cfg.max_epochs == epochs
    assert config.auto_scale_lr.base_batch_size == batch
    assert config.optim_wrapper.optimizer.lr == peak
    assert config.optim_wrapper.optimizer.weight_decay == 5e-4


def test_the_small_network_has_the_published_number_of_weights(build_model: Callable) -> None:
    config = Config.fromfile(CONFIGS / 'retinaface/retinaface_mobilenet025_wider.py').model
    values = build_model(config).state_dict().values()
    assert (len(values), sum(value.numel() for value in values)) == (300, 433_343)
