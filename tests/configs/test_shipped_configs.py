"""Every shipped config trains one step and validates on a miniature of its own data set.

`small_configs.py` says what is changed for that. Nothing else is.
"""

import contextlib
import math
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from small_configs import small_config, start

from mmext.configuration import load_config, use_test_time_augmentation, walk

CONFIGS = Path(__file__).parents[2] / 'configs'
FILES = sorted(
    path.relative_to(CONFIGS).as_posix()
    for path in CONFIGS.rglob('*.py')
    if '_base_' not in path.parts
)
# networks with optimizers of their own: tests/translation takes their steps
OTHER_PICTURES = [
    file
    for file in FILES
    if file.startswith(('translation/super', 'translation/stylist', 'translation/crops'))
]
WITH_TEST_TIME_AUGMENTATION = [
    *('centernet.py', 'centernet/pose-hourglass104_50e_coco.py'),
    *('centernet/triplet-hourglass52_480k_coco.py', 'mmdet/cornernet_hourglass52.py'),
]
Miniature = Callable[[str], Path]


@pytest.mark.parametrize('file', [file for file in FILES if file not in OTHER_PICTURES])
def test_a_step_and_a_validation(
    file: str,
    miniature: Miniature,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.chdir(tmp_path)
    config = small_config(str(CONFIGS / file), miniature)
    mlflow = 'off'
    if file.startswith('mmdet/'):  # they are there for our hooks
        shutil.copy(request.getfixturevalue('empty_store'), tmp_path / 'runs.db')
        mlflow = f'sqlite:///{tmp_path}/runs.db'
    runner = start(config, tmp_path / 'run', mlflow)
    before = {name: p.detach().clone() for name, p in runner.model.named_parameters()}
    runner.train()
    assert runner.iter == runner.max_iters
    assert math.isfinite(runner.message_hub.get_scalar('train/loss').current())
    after = dict(runner.model.named_parameters())
    assert any(not before[name].equal(after[name]) for name in before)
    assert_all_parameters_learn(runner)
    assert_every_metric_speaks(runner, 'val')
    assert_classes_fit(config.model, runner.train_dataloader.dataset.metainfo)
    if config.test_evaluator != config.val_evaluator:
        runner.test()
    if mlflow != 'off':
        assert runs_in(tmp_path / 'runs.db') == ['FINISHED']


def assert_all_parameters_learn(runner: Runner) -> None:
    """Parameters without a gradient end a run on several GPUs."""
    wrappers = runner.optim_wrapper
    wrappers = wrappers.values() if isinstance(wrappers, OptimWrapperDict) else [wrappers]
    state = {p for wrapper in wrappers for p in wrapper.optimizer.state}
    learning = {n: p for n, p in runner.model.named_parameters() if p.requires_grad}
    assert not [name for name, parameter in learning.items() if parameter not in state]


def assert_every_metric_speaks(runner: Runner, loop: str) -> None:
    """Each metric has logged something under its prefix.

    One of the host's has none, and of attributes nothing is said before a face is found.
    """
    said = [name for name in runner.message_hub.log_scalars if name.startswith(f'{loop}/')]
    for metric in getattr(runner, f'{loop}_evaluator').metrics:
        if type(metric).__name__ == 'FaceAttributeMetric':
            continue
        start = f'{loop}/{metric.prefix}/' if metric.prefix else f'{loop}/mIoU'
        assert any(name.startswith(start) for name in said), (metric, said)


def assert_classes_fit(model: Config, meta: Mapping[str, Any]) -> None:
    """The numbers of classes and key points in the model are those of the data set."""
    things = meta.get('thing_classes', meta.get('classes', ()))  # folders have none
    wanted = dict(num_classes=len(things), num_things_classes=len(things))
    wanted['num_stuff_classes'] = len(meta.get('stuff_classes', ()))
    wanted['num_joints'] = len(meta.get('keypoints', ()))
    # a panoptic detector hands its numbers to its heads
    parts = [('model', model)] if 'num_things_classes' in model else walk(model, 'model')
    for place, part in parts:
        for key in wanted.keys() & part.keys():
            assert part[key] == wanted[key], f'{place}.{key}'
        if 'num_joints' in part:
            assert [*map(tuple, part['flip_pairs'])] == [*map(tuple, meta['flip_pairs'])]


def runs_in(database: Path) -> list[str]:
    """How the runs of an MLflow store ended."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return [status for (status,) in connection.execute('select status from runs')]


@pytest.mark.parametrize('file', WITH_TEST_TIME_AUGMENTATION)
def test_test_time_augmentation(
    file: str, miniature: Miniature, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = small_config(str(CONFIGS / file), miniature)
    use_test_time_augmentation(config)
    runner = start(config, tmp_path / 'run')
    runner.test()
    assert_every_metric_speaks(runner, 'test')


@pytest.mark.parametrize('file', FILES)
def test_the_batch_of_the_learning_rate_is_known(file: str) -> None:
    """`--auto-scale-lr` divides by it: on as many GPUs as published the rate stays."""
    config = load_config(str(CONFIGS / file))
    batch, published = config.train_dataloader.batch_size, config.auto_scale_lr.base_batch_size
    assert published == batch if file.endswith('_demo.py') else published % batch == 0
    assert config.default_hooks.checkpoint.get('max_keep_ckpts') or file.endswith('_demo.py')
