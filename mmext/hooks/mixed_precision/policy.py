"""Which precision a device runs: what ``auto`` picks, what is refused, what is warned about.

Under autocast the parameters stay float32; convolutions and matrix products run in the
precision chosen here. ``auto`` never picks what the hardware only emulates.
"""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch

from mmext.errors import InputError

DTYPES = {'fp32': torch.float32, 'bf16': torch.bfloat16, 'fp16': torch.float16}
PRECISIONS = ('auto', *DTYPES)


class Choice(NamedTuple):
    """A precision and why it was taken."""

    name: str
    """'fp32', 'bf16' or 'fp16'."""

    reason: str
    warning: str | None = None

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of convolutions and matrix products."""
        return DTYPES[self.name]


def choose_precision(precision: str, device_type: str) -> Choice:
    """Settle the precision for a kind of device.

    Args:
        precision: 'fp32', 'bf16', 'fp16', or 'auto' for the fastest that the device runs natively.
        device_type: 'cpu', 'cuda', … as in ``torch.device.type``.

    Raises:
        InputError: the name is unknown, or torch or the device cannot do it.

    >>> choose_precision('fp32', 'cpu').dtype
    torch.float32
    """
    if precision not in PRECISIONS:
        raise InputError(f'precision: expected one of {", ".join(PRECISIONS)}, got {precision!r}')
    if precision == 'auto':
        return _automatic(device_type)
    if precision == 'fp32':
        return Choice(precision, 'as asked for')
    if not torch.amp.is_autocast_available(device_type):
        raise InputError(
            f'precision: {device_type} has no autocast in torch {torch.__version__}, '
            f'expected fp32 there, got {precision}'
        )
    if device_type == 'cuda' and precision == 'bf16' and not torch.cuda.is_bf16_supported():
        raise InputError(
            f'precision: {torch.cuda.get_device_name()} cannot do bf16, expected fp16 or fp32'
        )
    return Choice(precision, 'as asked for', _slowness(precision, device_type))


def _automatic(device_type: str) -> Choice:
    if device_type == 'cuda':
        if has_native(torch.bfloat16, 'cuda'):
            return Choice('bf16', 'the GPU computes it natively, and it needs no loss scaling')
        if has_native(torch.float16, 'cuda'):
            return Choice('fp16', 'the GPU has tensor cores for it, but no native bf16')
        return Choice('fp32', 'the GPU has no tensor cores')
    if device_type == 'cpu':
        return _automatic_on_cpu()
    return Choice('fp32', f'nothing is known about the speed of half precision on {device_type}')


def _automatic_on_cpu() -> Choice:
    """By the kind of the processor; a measurement would choose otherwise on a busy machine."""
    if cpu_has('amx_tile'):
        return Choice('bf16', 'the CPU has AMX')
    if not cpu_has('avx512_bf16'):
        return Choice('fp32', 'the CPU has no instructions for bf16')
    # matrix products in bf16 against fp32: 2.3 times the rate on EPYC, half of it on Xeon
    if _cpu_vendor() == 'AuthenticAMD':
        return Choice('bf16', 'the CPU has AVX512-bf16 at full rate')
    return Choice('fp32', 'the CPU has AVX512-bf16, but no AMX, and may be slower with it')


@cache
def _cpu_vendor() -> str:
    """As Linux names it; elsewhere nothing."""
    try:
        text = Path('/proc/cpuinfo').read_text('utf-8', errors='replace')
    except OSError:
        return ''
    found = re.search(r'^vendor_id\s*:\s*(\S+)', text, re.MULTILINE)
    return found[1] if found else ''


def has_native(dtype: torch.dtype, device_type: str) -> bool:
    """Whether the hardware computes in a dtype, rather than converting to and from float32."""
    if device_type == 'cuda':
        if dtype == torch.bfloat16:
            return torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.cuda.get_device_capability() >= (7, 0)
    if device_type != 'cpu':
        return True  # not known: no warning
    abilities = {
        torch.bfloat16: ('avx512_bf16', 'amx_tile'),
        torch.float16: ('amx_fp16', 'avx512_fp16'),
    }[dtype]
    return any(map(cpu_has, abilities))


def cpu_has(ability: str) -> bool:
    """Whether torch finds instructions in this processor: 'avx512_bf16', 'amx_tile', ...

    torch has no public question for this; where it does not know the name, the answer is no.
    """
    return bool(getattr(torch.cpu, f'_is_{ability}_supported', lambda: False)())


def _slowness(precision: str, device_type: str) -> str | None:
    if has_native(DTYPES[precision], device_type):
        return None
    if device_type == 'cpu' and precision == 'fp16':
        return (
            'fp16 has no fast path on this CPU and is many times slower than fp32: '
            'use it there for tests of tiny size only'
        )
    return f'{precision} is emulated on this {device_type} device: expect it to be slower than fp32'
