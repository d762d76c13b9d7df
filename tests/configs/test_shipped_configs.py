"""Every shipped config trains one step and validates on a miniature of its own data set.

`small_configs.py` says what is changed for that. Nothing else is.
"""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from small_configs import small_config

from mmext.configuration import set_mlflow
from mmext.host import import_mmdet
from mmext.pipelines.data_checks import check_data

CONFIGS = Path(__file__).parents[2] / 'configs'
FILES = sorted(
    path.relative_to(CONFIGS).as_posix()
    for path in CONFIGS.rglob('*.py')
    if '_base_' not in path.parts
)


def start(config: Config, work_dir: Path) -> Runner:
    """The runner of tools/train.py."""
    set_mlflow(config, 'off')
    config.work_dir, config.log_level = str(work_dir), 'WARNING'
    config.experiment_name = work_dir.name
    check_data(config, ('train', 'val', 'test'))
    import_mmdet()
    torch.manual_seed(0)
    return Runner.from_cfg(config)


def metrics_of(runner: Runner, loop: str) -> dict[str, float]:
    """What the evaluators of a loop have said."""
    scalars = runner.message_hub.log_scalars
    return {
        name.removeprefix(f'{loop}/'): scalar.current()
        for name, scalar in scalars.items()
        if name.startswith(f'{loop}/')
    }


@pytest.mark.parametrize('file', FILES)
def test_a_step_and_a_validation(
    file: str,
    miniature: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    data_root = Config.fromfile(CONFIGS / file).data_root
    config = small_config(CONFIGS / file, miniature(data_root))
    runner = start(config, tmp_path)
    before = {name: p.detach().clone() for name, p in runner.model.named_parameters()}
    runner.train()
    assert runner.iter == 1
    assert math.isfinite(runner.message_hub.get_scalar('train/loss').current())
    after = dict(runner.model.named_parameters())
    assert any(not before[name].equal(after[name]) for name in before)
    found = metrics_of(runner, 'val')
    for metric in runner.val_evaluator.metrics:
        assert any(name.startswith(f'{metric.prefix}/') for name in found), (metric, found)
