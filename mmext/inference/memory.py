"""Memory of this process by the kernel's account, for the benchmarks."""

import contextlib
from pathlib import Path


def resident_mib(field: str) -> float:
    """``VmRSS`` (now) or ``VmHWM`` (peak) in MiB; nan where there is no such account (not Linux).

    Not ``ru_maxrss``: a process inherits that peak from the one that started it.
    """
    status = Path('/proc/self/status')
    if not status.exists():
        return float('nan')
    (line,) = [line for line in status.read_text().splitlines() if line.startswith(f'{field}:')]
    return float(line.split()[1]) / 2**10


def forget_peak() -> None:
    """Let the peak begin at what the process holds now, where the kernel offers it."""
    with contextlib.suppress(OSError):
        Path('/proc/self/clear_refs').write_text('5')
