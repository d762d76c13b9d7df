"""The UPSNet configurations say what the paper says. tests/configs runs them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper

from mmext.demo.categories import METAINFO

CONFIGS = Path(__file__).parents[2] / 'configs'


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
