"""The RetinaFace configurations say what is published. tests/configs runs them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mmengine.config import Config

CONFIGS = Path(__file__).parents[2] / 'configs'


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
