"""A process that the program depends on has died: a data worker, or another rank. In one line.

torch reports a dead worker with a traceback of the place where the news arrived, which may be
anywhere, and a dead rank as a broken connection. What matters is why it died.
"""

import errno
import re
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# exit codes of a data worker, given by mmext.hooks.data_workers
NO_SHARED_MEMORY = 71
NOT_SENT = 72

_USER_CODE, _FAILURE_CODE, _TERMINATED_CODE = 2, 1, 128 + 15
_NEWS_S = 1.0  # within which the system tells of a death; a few milliseconds are usual

_SHARED_MEMORY = re.compile(
    r'unable to (?:write to file|allocate shared memory|mmap|resize file)[^\n]*</torch_'
    r'|killed by signal: Bus error|insufficient shared memory'
)
_EXITED = re.compile(r'DataLoader worker \(pid (\d+)\) exited unexpectedly with exit code (\d+)')
_SIGNAL = re.compile(r'DataLoader worker \(pid (\d+)\) is killed by signal: ([^.\n]+)')
_VANISHED = re.compile(r'DataLoader worker \(pid\(s\) ([\d, ]+)\) exited unexpectedly')
_PEER = re.compile(
    r'Connection (?:closed|reset) by peer|remote process exited|Broken pipe.*(?:gloo|TCPStore)'
)

SHARED_MEMORY_ADVICE = (
    'give it more (docker run --shm-size=8g; in a pod an emptyDir of medium Memory at /dev/shm), '
    'or set num_workers=0 or a smaller batch_size in the data loader of the config'
)


class Death(NamedTuple):
    """How the program ends: what it says, and its exit code."""

    message: str
    exit_code: int


def await_news(error: BaseException) -> None:
    """Wait for the news of a death, where an error may be the first thing that it broke.

    The connections of a killed worker close before the system tells that it is dead.

    Raises:
        RuntimeError: torch's report of the dead worker, which arrives as a signal.
    """
    if isinstance(error, OSError | EOFError) and _of_processes(error):
        time.sleep(_NEWS_S)


def death_behind(error: BaseException) -> Death | None:
    """The death that an error reports, None if it reports something else."""
    text = '\n'.join(_texts(error))
    if lacks_shared_memory(text) or _is_full(error):
        return _no_shared_memory()
    if exited := _EXITED.search(text):
        return _exited(exited[1], int(exited[2]))
    if killed := _SIGNAL.search(text):
        return _killed(*killed.groups())
    if vanished := _VANISHED.search(text):
        return _killed(vanished[1], 'Killed')
    if isinstance(error, RuntimeError) and _PEER.search(text):
        return Death(
            'another rank of this training has ended; the output of that rank tells why',
            _FAILURE_CODE,
        )
    return None


def lacks_shared_memory(text: str) -> bool:
    """Whether torch says that a tensor found no place in shared memory."""
    return _SHARED_MEMORY.search(text) is not None


def _is_full(error: BaseException) -> bool:
    """Whether the system had no place for a lock or a file that processes share."""
    return isinstance(error, OSError) and error.errno == errno.ENOSPC and _of_processes(error)


def _of_processes(error: BaseException) -> bool:
    """Whether an error comes from what processes share: a lock, a file, a connection."""
    calls = traceback.extract_tb(error.__traceback__)
    return bool(calls) and 'multiprocessing' in Path(calls[-1].filename).parts


def _texts(error: BaseException | None) -> Iterator[str]:
    """The messages of an error and of those that led to it."""
    while error is not None:
        yield str(error)
        error = error.__cause__ or error.__context__


def _no_shared_memory() -> Death:
    return Death(
        'a data worker found no place for its batch in shared memory: /dev/shm is too small; '
        + SHARED_MEMORY_ADVICE,
        _USER_CODE,
    )


def _exited(pid: str, code: int) -> Death:
    if code == NO_SHARED_MEMORY:
        return _no_shared_memory()
    if code == NOT_SENT:
        what = 'could not hand over its batch; the traceback above is its own'
    else:
        what = f'ended with exit code {code}'
    return Death(
        f'the data worker of process id {pid} {what}; with num_workers=0 the data are loaded in '
        'the main process, whose errors name the place',
        _FAILURE_CODE,
    )


def _killed(pid: str, signal: str) -> Death:
    if signal == 'Terminated':
        return Death(
            f'the data worker of process id {pid} was ended by SIGTERM, as a launcher does with '
            'all processes when one rank fails: the output of that rank tells why',
            _TERMINATED_CODE,
        )
    if signal == 'Killed':
        return Death(
            f'the data worker of process id {pid} was killed, most likely because the memory of '
            'the machine or container is used up (`dmesg` or the pod tells); set a smaller '
            'num_workers, prefetch_factor or batch_size in the data loader of the config',
            _USER_CODE,
        )
    return Death(
        f'the data worker of process id {pid} was killed by the signal {signal}; with '
        'num_workers=0 the data are loaded in the main process, whose errors name the place',
        _FAILURE_CODE,
    )
