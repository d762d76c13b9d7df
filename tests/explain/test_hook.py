"""The hook in a real training: sheets on disk and on MLflow's slider; what fails stops nothing."""

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmext.errors import InputError
from mmext.explain.hook import ExplainHook


def run(learned: Path, tmp_path: Path, explain: dict[str, Any]) -> Runner:
    """Validate once after one iteration, from the learned weights."""
    stored = torch.load(learned, weights_only=False)['meta']['cfg']
    config = Config.fromstring(stored, '.py')
    sampler = dict(type='DefaultSampler', shuffle=False)
    config.merge_from_dict(
        dict(
            work_dir=str(tmp_path / 'work'), load_from=str(learned),
            train_dataloader=dict(sampler=sampler), val_dataloader=dict(sampler=sampler),
            train_cfg=dict(type='IterBasedTrainLoop', max_iters=1, val_interval=1),
            val_cfg=dict(type='ValLoop'),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-6)),
            default_hooks=dict(
                explain=explain,
                checkpoint=None,
                mlflow=dict(type='mmext.MLflowHook', tracking_uri=f'sqlite:///{tmp_path}/m.db',
                            system_interval_s=0, model=False, checkpoints='none', images=0),
            ),
            log_level='ERROR',
        )
    )  # fmt: skip
    config.val_evaluator = dict(
        type='mmext.CocoDetectionMetric',
        ann_file=str(learned.parent / 'data/annotations/instances_train2017.json'),
        metric='bbox',
    )
    config.pop('test_dataloader')
    runner = Runner.from_cfg(config)
    runner.train()
    return runner


def test_the_worst_images_are_explained(learned: Path, tmp_path: Path) -> None:
    runner = run(learned, tmp_path, dict(type='mmext.ExplainHook', images=2, method='odam'))
    sheets = sorted(Path(runner.log_dir, 'explained').glob('val_000001_*.jpg'))
    assert len(sheets) == 2
    assert sheets[0].stat().st_size > 1000
    sent = [path.name for path in tmp_path.rglob('*explain~worst_*.png')]
    assert len(sent) == 2


def test_a_failure_stops_nothing(
    learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError('no')

    monkeypatch.setattr(ExplainHook, '_explain', fail)
    runner = run(learned, tmp_path, dict(type='mmext.ExplainHook'))
    assert runner.iter == 1


@pytest.mark.parametrize('wrong', [dict(images=0), dict(interval=0), dict(method='gradcom')])
def test_wrong_values_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r'expected at least 1|there is gradcam'):
        ExplainHook(**wrong)
