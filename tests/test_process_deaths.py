"""Which errors tell of a process that died, and how the program ends then."""

import os
import re
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from mmext.errors import run_tool
from mmext.process_deaths import death_behind


class Ends(Dataset):
    """A worker calls a function in the place of the first item."""

    def __init__(self, end: Callable[[], Any]) -> None:
        self.end = end

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Any:
        return self.end()


def error_of(end: Callable[[], Any]) -> Exception:
    """What a loader with one worker raises."""
    with pytest.raises(Exception) as caught:
        list(DataLoader(Ends(end), num_workers=1, multiprocessing_context='fork', timeout=60))
    return caught.value


@pytest.mark.parametrize(
    ('end', 'exit_code', 'message'),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), 2, 'memory'),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), 143, 'another rank|one rank'),
        (lambda: os.kill(os.getpid(), signal.SIGUSR1), 1, 'signal User defined'),
        (lambda: os._exit(71), 2, '/dev/shm'),
        (lambda: os._exit(72), 1, 'traceback above'),
        (lambda: os._exit(3), 1, 'exit code 3'),
    ],
)
def test_workers(end: Callable[[], Any], exit_code: int, message: str) -> None:
    death = death_behind(error_of(end))
    assert death is not None and death.exit_code == exit_code
    assert re.search(message, death.message) and '\n' not in death.message


def test_a_broken_connection_that_comes_before_the_news(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A batch is fetched from a worker that has just closed its connections."""

    def end() -> None:
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGKILL)

    def main(argv: object) -> None:
        loader = DataLoader(Ends(end), num_workers=1, multiprocessing_context='fork')
        batches = iter(loader)  # noqa: F841  it lives for as long as the error
        Client(str(tmp_path / 'closed'))

    assert run_tool(main) == 2
    assert 'was killed' in capsys.readouterr().err


def test_a_broken_connection_without_news(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run_tool(lambda argv: Client(str(tmp_path / 'closed')) and None)


def no_room() -> None:
    raise RuntimeError(
        'unable to allocate shared memory(shm) for file </torch_28_16_0>: No space left on device'
    )


def test_no_shared_memory_while_a_batch_is_put_together() -> None:
    death = death_behind(error_of(no_room))
    assert death is not None and death.exit_code == 2 and '--shm-size' in death.message


@pytest.mark.parametrize(
    'text',
    [
        '[../third_party/gloo/gloo/transport/tcp/pair.cc:544] Connection closed by peer [::1]:61',
        'NCCL error: remote process exited or there was a network error, NCCL version 2.21.5',
    ],
)
def test_another_rank(text: str) -> None:
    death = death_behind(RuntimeError(text))
    assert death is not None and death.exit_code == 1 and 'another rank' in death.message


def test_other_errors_are_no_deaths() -> None:
    assert death_behind(error_of(lambda: torch.zeros(2).view(7))) is None
    assert death_behind(ConnectionResetError('Connection reset by peer')) is None  # a download
