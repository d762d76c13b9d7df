"""MMSyncBN in one process: the same keys and the same numbers as a group of one would give."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mmcv.ops
import torch
from mmcv.cnn import build_norm_layer
from mmdet.registry import MODELS
from mmengine.config import Config

from mmext.host_repairs.batch_norm import use_plain_batch_norm
from mmext.host_repairs.configs import adapt_config

_GROUP_OF_ONE = """
import json, sys
import torch
from mmcv.ops import SyncBatchNorm
place = f'file://{sys.argv[1]}'
torch.distributed.init_process_group('gloo', init_method=place, rank=0, world_size=1)
state = SyncBatchNorm(3).state_dict()
print(json.dumps({key: list(value.shape) for key, value in state.items()}))
torch.distributed.destroy_process_group()
"""


def model(**norm: Any) -> dict[str, Any]:
    return dict(
        type='FPN',
        in_channels=[3],
        out_channels=3,
        num_outs=1,
        norm_cfg=dict(norm),
        _scope_='mmdet',
    )


def test_only_mmcvs_own_is_replaced_and_only_in_one_process() -> None:
    heads = [
        model(type='MMSyncBN', requires_grad=True, stats_mode='N'),
        model(type=mmcv.ops.SyncBatchNorm),
        model(type='SyncBN'),
        model(type=torch.nn.SyncBatchNorm),
    ]
    config = Config(dict(default_scope='mmdet', model=dict(neck=heads[0], bbox_head=heads[1:])))
    assert adapt_config(config.copy(), single_process=False) == []
    (line,) = adapt_config(config, single_process=True)
    assert 'model.neck.norm_cfg, model.bbox_head.0.norm_cfg' in line and '\n' not in line
    assert config.model.neck.norm_cfg == dict(type='BN', requires_grad=True)
    kinds = [head.norm_cfg.type for head in config.model.bbox_head]
    assert kinds == ['BN', 'SyncBN', torch.nn.SyncBatchNorm]
    MODELS.build(config.model.neck)


def test_checkpoints_have_the_same_keys(run_to_end: Callable[..., Any], tmp_path: Path) -> None:
    done = run_to_end([sys.executable, '-c', _GROUP_OF_ONE, tmp_path / 'group'])
    keys = json.loads(done.stdout.splitlines()[-1])
    name, plain = build_norm_layer(dict(type='BN'), 3)
    assert name == 'bn'  # mmcv names both so
    assert {key: list(value.shape) for key, value in plain.state_dict().items()} == keys


def test_an_empty_batch_changes_no_statistics() -> None:
    """Why the host's configs chose it: mask heads without a sample."""
    config = Config(dict(model=model(type='MMSyncBN')))
    use_plain_batch_norm(config)
    _, norm = build_norm_layer(config.model.norm_cfg, 3)
    norm(torch.zeros(0, 3, 4, 4, requires_grad=True)).sum().backward()
    assert norm.running_mean.tolist() == [0, 0, 0] and norm.running_var.tolist() == [1, 1, 1]
    assert norm.weight.grad.tolist() == [0, 0, 0]
