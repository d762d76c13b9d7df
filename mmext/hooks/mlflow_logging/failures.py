"""Notices how a run ends when it does not end well.

mmengine has no hook for a failure. Three nets, each for what the one before
cannot see: the running loop is wrapped (exceptions, Ctrl-C, also when the
caller catches them), SIGTERM gets a handler, and the interpreter's exit reports
a run that never came to its end. What kills a process outright is found by
:mod:`.delivery.replay`.
"""

import atexit
import os
import signal
import sys
import threading
import traceback
import weakref
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

OnEnd = Callable[[str, str], None]


class FailureWatch:
    """Watches until :meth:`stop`, and reports at most once.

    Args:
        on_end: called with ``FAILED`` or ``KILLED`` and the reason as text.
    """

    def __init__(self, on_end: OnEnd) -> None:
        self._on_end: OnEnd | None = on_end
        self._pid = os.getpid()
        self._loops: list[weakref.ref[Any]] = []  # a run that never began is not kept alive
        self._previous: Any = None
        self._handles_sigterm = False

    def start(self, loops: Iterable[Any]) -> None:
        """Watch the loops (objects with a ``run`` method) and this process."""
        for loop in loops:
            self._wrap(loop)
        atexit.register(self._at_exit)
        # Python allows handlers in the main thread only
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGTERM, self._on_sigterm)
            self._handles_sigterm = True

    def expect_end(self, hurry: Callable[[], None]) -> None:
        """The run has ended well or not and is being sent: from now on a signal hurries that.

        Args:
            hurry: called once.
        """
        self._on_end = lambda status, reason: hurry()

    def stop(self) -> None:
        """Take every net down and leave things as they were."""
        self._on_end = None
        for reference in self._loops:
            if (loop := reference()) is not None:
                vars(loop).pop('run', None)
        self._loops = []
        atexit.unregister(self._at_exit)
        if self._handles_sigterm:
            self._handles_sigterm = False
            if signal.getsignal(signal.SIGTERM) == self._on_sigterm:
                signal.signal(signal.SIGTERM, self._previous or signal.SIG_DFL)

    def _report(self, status: str, reason: str) -> None:
        report, self._on_end = self._on_end, None
        if report is not None and os.getpid() == self._pid:
            report(status, reason)

    def _wrap(self, loop: Any) -> None:
        run = loop.run

        def watched_run() -> Any:
            try:
                return run()
            except Exception:
                self._report('FAILED', traceback.format_exc())
                raise
            except BaseException:  # KeyboardInterrupt, SystemExit
                self._report('KILLED', traceback.format_exc())
                raise

        loop.run = watched_run
        self._loops.append(weakref.ref(loop))

    def _on_sigterm(self, signum: int, frame: FrameType | None) -> None:
        self._report('KILLED', 'SIGTERM\n' + ''.join(traceback.format_stack(frame)))
        # die of the signal as the process would have done without us
        signal.signal(signal.SIGTERM, self._previous or signal.SIG_DFL)
        self._handles_sigterm = False
        os.kill(os.getpid(), signal.SIGTERM)

    def _at_exit(self) -> None:
        # the interpreter leaves here what it has printed as uncaught
        error = getattr(sys, 'last_value', None)
        if isinstance(error, Exception):
            self._report('FAILED', ''.join(traceback.format_exception(error)))
        else:
            self._report('KILLED', 'the process ended before the run did')
