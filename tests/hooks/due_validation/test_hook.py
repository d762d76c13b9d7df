"""A training that was killed before or in a validation, and resumed, has every validation."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmext.hooks.due_validation.hook import KEY

sys.path.append(str(Path(__file__).parents[2] / 'host_repairs'))
from toy_training import Rising, toy_runner

STEPS_PER_EPOCH = 2

pytestmark = pytest.mark.usefixtures('fresh_runs')


class Falling(Rising):
    """A metric whose first result is the best."""

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """The weight, which the training shrinks."""
        return {'score': float(self.value())}

    def value(self) -> float:
        """Set by the test."""
        raise NotImplementedError


class Validations(Hook):
    """Notes at which step there was a validation, and stops the training at one as a kill does."""

    priority = 'LOWEST'

    def __init__(self, killed_at: int | None, when: str) -> None:
        self.results: list[tuple[int, float]] = []
        self._killed_at, self._when = killed_at, when

    def before_val_epoch(self, runner: Runner) -> None:
        """Die."""
        if (runner.iter, 'before') == (self._killed_at, self._when):
            raise KeyboardInterrupt

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Note, and die."""
        assert metrics is not None
        self.results.append((runner.iter, metrics['toy/score']))
        if (runner.iter, 'after') == (self._killed_at, self._when):
            raise KeyboardInterrupt


def validations(
    folder: Path, loop: dict[str, Any], rule: str, killed_at: int | None = None, when: str = '',
    resume: bool = False,
) -> list[tuple[int, float]]:  # fmt: skip
    """Train; at which steps there was a validation, with the results."""
    torch.manual_seed(0)
    metric = Falling()
    by_epoch = loop['type'] == 'EpochBasedTrainLoop'
    runner = toy_runner(
        folder, 0, resume=resume, train_cfg=loop, val_evaluator=Evaluator(metric),
        default_hooks=dict(
            checkpoint=dict(
                type='CheckpointHook', interval=1, by_epoch=by_epoch, save_best='toy/score',
                rule=rule,
            ),
            due=dict(type='mmext.DueValidationHook'),
        ),
        experiment_name=f'{folder} {killed_at} {when} {resume}'.replace('/', ' '),
    )  # fmt: skip
    weight = runner.model.layer.weight
    metric.value = lambda: weight.detach().square().sum().item()  # type: ignore[method-assign]
    noted = Validations(killed_at, when)
    runner.register_hook(noted)
    with suppress(KeyboardInterrupt):
        runner.train()
    return noted.results


EPOCHS = dict(type='EpochBasedTrainLoop', max_epochs=5, val_interval=2)
ITERATIONS = dict(type='IterBasedTrainLoop', max_iters=10, val_interval=4)


@pytest.mark.parametrize('loop', [EPOCHS, ITERATIONS], ids=['epochs', 'iterations'])
@pytest.mark.parametrize('killed_at', [4, 8, 10])
@pytest.mark.parametrize('when', ['before', 'after'])
@pytest.mark.parametrize('rule', ['less', 'greater'])
def test_no_validation_is_missing(
    loop: dict[str, Any], killed_at: int, when: str, rule: str, tmp_path: Path
) -> None:
    unbroken = validations(tmp_path / 'unbroken', loop, rule)
    assert [step for step, _ in unbroken] == [4, 8, 10]
    first = validations(tmp_path / 'killed', loop, rule, killed_at, when)
    rest = validations(tmp_path / 'killed', loop, rule, resume=True)
    assert dict(first + rest) == dict(unbroken)
    # the score falls: where the least counts each is a new best, saved with its validation
    repeated = when == 'after' and rule == 'greater' and killed_at > 4
    assert len(first + rest) == len(unbroken) + repeated
    bests = [{file.name for file in (tmp_path / folder).glob('best_*')}
             for folder in ('unbroken', 'killed')]  # fmt: skip
    assert bests[0] == bests[1] and len(bests[0]) == 1


def test_what_is_not_due_is_not_done(tmp_path: Path) -> None:
    """Neither at the start of a training, nor where one was stopped between two validations."""
    validations(tmp_path, ITERATIONS, 'less', killed_at=8, when='before')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'iter_6.pth'))
    assert torch.load(tmp_path / 'iter_6.pth', weights_only=False)['message_hub'][
        'runtime_info'][KEY] == 4  # fmt: skip
    steps = [step for step, _ in validations(tmp_path, ITERATIONS, 'less', resume=True)]
    assert steps == [8, 10]
