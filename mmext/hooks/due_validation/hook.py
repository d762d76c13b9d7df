"""The validation that a resumed training still owes."""

from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner

from mmext.registry import HOOKS

KEY = 'mmext_validated_at'
"""Of the message hub: the epochs, or iterations, that were done at the last validation."""


@HOOKS.register_module()
class DueValidationHook(Hook):
    """Validates at the start of a resumed training if its checkpoint was saved just before one.

    The host saves a checkpoint, then validates. Killed in between, a resumed training went on with
    the next step: the validation was missing for ever, and with it perhaps the best checkpoint.
    A checkpoint notes whether it was saved after its validation, as a new best one is.
    """

    priority = 'VERY_HIGH'  # notes a validation before it is saved

    def __init__(self) -> None:
        self._is_due = False

    def before_train(self, runner: Runner) -> None:
        """See whether a validation is due."""
        self._is_due = bool(runner._resume) and is_due(runner)

    def before_train_epoch(self, runner: Runner) -> None:
        """Validate; by now every hook has begun the training."""
        self._validate(runner)

    def after_train(self, runner: Runner) -> None:
        """Validate if there was nothing left to train."""
        self._validate(runner)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Note the validation."""
        runner.message_hub.update_info(KEY, _done(runner.train_loop)[0])

    def _validate(self, runner: Runner) -> None:
        if not self._is_due:
            return
        self._is_due = False
        runner.logger.info('the checkpoint was saved before its validation, which comes now')
        runner.val_loop.run()


def is_due(runner: Runner) -> bool:
    """Whether the loop would have validated at the step that a training goes on from."""
    loop = runner.train_loop
    if runner.val_loop is None or not isinstance(loop, EpochBasedTrainLoop | IterBasedTrainLoop):
        return False
    done, in_all = _done(loop)
    loop._decide_current_val_interval()
    falls_due = done % loop.val_interval == 0 or done == in_all
    validated = runner.message_hub.runtime_info.get(KEY)
    return bool(0 < done >= loop.val_begin and falls_due and validated != done)


def _done(loop: EpochBasedTrainLoop | IterBasedTrainLoop) -> tuple[int, int]:
    """What a loop has done, and all that it is to do, in its own unit."""
    if isinstance(loop, IterBasedTrainLoop):
        return loop.iter, loop.max_iters
    return loop.epoch, loop.max_epochs
