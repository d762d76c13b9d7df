"""The headline VPSNet has the released numbers and sizes. tests/configs runs it."""

from pathlib import Path

from mmengine.config import Config

from mmext.registry import MODELS

CONFIGS = Path(__file__).parents[2] / 'configs'


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
