"""Takes records off the training thread: a bounded queue, a disk, a server.

The training thread only appends to a queue. One thread moves the queue to the
spool on disk ten times a second, whatever else goes on, so that a session that
dies loses at most the last tenth of a second. A second one does the jobs that
take time (digests, pictures) and queues the records that come out. A third one
sends the spool to the server, and can hang in a dead connection for as long as
it likes. All three let the process fork only between two pieces of work, see
:mod:`.forking`.

This file knows neither torch nor mmengine nor mlflow.
"""

import logging
import math
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from mmext.hooks.mlflow_logging.delivery import forking, records
from mmext.hooks.mlflow_logging.delivery.records import Record
from mmext.hooks.mlflow_logging.delivery.shipper import Shipper
from mmext.hooks.mlflow_logging.delivery.spool import Spool, how_to_send
from mmext.hooks.mlflow_logging.delivery.tracking import Refusal

Job = Callable[[], Iterable[Record]]

_CAPACITY = 20_000  # records; beyond it the caller itself writes the queue to disk
_MOST_RECORDS = 10 * _CAPACITY  # in memory while the disk takes none; then the oldest go
_SPOOL_EVERY_S = 0.1
_BEAT_EVERY_S = 60.0
_WARN_EVERY_S = 60.0
_LONGEST_PAUSE_S = 30.0
_JOBS_PATIENCE_S = 120.0  # for the jobs that are left at the end
_SHORTEST_S = 2.0  # for them, however short the end must be
_STANDSTILL_S = 900.0  # without anything sent, after which the end of a run waits no longer


