"""Wrong values of a config are refused, right ones are not."""

from pathlib import Path
from typing import Any

import mmdet
import pytest
from mmengine.config import Config

import mmext  # noqa: F401 - makes `_base_ = 'mmext::...'` known
from mmext.config_values import check_loops, check_values
from mmext.errors import InputError
from mmext.shipped import shipped_folder

HOST_CONFIGS = Path(mmdet.__file__).parent / '.mim' / 'configs'
SHIPPED = sorted(shipped_folder('configs').rglob('*.py'))


def config(**options: Any) -> Config:
    """A config that is right, with some values changed, by their dotted keys."""
    loader = dict(batch_size=2, num_workers=0, dataset=dict(data_root='data/', pipeline=[]))
    made = Config(
        dict(
            model=dict(
                type='RetinaNet',
                data_preprocessor=dict(mean=[127.5] * 3, std=[64.0] * 3),
                bbox_head=dict(num_classes=2, in_channels=16),
            ),
            train_dataloader=loader,
            val_dataloader=loader,
            train_cfg=dict(by_epoch=True, max_epochs=2, val_interval=1),
            val_cfg={},
            val_evaluator=dict(type='CocoMetric'),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
            param_scheduler=[dict(type='LinearLR', begin=0, end=5)],
            default_hooks=dict(checkpoint=dict(interval=1)),
        )
    )
    for key, value in options.items():
        if '.' in key:
            made.merge_from_dict({key: value})
        else:
            made[key] = value
    return made


