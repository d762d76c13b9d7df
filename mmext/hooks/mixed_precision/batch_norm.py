"""Batch statistics that a skipped step leaves as they were.

BatchNorm updates its running mean and variance in the forward pass. When the
step turns out to have overflowed, infinities there would outlive it and spoil
every evaluation.
"""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase


class BatchNormSnapshot:
    """The running statistics at one moment.

    Args:
        model: its BatchNorm and SyncBatchNorm layers in training mode are remembered.
    """

    def __init__(self, model: nn.Module) -> None:
        self._live: list[Tensor] = [
            buffer
            for module in model.modules()
            if isinstance(module, _NormBase) and module.training and module.track_running_stats
            for buffer in module.buffers(recurse=False)
        ]
        self._saved = [buffer.clone() for buffer in self._live]

    @torch.no_grad()
    def restore(self) -> None:
        """Write the remembered values back."""
        for buffer, saved in zip(self._live, self._saved, strict=True):
            buffer.copy_(saved)
