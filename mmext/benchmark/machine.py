"""Where measurements were taken."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ('mmext', 'torch', 'onedl-mmdetection', 'onedl-mmengine', 'onedl-mmcv', 'numpy')


def machine_facts(devices: Sequence[str] | None = None) -> dict[str, str]:
    """The facts that a timing depends on, by name.

    Args:
        devices: what is used; the first GPU, if there is one, by default.
    """
    import torch

    if devices is None:
        devices = ['cuda:0'] if torch.cuda.is_available() else []

    facts = {
        'CPU': cpu_name(),
        'abilities': processor_abilities(),
        'cores': str(len(os.sched_getaffinity(0)) if _has_affinity() else os.cpu_count()),
        'threads': str(torch.get_num_threads()),
        'load': load_average(),
        'Python': platform.python_version(),
    }
    for device in devices:
        if device.startswith('cuda'):
            facts[device] = torch.cuda.get_device_name(device)
            facts['CUDA'] = str(torch.version.cuda)
    for package in _PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = 'not installed'
    return facts


def cpu_name() -> str:
    """The processor's name as the kernel gives it."""
    info = Path('/proc/cpuinfo')
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith('model name'):
                return line.partition(':')[2].strip()
    return platform.processor() or platform.machine()


def processor_abilities() -> str:
    """What the processor can do that decides how fast a network runs on it.

    >>> set(processor_abilities().split(', ')) <= {'AMX', 'AVX512-bf16', 'AVX512', 'AVX2', 'none'}
    True
    """
    import torch

    from mmext.hooks.mixed_precision.policy import cpu_has

    vectors = torch.backends.cpu.get_cpu_capability()
    found = {
        'AMX': cpu_has('amx_tile'),
        'AVX512-bf16': cpu_has('avx512_bf16'),
        vectors: vectors in ('AVX512', 'AVX2'),
    }
    return ', '.join(name for name, there in found.items() if there) or 'none'


def load_average() -> str:
    """Processes that wanted to run in the last minute; above the cores, timings suffer."""
    return f'{os.getloadavg()[0]:.1f}' if hasattr(os, 'getloadavg') else 'unknown'


def _has_affinity() -> bool:
    return hasattr(os, 'sched_getaffinity')
