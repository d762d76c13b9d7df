"""A training that is a trial of a sweep: reports its validations, and stops where it is told to."""

from collections.abc import Mapping
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmext.errors import InputError
from mmext.registry import HOOKS
from mmext.sweep.studies import Reporter


@HOOKS.register_module()
class SweepTrialHook(Hook):
    """Reports each validation to the sweep that started this training; added by ``mmext sweep``.

    Where others were better at this point, the training ends as after its last iteration: FINISHED
    in MLflow, with its checkpoints. Which sweep it belongs to stands in the environment. In a
    training that no sweep has started the hook does nothing: the config of a trial can be trained
    again as it is.

    Raises:
        InputError: the validation has no such metric.
    """

    priority = 'LOW'  # after what changes the results

    def __init__(self) -> None:
        self._reporter: Reporter | None = None

    def before_train(self, runner: Runner) -> None:
        """Look for the sweep."""
        self._reporter = Reporter.from_environment() if is_main_process() else None

    def after_val_epoch(self, runner: Runner, metrics: Mapping[str, Any] | None = None) -> None:
        """Report, and stop the training if the others were better."""
        stop = [False]
        if self._reporter is not None:
            stop = [self._report(self._reporter, runner, metrics or {})]
        broadcast_object_list(stop)
        if stop[0]:
            runner.logger.info('the sweep stops this trial: others were better at this point')
            runner.train_loop.stop_training = True

    def after_run(self, runner: Runner) -> None:
        """Say that this was all."""
        if self._reporter is not None:
            self._reporter.finish()

    def _report(self, reporter: Reporter, runner: Runner, metrics: Mapping[str, Any]) -> bool:
        name = reporter.judging.metric
        if name not in metrics:
            raise InputError(
                f'--metric {name}: the validation has no such result, it has '
                f'{", ".join(sorted(metrics)[:30]) or "none"}'
            )
        loop = runner.train_loop
        if isinstance(loop, EpochBasedTrainLoop):
            return reporter.report(metrics[name], runner.epoch, runner.epoch >= loop.max_epochs)
        return reporter.report(metrics[name], runner.iter, runner.iter >= loop.max_iters)
