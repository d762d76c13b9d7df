"""What the machine does meanwhile: CPU, memory, disk, network, this process' GPU.

Named as MLflow's own system metrics, so that they appear under its tab of that
name. MLflow's monitor is not used: it reports every GPU of the host, stops for
good at the first failed request and counts samples instead of iterations.
"""

import importlib.util
from collections.abc import Callable, Mapping

_MEGABYTE = 1e6

Source = Callable[[], Mapping[str, float]]


class SystemMetrics:
    """Measures the machine, each call against the one before.

    Args:
        folder: its disk is the one that is watched.
        device: the GPU of this process, ``None`` without one.
    """

    def __init__(self, folder: str, device: int | None = None) -> None:
        self._sources: list[Source] = []
        if importlib.util.find_spec('psutil') is not None:
            self._sources.append(_Host(folder))
        if device is not None:
            self._sources.append(_GpuMemory(device))
            if importlib.util.find_spec('pynvml') is not None:  # torch asks the driver through it
                self._sources.append(_GpuDriver(device))

    def __call__(self) -> dict[str, float]:
        """One sample: metric name, with the prefix ``system/``, to value.

        Raises:
            Exception: of a source that cannot answer, as the driver of a part of a GPU; the
                next samples are without it.
        """
        sample: dict[str, float] = {}
        for source in self._sources:
            try:
                values = source()
            except Exception:
                self._sources = [other for other in self._sources if other is not source]
                raise
            sample.update({f'system/{name}': value for name, value in values.items()})
        return sample


class _Host:
    def __init__(self, folder: str) -> None:
        import psutil  # type: ignore[import-untyped]

        self._psutil = psutil
        self._folder = folder
        self._process = psutil.Process()
        self._network = psutil.net_io_counters()
        psutil.cpu_percent()  # the first call only sets the start of the interval

    def __call__(self) -> dict[str, float]:
        memory = self._psutil.virtual_memory()
        disk = self._psutil.disk_usage(self._folder)
        before, now = self._network, self._psutil.net_io_counters()
        self._network = now
        sample = {
            'cpu_utilization_percentage': self._psutil.cpu_percent(),
            'system_memory_usage_megabytes': memory.used / _MEGABYTE,
            'system_memory_usage_percentage': memory.percent,
            'process_memory_usage_megabytes': self._resident_bytes() / _MEGABYTE,
            'disk_usage_percentage': disk.percent,
            'disk_available_megabytes': disk.free / _MEGABYTE,
        }
        if before is not None and now is not None:
            sample['network_receive_megabytes'] = (now.bytes_recv - before.bytes_recv) / _MEGABYTE
            sample['network_transmit_megabytes'] = (now.bytes_sent - before.bytes_sent) / _MEGABYTE
        return sample

    def _resident_bytes(self) -> int:
        """Memory of this process and its data loading workers."""
        total = 0
        for process in (self._process, *self._process.children(recursive=True)):
            try:
                total += process.memory_info().rss
            except self._psutil.Error:  # it ended meanwhile
                continue
        return total


class _GpuMemory:
    """Memory of the one GPU that this process uses; others on the host are not its business."""

    def __init__(self, device: int) -> None:
        self._device = device

    def __call__(self) -> dict[str, float]:
        from torch import cuda

        free, total = cuda.mem_get_info(self._device)
        name = f'gpu_{self._device}_memory'
        return {
            f'{name}_usage_megabytes': (total - free) / _MEGABYTE,
            f'{name}_usage_percentage': 100 * (total - free) / total,
            f'{name}_allocated_megabytes': cuda.memory_allocated(self._device) / _MEGABYTE,
            f'{name}_peak_megabytes': cuda.max_memory_allocated(self._device) / _MEGABYTE,
        }


class _GpuDriver:
    """Load of that GPU by its driver, which a part of a GPU (MIG) or a virtual one may refuse."""

    def __init__(self, device: int) -> None:
        self._device = device

    def __call__(self) -> dict[str, float]:
        from torch import cuda

        return {
            f'gpu_{self._device}_utilization_percentage': float(cuda.utilization(self._device)),
            f'gpu_{self._device}_power_usage_watts': cuda.power_draw(self._device) / 1000,
            f'gpu_{self._device}_temperature_celsius': float(cuda.temperature(self._device)),
        }
