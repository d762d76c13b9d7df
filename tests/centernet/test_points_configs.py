"""The configurations of objects as points say what the paper says. tests/configs runs them."""

import pytest
from mmengine.config import Config
from tiny_points import CONFIGS

from mmext.demo.categories import METAINFO

FILES = sorted(
    ['centernet.py', 'centernet_demo.py', 'centernet_pose_demo.py']
    + [f'centernet/{f.name}' for f in CONFIGS.glob('centernet/p*.py')]
)


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
