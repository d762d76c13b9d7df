import time
from pathlib import Path

import pytest

from mmext.hooks.mlflow_logging.content.system_metrics import SystemMetrics


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


def test_a_source_that_cannot_answer_is_asked_once(tmp_path: Path) -> None:
    """As a driver that knows no load of a part of a GPU; the others go on."""
    asked = []

    def refuse() -> dict[str, float]:
        asked.append(1)
        raise RuntimeError('Not Supported')

    sample = SystemMetrics(str(tmp_path))
    sample._sources.append(refuse)
    with pytest.raises(RuntimeError, match='Not Supported'):
        sample()
    assert 'system/disk_available_megabytes' in sample()
    assert len(asked) == 1
