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
from mmext.hooks.mlflow_logging.delivery.dispatch import Dispatcher, RareWarnings
from mmext.hooks.mlflow_logging.delivery.records import Record
from mmext.hooks.mlflow_logging.delivery.shipper import Shipper
from mmext.hooks.mlflow_logging.delivery.spool import Spool, how_to_send

Job = Callable[[], Iterable[Record]]

_CAPACITY = 20_000  # records; beyond it the caller itself writes the queue to disk
_MOST_RECORDS = 10 * _CAPACITY  # in memory while the disk takes none; then the oldest go
_SPOOL_EVERY_S = 0.1
_BEAT_EVERY_S = 60.0
_JOBS_PATIENCE_S = 120.0  # for the jobs that are left at the end
_SHORTEST_S = 2.0  # for them, however short the end must be
_HURRY_S = 8.0  # clusters kill 10 to 30 s after they ask


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
        self._redact = redact
        self._sample = sample
        self._sample_every_s = sample_every_s
        self._logger = logger or logging.getLogger(__name__)
        self._warn = RareWarnings(self._logger)
        self._dispatcher = Dispatcher([*before, shipper], ship_every_s, self._mend, self._warn)
        self._queue: deque[Record] = deque()
        self._jobs: deque[Job] = deque()
        self._spooling = threading.RLock()
        self._working = threading.RLock()
        self._last_step = 0
        self._nonfinite: dict[str, int] = {}
        self._is_closed = False
        self._end: Record | None = None
        self._disabled = False
        self._threads = [
            threading.Thread(target=target, name=f'mmext-mlflow-{name}', daemon=True)
            for name, target in (
                ('spool', self._spool_loop),
                ('jobs', self._job_loop),
            )
        ]
        self._threads.append(self._dispatcher.thread)
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
            patience_s: how long to wait for a server that takes nothing.
            limit_s: how long to wait in all; for a process that is told to die, not long
                in any case.
        """
        own = self._dispatcher.own
        if self._disabled or self._end is not None:
            return own.done
        if status == 'KILLED':
            limit_s = min(_HURRY_S, math.inf if limit_s is None else limit_s)
        deadline = math.inf if limit_s is None else time.monotonic() + limit_s
        self._end = records.close(status)
        try:
            self._do_jobs(_JOBS_PATIENCE_S if limit_s is None else max(_SHORTEST_S, limit_s / 2))
            self._write_end()
            self._dispatcher.finish(patience_s)
            self._dispatcher.wait(deadline, self._tell_why_it_waits)
        except KeyboardInterrupt:
            self.hurry()
            raise
        finally:
            self._disabled = True
            self._dispatcher.stop()
            self._spool.release()
            self._tell_what_is_left()
        return own.done

    def hurry(self) -> None:
        """Send how the run ended ahead of the rest: the process is told to go while it closes."""
        if self._disabled or self._end is None:
            return
        self._write_end()
        sender = threading.Thread(target=self._end_now, args=(self._end,), daemon=True)
        sender.start()
        sender.join(_HURRY_S)

    def _end_now(self, end: Record) -> None:
        try:
            self._dispatcher.own.end_now(end)
        except Exception as error:
            self._logger.warning(f'MLflow could not be told that the run has ended: {error}')

    def _write_end(self) -> None:
        """Nothing may come behind it."""
        with self._spooling:
            if not self._is_closed and self._end is not None:
                self._empty_queue()
                self._append([self._end])
                self._is_closed = True

    def _tell_what_is_left(self) -> None:
        if not self._dispatcher.own.done:
            self._logger.warning(
                f'MLflow: not everything could be sent; it is kept in {self._spool.path}. '
                f'Send it later: {how_to_send(self._spool.path.parent)}'
            )
        if rejected := self._dispatcher.own.rejected:
            self._logger.warning(
                f'MLflow refused {rejected} records; they are kept, with the reasons, in '
                f'{self._spool.rejected_path}'
            )

    def disable(self) -> None:
        """Become deaf; for the child of a fork, which has no threads of ours."""
        self._disabled = True
        self._dispatcher.stop()
        self._queue.clear()
        self._jobs.clear()
        self._spool.release()

    def _tell_why_it_waits(self, longest_s: float) -> None:
        size = self._spool.size if self._spool.path.exists() else 0
        left = max(0, size - self._dispatcher.own.offset)
        limit = '' if math.isinf(longest_s) else f', at most {longest_s:.0f} s more'
        self._logger.warning(
            f'MLflow: waiting until it has taken {left / 1000:.1f} kB of records and '
            f'{self._dispatcher.own.left} files{limit}; Ctrl-C ends the waiting. What is left is '
            f'kept, and sent by: {how_to_send(self._spool.path.parent)}'
        )

    # the spool thread

    def _spool_loop(self) -> None:
        next_sample = next_beat = time.monotonic()
        while not self._is_closed and not self._disabled:
            with forking.busy():
                now = time.monotonic()
                if self._sample is not None and now >= next_sample:
                    next_sample = now + self._sample_every_s
                    self._jobs.append(self._system_metrics)
                try:
                    self._mend()
                    if now >= next_beat:
                        next_beat = now + _BEAT_EVERY_S
                        self._spool.touch()
                    self._empty_queue()
                except Exception as error:  # a disk that is gone; this thread must live on
                    self._warn(f'MLflow log cannot be kept on disk: {error}')
            time.sleep(_SPOOL_EVERY_S)

    def _mend(self) -> None:
        with self._spooling:
            if damage := self._spool.mend():
                self._logger.warning(f'MLflow log on disk, {self._spool.path}, {damage}')

    def _empty_queue(self) -> None:
        with self._spooling:
            if self._is_closed:
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
        while not self._is_closed and not self._disabled:
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


_LIVE: 'weakref.WeakSet[RunWriter]' = weakref.WeakSet()


def _disable_all() -> None:
    for writer in list(_LIVE):
        writer.disable()


os.register_at_fork(after_in_child=_disable_all)
