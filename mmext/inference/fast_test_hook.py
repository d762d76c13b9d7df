"""A test run that predicts with a fast copy of the model."""

import copy
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner

from mmext.hooks.mixed_precision.hook import MixedPrecisionHook
from mmext.inference.fast import fast


class FastTestHook(Hook):
    """Puts a fast copy of the model in its place while a test lasts; see :func:`.fast.fast`.

    Args:
        precision: of the copy; None takes that of the config's mixed precision, fp32 without one.
    """

    priority = 'VERY_LOW'  # after hooks that change weights, as a moving average does

    def __init__(self, precision: str | None = None) -> None:
        self.precision = precision
        self._plain: Any = None

    def before_test_epoch(self, runner: Runner) -> None:
        """Make the copy."""
        precision = self.precision or _configured(runner)
        self._plain = runner.model
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if isinstance(model, BaseTTAModel):  # it calls the model once for each augmented image
            runner.model = copy.copy(model)
            runner.model._modules = {**model._modules, 'module': fast(model.module, precision)}
        else:
            runner.model = fast(model, precision)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Put the model back."""
        runner.model = self._plain


def _configured(runner: Runner) -> str:
    hook = next((hook for hook in runner.hooks if isinstance(hook, MixedPrecisionHook)), None)
    return hook.settings.precision if hook is not None and hook.val else 'fp32'
