"""The triplet configurations say what the paper says. tests/configs runs them."""

from pathlib import Path

from mmengine.config import Config

from mmext.demo.categories import METAINFO

CONFIGS = Path(__file__).parents[2] / 'configs'


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
