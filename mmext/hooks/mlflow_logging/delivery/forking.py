"""Lets the process fork while threads of ours work in it.

A fork copies every lock as it is and none of the threads that would release it:
a data loader's worker that imports a module which a thread was importing, or
draws with a library that a thread was in, waits for ever. Threads therefore do
their work between quiet points (:func:`busy`, :func:`rest`), and a fork waits
until each has come to one. A thread that hangs in a dead connection is waited
for once, and not long. An import is always waited for: it comes to an end, and
its lock is the one that children really meet.
"""

import _imp  # the lock below is taken and released as importlib itself does it
import os
import threading
import time
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from importlib import _bootstrap
from typing import Any

PATIENCE_S = 2.0  # for one thread that does not come to a quiet point
_IMPORT_PATIENCE_S = 60.0
_MODULE_LOCKS: Mapping[str, Any] = getattr(_bootstrap, '_module_locks', {})  # by weak reference
_LONGEST_FORK_S = 30.0  # a thread that waits longer for the end of a fork goes on


class _Work:
    """What a thread does between two quiet points."""

    given_up = False  # a fork has waited for it in vain


class _Gate:
    """Closed while the process forks; threads pass it at their quiet points."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._forks = 0
        self._busy: dict[int, _Work] = {}

    def enter(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._forks == 0, timeout=_LONGEST_FORK_S)
            self._busy[threading.get_ident()] = _Work()

    def leave(self) -> None:
        with self._changed:
            self._busy.pop(threading.get_ident(), None)
            self._changed.notify_all()

    def rest(self) -> None:
        if threading.get_ident() in self._busy:
            self.leave()
            self.enter()

    def close(self) -> None:
        with self._changed:
            self._forks += 1
            self._changed.wait_for(lambda: not self._awaited(), timeout=PATIENCE_S)
            for work in self._awaited():
                work.given_up = True

    def open(self) -> None:
        with self._changed:
            self._forks = max(0, self._forks - 1)
            self._changed.notify_all()

    def _awaited(self) -> list[_Work]:
        me = threading.get_ident()
        return [work for ident, work in self._busy.items() if ident != me and not work.given_up]

    def is_importing(self) -> bool:
        """Whether a thread that is at work is inside of an import statement.

        The locks of the modules say so. The frames of another thread would too, but Python 3.11
        can crash when they are walked while that thread runs.
        """
        others = self._busy.keys() - {threading.get_ident()}
        locks = [reference() for reference in list(_MODULE_LOCKS.values())]
        return any(lock is not None and _is_held(lock, others) for lock in locks)


@contextmanager
def busy() -> Iterator[None]:
    """Work that a fork must not cut through; its beginning and end are quiet points."""
    _gate.enter()
    try:
        yield
    finally:
        _gate.leave()


def rest() -> None:
    """A quiet point amid :func:`busy`; nothing elsewhere."""
    _gate.rest()


def _before() -> None:
    _gate.close()
    deadline = time.monotonic() + _IMPORT_PATIENCE_S
    while True:
        # who holds this lock sees no import begin elsewhere; it is taken by every fork anyway
        _imp.acquire_lock()
        if not _gate.is_importing() or time.monotonic() > deadline:
            return
        _imp.release_lock()
        time.sleep(0.005)


def _after_in_parent() -> None:
    _gate.open()
    _imp.release_lock()


def _after_in_child() -> None:
    global _gate
    _imp.release_lock()
    _gate = _Gate()  # the old one has locks and threads of another process


def _is_held(module_lock: Any, threads: Set[int]) -> bool:
    """Whether one of some threads loads the module of a lock, or somebody takes the lock now."""
    taken_now = getattr(module_lock.lock, 'locked', bool)  # unknown of Python 3.12's
    return module_lock.owner in threads or bool(taken_now())


_gate = _Gate()
os.register_at_fork(
    before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child
)