@pytest.mark.parametrize(
    ('key', 'value', 'expected'),
    [
        ('model', 3, 'a dict with the type of the model'),
        ('model.type', None, 'the name of a class'),
        ('model.bbox_head.type', 3, 'the name of a class'),
        ('train_dataloader.dataset.type', None, 'the name of a class'),
        ('train_dataloader.dataset.pipeline', [dict(type=None)], 'the name of a class'),
        ('default_hooks.logger', dict(type=None), 'the name of a class'),
        ('custom_hooks', [dict(type=None)], 'the name of a class'),
        ('val_evaluator.type', None, 'the name of a class'),
        ('env_cfg', None, 'a dict'),
        ('env_cfg', dict(mp_cfg=None), 'a dict'),
        ('train_dataloader', 3, 'a dict, or None'),
        ('train_dataloader.batch_size', 0, 'a whole number of at least 1'),
        ('val_dataloader.batch_size', -1, 'a whole number of at least 1'),
        ('train_dataloader.batch_size', True, 'a whole number of at least 1'),
        ('train_dataloader.batch_size', 2.5, 'a whole number of at least 1'),
        ('train_dataloader.num_workers', -1, 'a whole number of at least 0'),
        ('train_dataloader.dataset', None, 'a dict'),
        ('train_dataloader.dataset.pipeline', 3, 'a list of dicts, one for each step'),
        ('train_dataloader.dataset.data_root', 3, 'the name of a folder'),
        ('train_dataloader.dataset.data_prefix', 3, 'a dict of folders'),
        ('train_cfg.max_epochs', 0, 'a whole number of at least 1'),
        ('train_cfg.max_epochs', 'many', 'a whole number of at least 1'),
        ('train_cfg.val_interval', 0, 'a whole number of at least 1'),
        ('optim_wrapper.optimizer.lr', 'fast', 'a number of at least 0'),
        ('optim_wrapper.optimizer.lr', -1, 'a number of at least 0'),
        ('optim_wrapper.optimizer.lr', float('nan'), 'a number of at least 0'),
        ('optim_wrapper.optimizer.weight_decay', -0.1, 'a number of at least 0'),
        ('optim_wrapper.optimizer.momentum', 'x', 'a number of at least 0'),
        ('optim_wrapper.optimizer.betas', 'text', 'two numbers'),
        ('optim_wrapper.optimizer.betas', (0.9, 1.0), 'two numbers'),
        ('optim_wrapper.accumulative_counts', 0, 'a whole number of at least 1'),
        ('optim_wrapper.clip_grad', 5, 'a dict, or None'),
        ('optim_wrapper.clip_grad.max_norm', 'x', 'a number above 0'),
        ('param_scheduler.0.end', 0, 'more than its begin, which is 0'),
        ('param_scheduler.0.begin', 'x', 'a whole number of at least 0'),
        ('param_scheduler.0.milestones', [1, 'x'], 'a list of whole numbers'),
        ('randomness.seed', 2**32, 'a whole number from 0 to 4294967295'),
        ('randomness.seed', -1, 'a whole number from 0 to 4294967295'),
        ('model.data_preprocessor.mean', [1, 2], '1 or 3 numbers'),
        ('model.data_preprocessor.std', [64.0, 64.0, 0], '1 or 3 numbers above 0'),
        ('model.data_preprocessor.std', [64.0], 'as many numbers as .*mean has: 3'),
        ('model.data_preprocessor.std', None, 'as many numbers as .*mean has'),
        ('model.bbox_head.num_classes', 0, 'a whole number of at least 1'),
        ('model.bbox_head.num_classes', 'two', 'a whole number of at least 1'),
        ('model.bbox_head.in_channels', [8, -1], 'a whole number of at least 1'),
        ('default_hooks', 3, 'a dict'),
        ('default_hooks.logger', 3, 'a dict, or None'),
        ('default_hooks.checkpoint.interval', 0, 'a whole number of at least 1'),
        ('custom_hooks', ['EMAHook'], 'a list of dicts, one for each hook'),
        ('load_from', '/', 'the name of a checkpoint file, no folder'),
        ('resume', 'x', 'True or False'),
        ('log_level', 'LOUD', 'one of CRITICAL, ERROR'),
        ('auto_scale_lr', 3, 'a dict'),
    ],
)
def test_a_wrong_value(key: str, value: Any, expected: str) -> None:
    place = rf'({key}[\w.]*)=.*: expected {expected}.*--cfg-options \1='
    with pytest.raises(InputError, match=place):
        check_values(config(**{key: value}))


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('train_cfg.max_epochs', 2.0),  # mmengine takes it
        ('optim_wrapper.optimizer.lr', 0),
        ('optim_wrapper.optimizer.betas', [0.9, 0.999]),
        ('optim_wrapper.generator', dict(optimizer=dict(lr=1))),
        ('env_cfg', dict(dist_cfg=None)),
        ('model.bbox_head.type', dict),  # a class, as configs of Python's own style have it
        ('train_dataloader.dataset.metainfo', dict(type=None)),
        ('param_scheduler', None),
        ('param_scheduler', dict(type='ConstantLR')),
        ('default_hooks.checkpoint', None),
        ('default_hooks.checkpoint.interval', -1),
        ('custom_hooks', [dict(type='EMAHook')]),
        ('model.backbone', dict(in_channels=[8, 16], out_channels=None)),
        ('load_from', 'https://host/file.pth'),
    ],
)
def test_a_right_value(key: str, value: Any) -> None:
    check_values(config(**{key: value}))


@pytest.mark.parametrize(
    'file',
    [*SHIPPED, *(sorted(folder.glob('*.py'))[0] for folder in sorted(HOST_CONFIGS.glob('[a-m]*'))
                 if list(folder.glob('*.py')))],
    ids=lambda file: f'{file.parent.name}/{file.stem}',
)  # fmt: skip
def test_published_configs_are_right(file: Path) -> None:
    try:
        published = Config.fromfile(file, import_custom_modules=False)
    except Exception:  # its package is not installed, or it is a part of others
        pytest.skip('cannot be read alone')
    if 'model' in published:
        check_values(published)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(val_evaluator=None), 'has val_dataloader and val_cfg but no val_evaluator'),
        (dict(optim_wrapper=None), 'has train_dataloader and train_cfg but no optim_wrapper'),
        (dict(test_cfg={}), 'has test_cfg but no test_dataloader and no test_evaluator'),
    ],
)
def test_a_loop_without_one_of_its_parts(changes: dict[str, Any], message: str) -> None:
    check_loops(config())
    check_loops(dict(optim_wrapper={}))
    with pytest.raises(InputError, match=message):
        check_loops({**dict(config().items()), **changes})
