"""The modules that tests of this folder share, and what is logged."""

import gc
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from mmengine.logging import MMLogger

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True, scope='session')
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope='module')
def _no_old_guards() -> None:
    gc.collect()  # wrappers that were used without the hook take their guards with them


@pytest.fixture(autouse=True)
def _quiet() -> None:
    """Show warnings only: mmdet logs every weight that it initialises."""
    MMLogger.get_current_instance().setLevel(logging.WARNING)


class _Collect(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text."""
        self.messages.append(record.getMessage())


@pytest.fixture
def log(_quiet: None) -> Iterator[list[str]]:
    """What mmengine's current logger is told in the test, warnings and above.

    Code that makes a runner of its own has another logger.
    """
    logger = MMLogger.get_current_instance()
    handler = _Collect()
    logger.addHandler(handler)
    yield handler.messages
    logger.removeHandler(handler)
