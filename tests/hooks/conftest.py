"""What several hooks' tests on the real runner share."""

from collections.abc import Iterator

import pytest
import torch
from mmengine.logging import MMLogger


@pytest.fixture
def fresh_runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Trainings in one thread, without mmengine's pauses and with loggers of their own."""
    torch.set_num_threads(1)
    monkeypatch.setattr('time.sleep', lambda _: None)  # mmengine's pause between two passes
    yield
    MMLogger._instance_dict.clear()
