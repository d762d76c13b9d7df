"""Every VPSNet configuration parses, builds its parts, trains and predicts at tiny size."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmext.demo.categories import METAINFO
from mmext.registry import DATA_SAMPLERS, DATASETS, HOOKS, METRICS, MODELS, TRANSFORMS

torch.set_num_threads(1)
CONFIGS = Path(__file__).parents[2] / 'configs'
FILES = ['vpsnet.py', 'vpsnet_demo.py', *(f'vpsnet/{f.name}' for f in CONFIGS.glob('vpsnet/*.py'))]


@pytest.mark.parametrize('file', sorted(FILES))
def test_loss_and_prediction_at_tiny_size(
    file: str,
    shrink_config: Callable[[Config], Config],
    build_model: Callable,
    make_clip: Callable,
    make_pairs: Callable,
) -> None:
    config = shrink_config(Config.fromfile(CONFIGS / file))
    model = build_model(config.model)
    clip = make_clip(size_hw=(64, 64))
    data = model.data_preprocessor(make_pairs(clip, [(0, 1)]), training=True)
    total, _ = model.parse_losses(model(**data, mode='loss'))
    total.backward()
    assert torch.isfinite(total)
    model.eval()
    for frame, sample in zip(*clip, strict=True):
        with torch.no_grad():
            (result,) = model.test_step(dict(inputs=[frame], data_samples=[sample.clone()]))
        assert {'pred_panoptic_seg', 'pred_sem_seg', 'pred_instances'} <= set(result.keys())
        assert ('instances_ids' in result.pred_instances) == bool(config.model.get('tracker'))


@pytest.mark.parametrize('file', sorted(FILES))
def test_data_hooks_and_metrics_exist(file: str) -> None:
    config = Config.fromfile(CONFIGS / file)
    for loader in (config.train_dataloader, config.val_dataloader):
        dataset_type = DATASETS.get(loader.dataset.type)
        assert issubclass(dataset_type, DATASETS.get('mmext.VideoPanopticDataset'))
        assert DATA_SAMPLERS.get(loader.sampler.type) is not None
        for transform in loader.dataset.pipeline:
            TRANSFORMS.build(transform)
        meta = loader.dataset.get('metainfo') or dataset_type.METAINFO or METAINFO
        assert len(meta['thing_classes']) == config.model.num_things_classes
        assert len(meta['stuff_classes']) == config.model.num_stuff_classes
    assert METRICS.get(config.val_evaluator.type) is not None
    for hook in config.default_hooks.values():
        assert HOOKS.get(hook.type) is not None


def test_headline_numbers_of_the_released_configuration() -> None:
    config = Config.fromfile(CONFIGS / 'vpsnet.py')
    assert config.optim_wrapper.optimizer.lr == 0.005
    assert config.optim_wrapper.clip_grad.max_norm == 35
    assert not config.optim_wrapper.paramwise_cfg
    assert config.train_cfg.max_iters == 12 * 8 * 2400 // 8
    assert config.model.test_cfg.panoptic.stuff_area_limit == 2048
    assert config.model.semantic_head.get('roi_loss_weight', 0) == 0


def test_sizes_of_the_released_model() -> None:
    """Parts at full width, see the facts in tests/vpsnet/test_fuse_neck.py for the others."""
    model = Config.fromfile(CONFIGS / 'vpsnet.py').model
    counts = dict(num_things_classes=8, num_stuff_classes=11)
    head = MODELS.build(dict(model.semantic_head, **counts))
    layers = [(256, 256), (256, 128), (128, 128)]
    expected = sum(9 * i * o + 2 * o + (9 * i + 1) * 18 for i, o in layers) + 512 * 19 + 19
    assert sum(p.numel() for p in head.parameters()) == expected
    track = MODELS.build(model.track_head)
    assert sum(p.numel() for p in track.parameters()) == 13_895_680