class RunWriter:
    """One session's way out.

    Args:
        spool: where the records go first; claimed, with the opening record in it.
        shipper: sends that spool.
        before: shippers of earlier sessions of the run that are not sent yet.
        redact: applied to every record but metrics before it is stored.
        sample: gives system metrics, called every ``sample_every_s``.
        sample_every_s: seconds between two samples.
        ship_every_s: seconds between two deliveries.
        logger: for the rare warnings.
    """

    def __init__(
        self,
        spool: Spool,
        shipper: Shipper,
        before: Iterable[Shipper] = (),
        redact: Callable[[Record], Record] = lambda record: record,
        sample: Callable[[], Mapping[str, float]] | None = None,
        sample_every_s: float = 10.0,
        ship_every_s: float = 2.0,
        logger: logging.Logger | None = None,
    ) -> None:
        self._spool = spool
        self._shippers = [*before, shipper]
        self._redact = redact
        self._sample = sample
        self._sample_every_s = sample_every_s
        self._ship_every_s = ship_every_s
        self._logger = logger or logging.getLogger(__name__)
        self._queue: deque[Record] = deque()
        self._jobs: deque[Job] = deque()
        self._spooling = threading.RLock()
        self._working = threading.RLock()
        self._last_step = 0
        self._next_warning: dict[str, float] = {}
        self._next_beat = 0.0
        self._nonfinite: dict[str, int] = {}
        self._wake = threading.Event()
        self._closing_since: float | None = None
        self._patience_s = 0.0
        self._disabled = False
        self._threads = [
            threading.Thread(target=target, name=f'mmext-mlflow-{name}', daemon=True)
            for name, target in (
                ('spool', self._spool_loop),
                ('jobs', self._job_loop),
                ('ship', self._ship_loop),
            )
        ]
        for thread in self._threads:
            thread.start()
        _LIVE.add(self)

    def put(self, item: Record | Job) -> None:
        """Accept a record, or a job that will make records on a thread of ours."""
        if self._disabled:
            return
        if callable(item):
            self._jobs.append(item)
            return
        self._queue.append(item)
        if len(self._queue) > _CAPACITY:
            self._empty_queue()

    def close(self, status: str, patience_s: float = 30.0, limit_s: float | None = None) -> bool:
        """End the session; returns whether the server has everything.

        Args:
            status: ``FINISHED``, ``FAILED`` or ``KILLED``.
            patience_s: how long to wait for a server that does not answer; one
                that does answer is given the time it needs.
            limit_s: how long to wait in any case.
        """
        if self._disabled or self._closing_since is not None:
            return self._shippers[-1].done
        end = math.inf if limit_s is None else time.monotonic() + limit_s
        self._do_jobs(_JOBS_PATIENCE_S if limit_s is None else max(_SHORTEST_S, limit_s / 2))
        with self._spooling:  # nothing may come behind the end
            self._empty_queue()
            self._append([records.close(status)])
            self._patience_s = patience_s
            self._closing_since = time.monotonic()
        self._wake.set()
        self._await_delivery(end)
        self._disabled = True
        self._spool.release()
        done = self._shippers[-1].done
        if not done:
            self._logger.warning(
                f'MLflow: not everything could be sent; it is kept in {self._spool.path}. '
                f'Send it later: {how_to_send(self._spool.path.parent)}'
            )
        if rejected := self._shippers[-1].rejected:
            self._logger.warning(
                f'MLflow refused {rejected} records; they are kept, with the reasons, in '
                f'{self._spool.rejected_path}'
            )
        return done

    def disable(self) -> None:
        """Become deaf; for the child of a fork, which has no threads of ours."""
        self._disabled = True
        self._queue.clear()
        self._jobs.clear()
        self._spool.release()

    def _await_delivery(self, end: float) -> None:
        """Wait for the ship thread, until a point of the clock or until it stands still."""
        moved, place = time.monotonic(), self._place()
        while self._threads[-1].is_alive():
            now = time.monotonic()
            if self._place() != place:
                moved, place = now, self._place()
            if now >= end or now - moved >= _STANDSTILL_S:
                return
            self._threads[-1].join(min(1.0, end - now))

    def _place(self) -> int:
        return sum(shipper.offset for shipper in self._shippers)

    # the spool thread

    def _spool_loop(self) -> None:
        next_sample = next_beat = time.monotonic()
        while self._closing_since is None and not self._disabled:
            with forking.busy():
                now = time.monotonic()
                if self._sample is not None and now >= next_sample:
                    next_sample = now + self._sample_every_s
                    self._jobs.append(self._system_metrics)
                try:
                    if now >= next_beat:
                        next_beat = now + _BEAT_EVERY_S
                        self._spool.touch()
                    self._empty_queue()
                except Exception as error:  # a disk that is gone; this thread must live on
                    self._warn(f'MLflow log cannot be kept on disk: {error}')
            time.sleep(_SPOOL_EVERY_S)

    def _empty_queue(self) -> None:
        with self._spooling:
            if self._closing_since is not None:
                return
            counts = sum(self._nonfinite.values())
            lines = []
            while self._queue:
                record = self._queue.popleft()
                try:
                    lines.append(self._checked(record))
                except Exception as error:  # a disk without room for a picture
                    self._warn(f'MLflow leaves out a {record["kind"]} record: {error}')
            if sum(self._nonfinite.values()) > counts:
                summary = ', '.join(f'{k}: {n}' for k, n in self._nonfinite.items())
                lines.append(records.tags({'mmext.nonfinite': summary}))
            if lines:
                self._append(lines)

    def _append(self, lines: list[Record]) -> None:
        """Store the records; while the disk is full they wait in memory, within limits."""
        try:
            self._spool.append(lines)
        except OSError as error:
            self._queue.extendleft(reversed(lines[-_MOST_RECORDS:]))
            self._warn(f'MLflow log cannot be written, it waits in memory: {error}')

    def _checked(self, record: Record) -> Record:
        if record['kind'] == 'blob':
            path = self._spool.store_file(record['data'], Path(record['artifact']).name)
            return records.file(path, record['artifact'])
        if record['kind'] != 'metrics':
            return self._redact(record)
        self._last_step = max(self._last_step, record['step'])
        for name, value in record['values'].items():
            if not math.isfinite(value):
                self._nonfinite[name] = self._nonfinite.get(name, 0) + 1
        return record

    def _system_metrics(self) -> list[Record]:
        assert self._sample is not None
        return [records.metrics(self._sample(), self._last_step)]

    # the job thread

    def _job_loop(self) -> None:
        while self._closing_since is None and not self._disabled:
            with forking.busy():
                self._do_jobs()
            time.sleep(_SPOOL_EVERY_S)

    def _do_jobs(self, patience_s: float = math.inf) -> None:
        """Queue the records of all jobs; what goes wrong there must not stop the run."""
        end = time.monotonic() + patience_s
        if not self._working.acquire(timeout=min(patience_s, threading.TIMEOUT_MAX)):
            self._logger.warning('MLflow: a part of the log hangs and is left out')
            return
        try:
            while self._jobs and time.monotonic() < end:
                job = self._jobs.popleft()
                try:
                    for record in job():
                        self._queue.append(record)
                        forking.rest()
                except Exception as error:
                    self._warn(f'MLflow leaves out a part ({type(error).__name__}): {error}')
        finally:
            self._working.release()

    # the ship thread

    def _ship_loop(self) -> None:
        pause = 0.0
        while not self._disabled:
            self._wake.wait(pause)
            closing_since = self._closing_since
            with forking.busy():
                delivered = self._deliver()
            if delivered:
                if closing_since is not None:
                    return
                pause = self._ship_every_s
                continue
            pause = min(_LONGEST_PAUSE_S, max(1.0, 2 * pause))
            if closing_since is not None:
                if time.monotonic() - closing_since >= self._patience_s:
                    return
                time.sleep(min(1.0, self._patience_s))

    def _deliver(self) -> bool:
        """Send what there is; returns whether the server has taken it."""
        try:
            while len(self._shippers) > 1:
                self._send_earlier(self._shippers[0])
                del self._shippers[0]
            self._shippers[0].ship()
            if time.monotonic() >= self._next_beat:
                self._next_beat = time.monotonic() + _BEAT_EVERY_S
                self._shippers[-1].beat()
        except Exception as outage:  # Outage, or a fault of ours that must not end the thread
            self._warn(
                'MLflow does not answer; training goes on, the log is kept on disk and '
                f'sent later: {outage}'
            )
            return False
        return True

    def _send_earlier(self, shipper: Shipper) -> None:
        try:
            shipper.ship()
        except Refusal as refusal:  # its run cannot be opened: it must not hold up this one
            self._warn(f'MLflow refuses what an earlier session has left: {refusal}')

    def _warn(self, message: str) -> None:
        """A warning, each kind of it once a minute at most."""
        kind, now = message.partition(':')[0], time.monotonic()
        if now >= self._next_warning.get(kind, 0.0):
            self._next_warning[kind] = now + _WARN_EVERY_S
            self._logger.warning(message)


_LIVE: 'weakref.WeakSet[RunWriter]' = weakref.WeakSet()


def _disable_all() -> None:
    for writer in list(_LIVE):
        writer.disable()


os.register_at_fork(after_in_child=_disable_all)
