"""The gradient norm of runs that do not clip their gradients.

mmengine knows the norm only as a by-product of clipping. By the time that hooks
are called the gradients are gone, so it is taken where torch lets one in: right
before the optimizer's step.
"""

from typing import Any

import torch


class GradientNorm:
    """Measures the L2 norm over all parameters at the steps it is asked for.

    Args:
        optimizer: its ``step`` is observed.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._wanted = False
        self._norm: torch.Tensor | None = None
        self._handle = optimizer.register_step_pre_hook(self._measure)

    def want(self) -> None:
        """Measure at the next step."""
        self._wanted = True

    def take(self) -> float | None:
        """The norm measured since the last call."""
        norm, self._norm = self._norm, None
        return None if norm is None else float(norm)

    def remove(self) -> None:
        """Leave the optimizer alone."""
        self._handle.remove()

    def _measure(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if not self._wanted:
            return
        self._wanted = False
        groups = optimizer.param_groups
        gradients = [p.grad for group in groups for p in group['params'] if p.grad is not None]
        gradients = [g.coalesce().values() if g.is_sparse else g for g in gradients]
        if gradients:
            norms = torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients])
            self._norm = torch.linalg.vector_norm(norms)
