"""The loss scaler of fp16: torch's, with a floor, configured as in mmengine."""

import logging
import math
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.logging import print_log

from mmext.errors import InputError

_DYNAMIC = 'dynamic'
_MAX_SCALE = 2.0**40  # a gradient of 1e-7, whose scaled value is 1e5, overflows fp16 far below it


class LossScaler(torch.amp.GradScaler):
    """torch's gradient scaler that does not scale below a floor.

    Args:
        device_type: as in torch.
        min_scale: lowest scale.
        **options: ``init_scale``, ``growth_factor``, … as in torch.
    """

    def __init__(self, device_type: str, min_scale: float = 1.0, **options: Any) -> None:
        super().__init__(device_type, **options)
        self.min_scale = float(min_scale)  # torch takes a scale to be set as a float only

    def update(self, new_scale: Any = None) -> None:
        """Adapt the scale to what happened, or set it."""
        super().update(new_scale)
        if self.is_enabled() and self.get_scale() < self.min_scale:
            super().update(self.min_scale)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with a saved scale; one that no step could be taken with is not taken over."""
        scale = state_dict.get('scale', math.nan)
        if not (_is_positive(scale) and scale <= _MAX_SCALE):
            print_log(
                f'the loss scale of the checkpoint is {scale}: going on with {self.get_scale():g}',
                logger='current',
                level=logging.WARNING,
            )
            return
        super().load_state_dict(state_dict)


class StaticScaler(LossScaler):
    """A scale that stays, also when a checkpoint has another."""

    def update(self, new_scale: Any = None) -> None:
        """Forget the step."""
        super().update(self.get_scale() if new_scale is None else new_scale)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep to the configuration."""


def make_scaler(
    device_type: str, loss_scale: str | float | Mapping[str, Any], enabled: bool = True
) -> LossScaler:
    """A scaler from its configuration.

    Args:
        device_type: 'cpu', 'cuda', ….
        enabled: False for one that does nothing, as bf16 needs it.
        loss_scale: 'dynamic'; a number for a scale that stays; or a dict with ``init_scale``,
            ``growth_factor``, ``backoff_factor``, ``growth_interval``, ``min_scale``.

    Raises:
        InputError: it is none of these.
    """
    if loss_scale == _DYNAMIC:
        return LossScaler(device_type, enabled=enabled)
    if isinstance(loss_scale, Mapping):
        options = dict(loss_scale)
        known = {'init_scale', 'growth_factor', 'backoff_factor', 'growth_interval', 'min_scale'}
        if unknown := options.keys() - known:
            raise InputError(
                f'loss_scale: expected the keys {", ".join(sorted(known))}, '
                f'got {", ".join(sorted(unknown))}'
            )
        for name, value in options.items():
            if not _is_positive(value):
                raise InputError(f'loss_scale.{name}: expected a positive number, got {value!r}')
        return LossScaler(device_type, **options, enabled=enabled)
    if isinstance(loss_scale, int | float) and _is_positive(loss_scale):
        return StaticScaler(device_type, init_scale=float(loss_scale), enabled=enabled)
    raise InputError(
        f"loss_scale: expected 'dynamic', a positive number or a dict, got {loss_scale!r}"
    )


def _is_positive(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and value > 0
