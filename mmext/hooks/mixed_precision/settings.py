"""The settings of mixed precision that the hook and the optimizer wrapper share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PrecisionSettings:
    """What a config says about precision, under these keys of the hook or of the wrapper.

    Attributes:
        precision: 'fp16', 'bf16', 'fp32', or 'auto': what the device does natively and fast, see
            :mod:`.policy`.
        loss_scale: for fp16: 'dynamic', a number, or the settings of the scaler as a dict, see
            :func:`.scaler.make_scaler`.
        fp32_modules: patterns of modules that stay in float32, beside the declared ones of
            :mod:`.fp32_rules`.
        low_precision_modules: patterns of modules to take off that list.
        patience: skipped steps in a row before ``on_overflow``.
        on_overflow: then 'warn'; go to the lowest loss scale at once ('floor'); keep the
            module that overflows in float32 ('fp32'); or stop with a diagnosis ('abort').
    """

    precision: str = 'auto'
    loss_scale: str | float | Mapping[str, Any] = 'dynamic'
    fp32_modules: Sequence[str] = ()
    low_precision_modules: Sequence[str] = ()
    patience: int = 20
    on_overflow: str = 'warn'

    @property
    def patterns(self) -> dict[str, tuple[str, ...]]:
        """Both lists of patterns, by name."""
        return {
            'fp32_modules': tuple(self.fp32_modules),
            'low_precision_modules': tuple(self.low_precision_modules),
        }
