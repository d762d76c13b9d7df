"""The thread that sends: every two seconds, and at the end of a session until all is sent.

It can hang in a dead connection for as long as it likes; who waits for it looks at the clock.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable

from mmext.hooks.mlflow_logging.delivery import forking
from mmext.hooks.mlflow_logging.delivery.answers import Outage, Refusal
from mmext.hooks.mlflow_logging.delivery.shipper import Shipper

_BEAT_EVERY_S = 60.0
_WARN_EVERY_S = 60.0
_LONGEST_PAUSE_S = 30.0
_PAUSE_AT_END_S = 1.0
_STANDSTILL_S = 900.0  # without anything sent, after which the end of a run waits no longer
_SILENT_S = 2.0  # of waiting at the end, until it is said for what


class RareWarnings:
    """Warnings, each kind of them (the text before its colon) once a minute at most."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._next: dict[str, float] = {}

    def __call__(self, message: str) -> None:
        """Warn, unless that was said just now."""
        kind, now = message.partition(':')[0], time.monotonic()
        if now >= self._next.get(kind, 0.0):
            self._next[kind] = now + _WARN_EVERY_S
            self._logger.warning(message)


class Dispatcher:
    """Sends the spools of a session and of those before it.

    Args:
        shippers: the session's own comes last.
        every_s: seconds between two deliveries.
        prepare: called before each.
        warn: takes what goes wrong.
    """

    def __init__(
        self,
        shippers: Iterable[Shipper],
        every_s: float,
        prepare: Callable[[], None],
        warn: Callable[[str], None],
    ) -> None:
        self._shippers = list(shippers)
        self._every_s = every_s
        self._prepare = prepare
        self._warn = warn
        self._next_beat = 0.0
        self._wake = threading.Event()
        self._stopped = False
        self._ending_since = math.inf
        self._patience_s = 0.0
        self.thread = threading.Thread(target=self._loop, name='mmext-mlflow-ship', daemon=True)

    @property
    def own(self) -> Shipper:
        """The session's own shipper."""
        return self._shippers[-1]

    def finish(self, patience_s: float) -> None:
        """Send to the end, at once.

        Args:
            patience_s: seconds without anything sent, after which it is given up.
        """
        self._patience_s = patience_s
        self._ending_since = min(self._ending_since, time.monotonic())
        self._wake.set()

    def stop(self) -> None:
        """Begin nothing new."""
        self._stopped = True

    def wait(self, deadline: float, tell: Callable[[float], None]) -> None:
        """Wait until it has ended, until a point of the clock or until it stands still.

        Args:
            deadline: of ``time.monotonic()``.
            tell: is told once, after a while, how many seconds it may still take.
        """
        begun = moved = time.monotonic()
        place, told = self._place(), False
        while self.thread.is_alive():
            now = time.monotonic()
            if self._place() != place:
                moved, place = now, self._place()
            if now >= deadline or now - moved >= _STANDSTILL_S:
                return
            if now - begun >= _SILENT_S and not told:
                told = True
                tell(deadline - now)
            self.thread.join(min(0.5, deadline - now))

    def _place(self) -> tuple[int, int]:
        return sum(s.offset for s in self._shippers), sum(s.left for s in self._shippers)

    def _loop(self) -> None:
        pause, place, moved = 0.0, self._place(), time.monotonic()
        while not self._stopped:
            self._wake.wait(pause)
            ending_since = self._ending_since
            with forking.busy():
                delivered = self._deliver()
            if self._place() != place:
                place, moved = self._place(), time.monotonic()
            if ending_since < math.inf:
                waited_s = time.monotonic() - max(moved, ending_since)
                if self.own.done or waited_s >= self._patience_s:
                    return
                time.sleep(min(_PAUSE_AT_END_S, self._patience_s))
            pause = self._every_s if delivered else min(_LONGEST_PAUSE_S, max(1.0, 2 * pause))

    def _deliver(self) -> bool:
        """Send what there is; returns whether the server has taken it."""
        try:
            self._prepare()
            while len(self._shippers) > 1:
                self._send_earlier(self._shippers[0])
                del self._shippers[0]
            self.own.ship()
            if time.monotonic() >= self._next_beat:
                self._next_beat = time.monotonic() + _BEAT_EVERY_S
                self.own.beat()
        except Outage as outage:
            self._warn(
                'MLflow does not answer, or cannot store the log now; training goes on, the log '
                f'is kept on disk and sent later: {outage}'
            )
        except Refusal as refusal:
            self._warn(f'MLflow does not open the run; the log is kept on disk: {refusal}')
        except Exception as error:  # of the disk, or a fault of ours: this thread must live on
            self._warn(f'MLflow log cannot be sent from disk: {type(error).__name__}: {error}')
        else:
            if self.own.hindrance is not None:
                self._warn(self.own.hindrance)
            return True
        return False

    def _send_earlier(self, shipper: Shipper) -> None:
        try:
            shipper.ship()
        except Refusal as refusal:  # its run cannot be opened: it must not hold up this one
            self._warn(f'MLflow refuses what an earlier session has left: {refusal}')
