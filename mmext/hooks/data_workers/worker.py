"""What a data worker does first: it sees to it that it never outlives its use.

torch's worker hands its batches to a thread of multiprocessing's queue. What goes wrong in that
thread (no shared memory, an object that cannot be pickled) is printed and forgotten: the batch
never comes, and the training waits for it for ever. And a worker whose training was killed waits
in that thread for a reader of its pipe, for ever as well.
"""

import ctypes
import errno
import multiprocessing.queues
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

from mmext.hooks.data_workers.sending import send_small_by_value
from mmext.process_deaths import NO_SHARED_MEMORY, NOT_SENT, lacks_shared_memory

_PR_SET_PDEATHSIG = 1  # prctl(2)


class WorkerStart:
    """``worker_init_fn`` of a data loader, around the one that the config asks for.

    Args:
        inner: that one, if any.
    """

    def __init__(self, inner: Callable[[int], Any] | None) -> None:
        self.inner = inner

    def __call__(self, worker_id: int) -> None:
        """Prepare the worker."""
        end_with_parent()
        end_when_sending_fails()
        send_small_by_value()
        if self.inner is not None:
            self.inner(worker_id)


def end_with_parent() -> None:
    """Let Linux kill this process when the thread that started it ends.

    A worker of another thread than the main one is left alone: that thread may end earlier.
    """
    if sys.platform == 'linux' and isinstance(
        threading.current_thread(),
        threading._MainThread,  # type: ignore[attr-defined]
    ):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def end_when_sending_fails() -> None:
    """End this process when a batch cannot be handed over."""
    queue: Any = multiprocessing.queues.Queue
    queue._on_queue_feeder_error = staticmethod(_end)


def _end(error: Exception, batch: Any) -> None:
    is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.ENOMEM)
    no_memory = is_full or lacks_shared_memory(str(error))
    if not no_memory:
        traceback.print_exception(error)
    sys.stderr.flush()
    os._exit(NO_SHARED_MEMORY if no_memory else NOT_SENT)
