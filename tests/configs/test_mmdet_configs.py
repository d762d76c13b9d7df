"""mmdet's detectors with our hooks: each config trains two iterations and predicts, made tiny."""

import contextlib
import math
import sqlite3
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from mmext.configuration import rebase_data_root
from mmext.demo.categories import METAINFO
from mmext.demo.panoptic import write_panoptic_dataset

CONFIGS = Path(__file__).parents[2] / 'configs'
FILES = sorted(f.name for f in CONFIGS.glob('mmdet/*.py') if 'demo' not in f.name)
WIDTH, CLASSES, SIDE = 8, len(METAINFO['thing_classes']), 63


@pytest.fixture(scope='module')
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('demo')
    write_panoptic_dataset(folder, num_train=5, num_val=2, image_size=(64, 64))
    return folder


def shrink(config: Config) -> None:
    """The same architecture with few channels."""
    model = config.model
    if model.backbone.type == 'mmext.HourglassNet':
        sizes = dict(stage_channels=[WIDTH] * 3, stage_blocks=[1] * 3, feat_channel=WIDTH)
        model.backbone.update(downsample_times=2, **sizes)
        model.bbox_head.update(in_channels=WIDTH, num_classes=CLASSES)
        model.test_cfg.update(corner_topk=40)
        return
    stages = [WIDTH * 2**i for i in range(4)]
    model.backbone.update(depth=18, base_channels=WIDTH, stem_channels=WIDTH)
    model.backbone.update(init_cfg=None)
    model.neck.update(in_channels=stages, out_channels=WIDTH)
    if 'roi_head' in model:
        model.rpn_head.update(in_channels=WIDTH, feat_channels=WIDTH)
        for part in ('bbox', 'mask'):
            model.roi_head[f'{part}_roi_extractor'].update(out_channels=WIDTH)
            model.roi_head[f'{part}_head'].update(in_channels=WIDTH, num_classes=CLASSES)
        model.roi_head.bbox_head.update(fc_out_channels=16)
        model.roi_head.mask_head.update(conv_out_channels=WIDTH)
    else:
        model.bbox_head.update(in_channels=WIDTH, feat_channels=WIDTH, num_classes=CLASSES)
        model.mask_head.update(in_channels=WIDTH, num_classes=CLASSES)


def shorten(config: Config, work_dir: Path, database: Path) -> None:
    """Two iterations of two small images, in bfloat16, and one validation."""
    classes = METAINFO['thing_classes']
    for name in ('train', 'val'):
        loader = config[f'{name}_dataloader']
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.update(metainfo=dict(classes=classes), filter_cfg=None)
        for transform in loader.dataset.pipeline:
            if transform.type == 'Resize':
                transform.scale = (SIDE, SIDE)
            if transform.get('crop_size'):
                transform.crop_size = (SIDE, SIDE)
    config.train_dataloader.update(
        batch_size=2, sampler=dict(type='InfiniteSampler'), batch_sampler=None
    )
    config.train_cfg = dict(type='IterBasedTrainLoop', max_iters=2, val_interval=2)
    config.param_scheduler = None
    config.optim_wrapper.optimizer.lr = 1e-4
    config.default_hooks.checkpoint.update(by_epoch=False, interval=2)
    config.default_hooks.logger.interval = 1
    config.default_hooks.fp16.precision = 'bf16'
    config.default_hooks.mlflow.update(
        tracking_uri=f'sqlite:///{database}', model=False, run_name=work_dir.name
    )
    config.custom_hooks = []
    config.work_dir, config.log_level = str(work_dir), 'WARNING'
    config.experiment_name = work_dir.name


@pytest.mark.parametrize('file', FILES)
def test_two_iterations_and_an_evaluation(file: str, data_root: Path, tmp_path: Path) -> None:
    config = Config.fromfile(CONFIGS / 'mmdet' / file)
    assert config.val_evaluator.type == 'mmext.CocoDetectionMetric'
    rebase_data_root(config, str(data_root))
    shrink(config)
    database = data_root.with_suffix('.db')
    shorten(config, tmp_path, database)
    runner = Runner.from_cfg(config)
    runner.train()
    assert (tmp_path / 'iter_2.pth').is_file()
    losses = runner.message_hub.get_scalar('train/loss').current()
    assert math.isfinite(losses)
    kinds = config.val_evaluator.get('metric', ['bbox'])
    for kind in kinds:
        assert 0 <= runner.message_hub.get_scalar(f'val/coco/{kind}_mAP').current() <= 1
    with contextlib.closing(sqlite3.connect(database)) as connection:
        query = 'select name from runs where status = ?'
        finished = {name for (name,) in connection.execute(query, ['FINISHED'])}
    assert tmp_path.name in finished
