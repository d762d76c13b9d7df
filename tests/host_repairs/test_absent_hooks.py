"""Hooks that are None, in a real runner."""

import sys
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from mmengine.hooks import EMAHook

from mmext.configuration import add_guards
from mmext.host_repairs.absent_hooks import OWN_OF_HOST
from mmext.host_repairs.configs import adapt_config

sys.path.insert(0, str(Path(__file__).parent))
from toy_training import toy_runner

NORMAL = {'RuntimeInfoHook', 'IterTimerHook', 'DistSamplerSeedHook', 'LoggerHook'}
NORMAL |= {'ParamSchedulerHook', 'CheckpointHook'}


def hooks_of(folder: Path, **written: Any) -> list[str]:
    """The classes of the hooks of a runner with such a config."""
    config = Config(written)
    adapt_config(config, single_process=True)
    return [type(hook).__name__ for hook in toy_runner(folder, 1, **config).hooks]


def test_the_host_refuses_them(tmp_path: Path) -> None:
    with pytest.raises(AssertionError) as caught:
        toy_runner(tmp_path, 1, default_hooks=dict(mlflow=None))
    assert not str(caught.value)
    with pytest.raises(TypeError):
        toy_runner(tmp_path, 1, custom_hooks=[None])


def test_any_hook_is_off(tmp_path: Path) -> None:
    assert len(OWN_OF_HOST) == len(NORMAL)
    left = dict.fromkeys(OWN_OF_HOST)
    assert hooks_of(tmp_path, default_hooks={**left, 'mlflow': None, 'visualization': None}) == []
    assert set(hooks_of(tmp_path, default_hooks=dict(mlflow=None))) == NORMAL
    for name in OWN_OF_HOST:
        assert len(set(hooks_of(tmp_path, default_hooks={name: None, 'mlflow': None}))) == 5


def test_custom_hooks_that_are_none(tmp_path: Path) -> None:
    found = hooks_of(tmp_path, custom_hooks=[None, dict(type='EMAHook'), None])
    assert EMAHook.__name__ in found
    assert 'EMAHook' not in hooks_of(tmp_path, custom_hooks=[None], default_hooks=None)


def test_a_guard_that_is_off_stays_off() -> None:
    config = Config(dict(default_hooks=dict(data_check=None, finite_weights=None)))
    add_guards(config)
    adapt_config(config, single_process=True)
    assert list(config.default_hooks) == ['data_workers']
