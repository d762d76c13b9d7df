"""Configs and what the command line does to them."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmext.configuration import (
    check_option_keys,
    load_config,
    rebase_data_root,
    remove_pretrained,
    set_mlflow,
    set_precision,
    thaw_pretrained,
    walk,
)
from mmext.errors import InputError

BASE = """
data_root = 'data/coco/'
model = dict(backbone=dict(depth=50, in_channels=3))
train_pipeline = [dict(type='Load', size=(1, 2)), dict(type='Pack')]
train_dataloader = dict(dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_evaluator = [dict(ann_file=data_root + 'annotations/val.json', other='data/coconut')]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A config that inherits from another."""
    (tmp_path / 'base.py').write_text(BASE)
    path = tmp_path / 'leaf.py'
    path.write_text("_base_ = 'base.py'\nmodel = dict(backbone=dict(depth=18))\n")
    return path


def test_loads_with_options(file: Path) -> None:
    config = load_config(
        str(file), {'model.backbone.depth': 34, 'train_pipeline.0.size': 7, 'new.key': 1}
    )
    assert config.model.backbone == dict(depth=34, in_channels=3)
    assert config.train_pipeline[0] == dict(type='Load', size=7)
    assert config.new.key == 1
    assert config.default_scope == 'mmdet'


def test_no_workers_are_kept_where_there_are_none(file: Path) -> None:
    config = load_config(
        str(file),
        {
            'train_dataloader.num_workers': 0,
            'train_dataloader.persistent_workers': True,
            'val_dataloader': dict(num_workers=2, persistent_workers=True),
            'test_dataloader': None,
        },
    )
    assert config.train_dataloader.persistent_workers is False
    assert config.val_dataloader.persistent_workers is True


def test_data_root_moves_what_was_built_from_it(file: Path) -> None:
    config = load_config(str(file), {'data_root': '/elsewhere', 'model.backbone.depth': 1})
    assert config.data_root == config.train_dataloader.dataset.data_root == '/elsewhere/'
    assert config.val_evaluator == [
        dict(ann_file='/elsewhere/annotations/val.json', other='data/coconut')
    ]
    assert config.model.backbone.depth == 1


def test_rebase_takes_a_root_without_slash() -> None:
    config = Config(dict(data_root='data', a=['data/x', ('data', 'database')], n=1))
    rebase_data_root(config, 'new')
    assert (config.data_root, config.a, config.n) == ('new/', ['new/x', ('new/', 'database')], 1)


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('model = dict(', 'SyntaxError'),
        ('a = 1\nb = undefined', 'NameError.*undefined.*line 2'),
        ("_base_ = 'gone.py'", 'FileNotFoundError.*gone.py'),
        ("_base_ = 'nohost::models/x.py'", 'nohost'),
        ("_base_ = 'base.py'\nmodel = 3\nmodel['x']", 'TypeError.*line 3'),
    ],
)
def test_says_why_a_file_cannot_be_read(text: str, reason: str, file: Path) -> None:
    file.write_text(text)
    with pytest.raises(InputError, match=f'leaf.py cannot be read: .*{reason}') as raised:
        load_config(str(file))
    assert '\n' not in str(raised.value)


def test_says_where_a_missing_file_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f'config file not found: {tmp_path}/gone.py'):
        load_config('gone.py')


@pytest.mark.parametrize(
    ('name', 'meant'),
    [
        ('mmext::centernt.py', 'did you mean mmext::centernet.py?'),
        (
            'mmdet::rtmdet/rtmdet_tiny.py',
            'did you mean mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py?',
        ),
        ('mmext::nothing_like_it.py', 'nothing_like_it.py'),
    ],
)
def test_the_config_that_may_be_meant(name: str, meant: str) -> None:
    with pytest.raises(InputError) as caught:
        load_config(name)
    assert str(caught.value).endswith(meant)


@pytest.mark.parametrize(
    ('option', 'meant'),
    [
        ('model.backbone.dept', 'model.backbone.depth'),
        ('modell.backbone.depth', 'model.backbone.depth'),
        ('train_pipeline.0.sizes', 'train_pipeline.0.size'),
        ('val_evaluator.0.annfile', 'val_evaluator.0.ann_file'),
    ],
)
def test_refuses_a_misspelt_key(option: str, meant: str, file: Path) -> None:
    with pytest.raises(InputError, match=f'{option}: .*did you mean {meant}?'):
        load_config(str(file), {option: 1})


@pytest.mark.parametrize(
    'option',
    ['model.backbone.out_channels', 'default_hooks.mlflow.type', 'val_dataloader.x', 'model.y.z'],
)
def test_takes_a_new_key(option: str, file: Path) -> None:
    check_option_keys(load_config(str(file)), {option: 1})


@pytest.mark.parametrize('option', ['train_pipeline.5.size', 'model.backbone.depth.x'])
def test_refuses_a_key_that_does_not_fit(option: str, file: Path) -> None:
    with pytest.raises(InputError, match='do not fit'):
        load_config(str(file), {option: 1})


def test_mlflow_flag() -> None:
    config = Config(dict(model={}))
    set_mlflow(config, 'off')
    set_mlflow(config, 'http://host')
    assert config.default_hooks == dict(
        mlflow=dict(type='mmext.MLflowHook', tracking_uri='http://host')
    )
    config.default_hooks.mlflow.experiment = 'mine'
    set_mlflow(config, 'file')
    assert config.default_hooks.mlflow == dict(
        type='mmext.MLflowHook', tracking_uri='file', experiment='mine'
    )
    set_mlflow(config, 'off')
    assert config.default_hooks == {}


def test_mlflow_flag_finds_the_hook_wherever_it_is() -> None:
    """A second one would make a second run of the same training."""
    other = dict(type='mmdet.NumClassCheckHook')
    config = Config(
        dict(
            default_hooks=dict(tracking=dict(type='MLflowHook', images=2), mlflow=None),
            custom_hooks=[other, dict(type='mmext.MLflowHook')],
        )
    )
    set_mlflow(config, 'http://host')
    assert config.default_hooks.tracking == dict(
        type='MLflowHook', images=2, tracking_uri='http://host'
    )
    assert config.default_hooks.mlflow is None
    set_mlflow(config, 'off')
    assert config.default_hooks == dict(mlflow=None)
    assert config.custom_hooks == [other]


def test_no_pretrained_weights_are_left() -> None:
    pretrained = dict(type='Pretrained', checkpoint='torchvision://resnet50')
    normal = dict(type='Normal', std=1)
    config = Config(
        dict(
            load_from='coco.pth',
            model=dict(
                backbone=dict(init_cfg=pretrained),
                neck=dict(init_cfg=normal),
                heads=[dict(init_cfg=[normal, pretrained]), dict(init_cfg=None), {}],
                detector=dict(init_cfg=dict(pretrained)),
            ),
        )
    )
    remove_pretrained(config)
    assert config.load_from is None
    assert not [part for _, part in walk(config.model) if part.get('type') == 'Pretrained']
    assert config.model.neck.init_cfg == normal
    assert config.model.heads[0].init_cfg == [normal]


def test_walk_names_every_dict() -> None:
    nested = dict(a=dict(b=[{}, 1, (dict(c=2),)]), d='x')
    assert dict(walk(nested)) == {
        '': nested, 'a': nested['a'], 'a.b.0': {}, 'a.b.2.0': {'c': 2},
    }  # fmt: skip


@pytest.mark.parametrize('precision', ['fp32', 'bf16', 'fp16', 'auto'])
def test_precision_is_the_hooks(precision: str) -> None:
    config = Config({})
    set_precision(config, precision)
    assert config.default_hooks.precision == dict(
        type='mmext.MixedPrecisionHook', precision=precision
    )


def test_precision_keeps_the_settings_of_the_config() -> None:
    hook = dict(type='mmext.Fp16Hook', precision='fp16', channels_last=True)
    wrapper = dict(type='mmext.PrecisionOptimWrapper', precision='fp16', optimizer=dict(lr=1))
    config = Config(dict(default_hooks=dict(fp16=hook), optim_wrapper=wrapper))
    set_precision(config, 'bf16')
    assert config.default_hooks.fp16 == {**hook, 'precision': 'bf16'}
    assert config.optim_wrapper == {**wrapper, 'precision': 'bf16'}


def test_precision_replaces_the_hosts_mixed_precision() -> None:
    wrapper = dict(
        type='AmpOptimWrapper', dtype='float16', loss_scale=512.0, optimizer=dict(type='SGD', lr=1)
    )
    config = Config(dict(optim_wrapper=wrapper))
    set_precision(config, 'bf16')
    assert config.optim_wrapper == dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1))
    assert config.default_hooks.precision.loss_scale == 512.0


@pytest.mark.parametrize('kind', ['mmengine.AmpOptimWrapper', 'mmengine.optim.AmpOptimWrapper'])
def test_precision_replaces_it_for_each_of_several_optimizers(kind: str) -> None:
    part = dict(optimizer=dict(type='SGD', lr=1))
    wrapper = dict(constructor='Own', generator=dict(part, type=kind), critic=dict(part, type=kind))
    config = Config(dict(optim_wrapper=wrapper, custom_hooks=[dict(type='mmext.Fp16Hook')]))
    set_precision(config, 'fp32')
    plain = dict(part, type='OptimWrapper')
    assert config.optim_wrapper == dict(constructor='Own', generator=plain, critic=plain)
    (hook,) = config.custom_hooks
    assert hook.precision == 'fp32' and not config.default_hooks


def test_precision_replaces_it_in_a_config_of_classes(tmp_path: Path) -> None:
    """As mmengine's newer style has it, where types are imported."""
    file = tmp_path / 'classes.py'
    file.write_text(
        'from mmengine.optim import AmpOptimWrapper\n'
        'from torch.optim import SGD\n'
        'optim_wrapper = dict(type=AmpOptimWrapper, optimizer=dict(type=SGD, lr=1))\n'
    )
    config = load_config(str(file))
    set_precision(config, 'bf16')
    assert config.optim_wrapper.type == 'OptimWrapper'
    assert config.default_hooks.precision.precision == 'bf16'


def test_random_weights_are_not_frozen() -> None:
    pretrained = dict(type='Pretrained', checkpoint='resnet.pth')
    frozen = dict(frozen_stages=1, norm_eval=True, norm_cfg=dict(type='BN', requires_grad=False))
    model = dict(
        backbone=dict(frozen, init_cfg=pretrained),
        flow=dict(frozen),  # was random before: as its author wants it
        neck=dict(init_cfg=[dict(type='Xavier'), pretrained], norm_cfg=None),
    )
    config = Config(dict(model=model))
    assert thaw_pretrained(config) == [
        'model.backbone.frozen_stages=-1',
        'model.backbone.norm_eval=False',
        'model.backbone.norm_cfg.requires_grad=True',
    ]
    backbone = config.model.backbone
    assert (backbone.frozen_stages, backbone.norm_eval) == (-1, False)
    assert backbone.norm_cfg == dict(type='BN', requires_grad=True)
    assert config.model.flow == frozen
    assert thaw_pretrained(config) == []
