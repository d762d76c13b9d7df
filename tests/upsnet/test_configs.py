"""Every UPSNet configuration parses, builds its parts, trains and predicts at tiny size."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper

from mmext.demo.categories import METAINFO
from mmext.registry import DATASETS, HOOKS, METRICS, TRANSFORMS

CONFIGS = Path(__file__).parents[2] / 'configs'
FILES = ['upsnet.py', 'upsnet_demo.py', *(f'upsnet/{f.name}' for f in CONFIGS.glob('upsnet/*.py'))]


@pytest.mark.parametrize('file', sorted(FILES))
def test_loss_and_prediction_at_tiny_size(
    file: str,
    shrink_config: Callable[[Config], Config],
    build_model: Callable,
    sample_factory: Callable,
) -> None:
    config = shrink_config(Config.fromfile(CONFIGS / file))
    model = build_model(config.model)
    images = torch.rand(1, 3, 64, 64)
    losses = model.loss(images, [sample_factory()])
    total, _ = model.parse_losses(losses)
    total.backward()
    assert torch.isfinite(total)
    with torch.no_grad():
        (sample,) = model.eval().predict(images, [sample_factory()])
    assert {'pred_panoptic_seg', 'pred_sem_seg', 'pred_instances'} <= set(sample.keys())


@pytest.mark.parametrize('file', sorted(FILES))
def test_data_hooks_and_metrics_exist(file: str) -> None:
    config = Config.fromfile(CONFIGS / file)
    for loader in (config.train_dataloader, config.val_dataloader):
        dataset_type = DATASETS.get(loader.dataset.type)
        assert issubclass(dataset_type, DATASETS.get('mmext.CocoPanopticDataset'))
        for transform in loader.dataset.pipeline:
            TRANSFORMS.build(transform)
        meta = loader.dataset.get('metainfo', dataset_type.METAINFO)
        assert len(meta['thing_classes']) == config.model.num_things_classes
        assert len(meta['stuff_classes']) == config.model.num_stuff_classes
    for metric in config.val_evaluator:
        assert METRICS.get(metric.type) is not None
    for hook in config.default_hooks.values():
        assert HOOKS.get(hook.type) is not None


def test_the_demo_config_spells_out_the_table_of_the_generated_set() -> None:
    config = Config.fromfile(CONFIGS / 'upsnet_demo.py')
    for key in ('classes', 'thing_classes', 'stuff_classes', 'palette'):
        assert list(config.metainfo[key]) == list(METAINFO[key])


@pytest.mark.parametrize('file', ['upsnet.py', 'upsnet/upsnet_r101-dcn_3x_coco.py'])
def test_all_biases_learn_twice_as_fast_and_do_not_decay(
    file: str, shrink_config: Callable[[Config], Config], build_model: Callable
) -> None:
    config = shrink_config(Config.fromfile(CONFIGS / file))
    model = build_model(config.model)
    optimizer = build_optim_wrapper(model, config.optim_wrapper).optimizer
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for group in optimizer.param_groups:
        for parameter in group['params']:
            is_bias = names[id(parameter)].endswith('.bias')
            expected = (0.04, 0) if is_bias else (0.02, 1e-4)
            assert (group['lr'], group['weight_decay']) == expected, names[id(parameter)]


def test_headline_numbers_of_the_paper() -> None:
    config = Config.fromfile(CONFIGS / 'upsnet.py')
    assert config.train_cfg.max_iters == 90_000
    assert config.optim_wrapper.optimizer.lr == 0.02
    assert config.auto_scale_lr.base_batch_size == 16
    panoptic = config.model.test_cfg.panoptic
    assert (panoptic.score_thr, panoptic.mask_overlap, panoptic.stuff_area_limit) == (
        0.6,
        0.3,
        4096,
    )
