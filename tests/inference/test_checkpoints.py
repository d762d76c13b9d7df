"""Weights that belong to a model and weights that do not."""

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmext.errors import InputError
from mmext.inference.checkpoints import check_pretrained, latest_checkpoint, load_weights


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


def test_latest_checkpoint(tmp_path: Path) -> None:
    assert latest_checkpoint(str(tmp_path)) is None
    (tmp_path / 'last_checkpoint').write_text('/elsewhere/epoch_3.pth')
    assert latest_checkpoint(str(tmp_path)) == '/elsewhere/epoch_3.pth'
    (tmp_path / 'epoch_3.pth').touch()
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / 'epoch_3.pth')
    (tmp_path / 'other.pth').touch()
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'other.pth'))
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / 'other.pth')


@pytest.mark.parametrize(
    ('source', 'reason'),
    [
        ('{tmp}/damaged.pth', 'damaged file'),
        ('{tmp}/gone.pth', '{tmp}/gone.pth does not exist'),
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


def test_pretrained_weights_that_load(tmp_path: Path) -> None:
    torch.save({'weight': torch.zeros(1)}, tmp_path / 'good.pth')
    init = dict(type='Pretrained', checkpoint=str(tmp_path / 'good.pth'))
    check_pretrained(Config(dict(model=dict(backbone=dict(init_cfg=[init])))))
    check_pretrained(Config())
