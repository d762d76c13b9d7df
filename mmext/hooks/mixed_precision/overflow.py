"""What to know and to do about steps that were skipped because gradients were not finite.

A skip now and then is how dynamic loss scaling finds its scale. Skips in a row
mean that something overflows whatever the scale: then the next iteration is
watched module by module to find out where.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from mmext.errors import InputError

ADVICE = (
    'Lower the learning rate or warm it up, clip gradients (optim_wrapper.clip_grad), or look at '
    'the data of these iterations'
)
ACTIONS = ('warn', 'floor', 'fp32', 'abort')


class DivergedError(InputError, FloatingPointError):
    """A training whose values are not finite any more: settings or data have to change."""


class OverflowLog:
    """Counts skipped steps.

    Args:
        patience: this many in a row call for action.
        action: what the optimizer wrapper does then, one of ``ACTIONS``.

    Raises:
        InputError: on an unknown action or a patience below 1.
    """

    def __init__(self, patience: int, action: str) -> None:
        if action not in ACTIONS:
            raise InputError(f'on_overflow: expected one of {", ".join(ACTIONS)}, got {action!r}')
        if patience < 1:
            raise InputError(f'patience: expected at least 1, got {patience}')
        self.patience = patience
        self.action = action
        self.steps = 0
        self.skipped = 0
        self.in_a_row = 0
        self.scale_before = 1.0
        self.parameter: str | None = None
        self.module: str | None = None

    @property
    def skip_rate(self) -> float:
        """Skipped steps by all steps."""
        return self.skipped / max(self.steps, 1)

    @property
    def is_due(self) -> bool:
        """Whether it is time to act."""
        return self.in_a_row > 0 and self.in_a_row % self.patience == 0

    def step(self, skipped: bool, scale: float) -> None:
        """Count a step; ``scale`` is the loss scale that it was taken with."""
        self.steps += 1
        if not skipped:
            self.in_a_row = 0
            self.module = None
            return
        if not self.in_a_row:
            self.scale_before = scale
        self.skipped += 1
        self.in_a_row += 1

    def diagnosis(self, scale: float) -> str:
        """What is known, in a sentence."""
        where = self.module or 'not seen at the output of a module'
        return (
            f'{self.in_a_row} steps in a row had gradients that are not finite (loss scale '
            f'{scale:g}, {self.skipped} of {self.steps} steps skipped); first value that is not '
            f'finite: {where}; first such gradient: {self.parameter}'
        )

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """Find the first module whose output, or gradient of it, is not finite.

        Does nothing unless the last two steps were skipped and it is not known yet.
        """
        if self.in_a_row < min(2, self.patience - 1) or self.in_a_row == 0 or self.module:
            yield
            return
        names = {module: path for path, module in model.named_modules()}

        def note(text: str) -> None:
            self.module = self.module or text

        def look(module: nn.Module, _: Any, outputs: Any) -> None:
            path = names.get(module)
            for output in _tensors(outputs) if path else ():
                if not output.isfinite().all():
                    note(f'output of {path}')
                elif output.requires_grad:
                    output.register_hook(
                        lambda gradient: (
                            note(f'gradient at the output of {path}')
                            if not gradient.isfinite().all()
                            else None
                        )
                    )

        handle = register_module_forward_hook(look)
        try:
            yield
        finally:
            handle.remove()


def first_nonfinite_gradient(model: nn.Module) -> str | None:
    """The first parameter, in the order of the model, whose gradient is not finite."""
    for name, parameter in model.named_parameters():
        if parameter.grad is not None and not parameter.grad.isfinite().all():
            return name
    return None


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def has_gradients(optimizer: torch.optim.Optimizer) -> bool:
    """Whether any parameter has taken part."""
    return any(p.grad is not None for group in optimizer.param_groups for p in group['params'])


def gradient_norm(optimizer: torch.optim.Optimizer) -> float:
    """L2 norm of all gradients; inf or nan if one of them is not finite."""
    gradients = [
        p.grad.coalesce().values() if p.grad.is_sparse else p.grad
        for group in optimizer.param_groups
        for p in group['params']
        if p.grad is not None
    ]
    if not gradients:
        return 0.0
    norms = torch._foreach_norm(gradients)
    return float(torch.linalg.vector_norm(torch.stack([norm.to(norms[0]) for norm in norms])))
