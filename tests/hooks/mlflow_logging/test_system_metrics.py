import time
from pathlib import Path

from mmext.hooks.mlflow_logging.system_metrics import SystemMetrics


def test_host_metrics_are_plausible(tmp_path: Path) -> None:
    sample = SystemMetrics(str(tmp_path))
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    values = sample()
    assert 0 < values['system/cpu_utilization_percentage'] <= 100
    assert 0 < values['system/system_memory_usage_percentage'] < 100
    assert 10 < values['system/process_memory_usage_megabytes'] < 1e5
    assert values['system/disk_available_megabytes'] > 0
    assert all(name.startswith('system/') for name in values)
