"""Weights that belong to a model and weights that do not."""

from pathlib import Path
from typing import Any

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from mmext.errors import InputError
from mmext.inference.checkpoints import (
    check_pretrained,
    load_checkpoint,
    load_weights,
    resolve_torchvision,
)


class Versioned(nn.Module):
    """A layer whose old checkpoints call its weight `kernel`."""

    _version = 2

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.register_buffer('steps', torch.zeros(1))

    def _load_from_state_dict(self, state: dict, prefix: str, metadata: dict, *rest: Any) -> None:
        if metadata.get('version') == 1:
            state[f'{prefix}weight'] = state.pop(f'{prefix}kernel')
        super()._load_from_state_dict(state, prefix, metadata, *rest)


def test_loads_weights_of_the_model_in_place() -> None:
    source, target = (nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)) for _ in range(2))
    state = source.state_dict()
    del state['1.running_mean'], state['1.num_batches_tracked']  # buffers may be missing
    state['unknown'] = torch.zeros(1)
    load_weights(target, dict(state_dict=state), 'x.pth')
    torch.testing.assert_close(target[0].weight, source[0].weight)


def test_old_key_layouts_are_converted() -> None:
    state = nn.Sequential(Versioned()).state_dict()
    state['0.kernel'] = torch.tensor([3.0, 4.0])
    del state['0.weight'], state['0.steps']
    state._metadata['0']['version'] = 1  # type: ignore[attr-defined]
    target = nn.Sequential(Versioned())
    load_weights(target, dict(state_dict=state), 'x.pth')
    assert target[0].weight.tolist() == [3.0, 4.0]


@pytest.mark.parametrize('allow_partial', [True, False])
def test_partial_weights(allow_partial: bool) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5))
    state = {'0.weight': torch.ones(4, 3), '0.bias': torch.ones(9), '1.bias': torch.ones(5)}
    checkpoint = dict(state_dict=state)
    if allow_partial:
        load_weights(model, checkpoint, 'x.pth', allow_partial=True)
        assert model[0].weight.eq(1).all() and model[1].bias.eq(1).all()
        return
    expected = (
        r'x.pth is of another model: 2 of the 4 parameters of Sequential are in it; '
        r'1 missing \(1.weight\); 1 of another shape \(0.bias \[9\] for \[4\]\)'
    )
    with pytest.raises(InputError, match=expected):
        load_weights(model, checkpoint, 'x.pth')


def test_nothing_in_common_is_never_accepted() -> None:
    with pytest.raises(
        InputError, match=r'0 of the 2 .*7 unknown to the model \(k0, k1, k2, ...\)'
    ):
        load_weights(
            nn.Linear(1, 1),
            dict(state_dict={f'k{i}': torch.zeros(1) for i in range(7)}),
            'x.pth',
            allow_partial=True,
        )


@pytest.mark.parametrize(
    ('source', 'reason'),
    [
        ('{tmp}/damaged.pth', 'damaged file'),
        ('{tmp}/gone.pth', '{tmp}/gone.pth does not exist'),
        ('torchvision://resnet50.imagenet1k_v2', 'no address is known without the package torch'),
        ('open-mmlab://no/such_weights', 'no weights of this name are known'),
        ('http://127.0.0.1:9/weights.pth', 'download failed'),
    ],
)
def test_pretrained_weights_that_cannot_be_had(source: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / 'damaged.pth').write_bytes(b'PK\x03\x04 truncated')
    init = dict(type='Pretrained', checkpoint=source.format(tmp=tmp_path))
    config = Config(dict(model=dict(backbone=dict(init_cfg=init))))
    with pytest.raises(InputError) as raised:
        check_pretrained(config)
    message = str(raised.value)
    assert reason.format(tmp=tmp_path) in message and '--no-pretrained' in message
    assert 'model.backbone.init_cfg.checkpoint=FILE' in message and '\n' not in message


# https://download.pytorch.org/models/, the first weights of each network
FILES = dict(
    resnet18='resnet18-f37072fd.pth',
    resnet34='resnet34-b627a593.pth',
    resnet50='resnet50-0676ba61.pth',
    resnet101='resnet101-63fe2227.pth',
    resnet152='resnet152-394f9c45.pth',
    resnext50_32x4d='resnext50_32x4d-7cdf4587.pth',
    resnext101_32x8d='resnext101_32x8d-8ba56ff5.pth',
    vgg16='vgg16-397923af.pth',
    mobilenet_v2='mobilenet_v2-b0353104.pth',
)


@pytest.mark.parametrize('name', FILES)
def test_names_of_torchvision_become_addresses(name: str) -> None:
    init = dict(type='Pretrained', checkpoint=f'torchvision://{name}')
    parts = dict(backbone=dict(init_cfg=[init]), teacher=dict(pretrained=f'modelzoo://{name}'))
    config = Config(dict(model=parts))
    resolve_torchvision(config)
    address = f'https://download.pytorch.org/models/{FILES[name]}'
    assert config.model.backbone.init_cfg[0].checkpoint == address
    assert config.model.teacher.pretrained == address


@pytest.mark.parametrize(
    'source', ['torchvision://resnet50.imagenet1k_v2', 'torchvision://shufflenetv2_x1.5', 'x.pth']
)
def test_other_weights_keep_their_names(source: str) -> None:
    config = Config(dict(model=dict(init_cfg=dict(type='Pretrained', checkpoint=source))))
    resolve_torchvision(config)
    resolve_torchvision(Config())
    assert config.model.init_cfg.checkpoint == source


def test_weights_in_the_cache_need_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    init_default_scope('mmdet')
    init = dict(type='Pretrained', checkpoint='torchvision://resnet18')
    small = dict(type='ResNet', depth=18, base_channels=2, stem_channels=2, init_cfg=init)
    config = Config(dict(model=dict(type='mmdet.X', backbone=small)))
    resolve_torchvision(config)
    weights = MODELS.build(dict(small, init_cfg=None)).state_dict()
    weights = {key: torch.full_like(item, 3) for key, item in weights.items()}
    file = tmp_path / 'hub' / 'checkpoints' / FILES['resnet18']
    file.parent.mkdir(parents=True)
    torch.save(weights, file)
    check_pretrained(config)
    backbone = MODELS.build(config.model.backbone)
    backbone.init_weights()
    assert all(item.eq(3).all() for item in backbone.state_dict().values())
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(InputError, match=f'resnet18-.*: damaged file in {file.parent} '):
        check_pretrained(config)


def test_pretrained_weights_that_load(tmp_path: Path) -> None:
    torch.save({'weight': torch.zeros(1)}, tmp_path / 'good.pth')
    init = dict(type='Pretrained', checkpoint=str(tmp_path / 'good.pth'))
    check_pretrained(Config(dict(model=dict(backbone=dict(init_cfg=[init])))))
    check_pretrained(Config())


@pytest.mark.parametrize(
    ('name', 'weight', 'words'),
    [
        (3, torch.ones(2), 'its entry 3 is named by no text'),
        ('w', torch.ones(2, 2).to_sparse(), r"'w' is of torch\.float32 and torch\.sparse_coo"),
        ('w', torch.ones(2, dtype=torch.complex64), r"'w' is of torch\.complex64"),
        ('w', torch.ones(2, device='meta'), "'w' has a shape and no numbers"),
    ],
)
def test_entries_that_no_model_has(name: Any, weight: Any, words: str, tmp_path: Path) -> None:
    torch.save({'state_dict': {name: weight}}, tmp_path / 'x.pth')
    with pytest.raises(InputError, match=words):
        load_checkpoint(str(tmp_path / 'x.pth'))
