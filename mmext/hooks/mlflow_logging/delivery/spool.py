"""The disk side of a session: a JSON-lines file that only grows.

``<name>.jsonl`` holds the records, ``<name>.state.json`` how far they have been
sent, ``<name>.files/`` the files that belong to records,
``<name>.rejected.jsonl`` what the server has refused, ``<name>.reserve`` room for
the last records on a full disk (:mod:`.reserve`). The writing process
holds a lock on the file as long as it lives, however it ends, so that a spool
without lock and without end is known to belong to a dead session.
"""

import fcntl
import itertools
import json
import os
import shlex
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmext.hooks.mlflow_logging.delivery.records import Record
from mmext.hooks.mlflow_logging.delivery.reserve import Reserve

_LONGEST_LINE = 10_000  # characters of a spoiled line that are kept
_STALE_AFTER_S = 600.0  # silence that means death where the file system knows no locks


class Spool:
    """One session's records on disk.

    Args:
        path: the ``.jsonl`` file; :meth:`claim` makes it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files_dir = path.with_suffix('.files')
        self.rejected_path = path.with_suffix('.rejected.jsonl')
        self._state_path = path.with_suffix('.state.json')
        self._reserve = Reserve(path.with_suffix('.reserve'))
        self._moving = threading.Lock()  # lines are either in the reserve or behind the others
        # a descriptor, not a file object: those have a buffer with a lock, which a fork
        # copies in whatever state it is
        self._descriptor: int | None = None
        self._written = 0  # bytes that the file must have, while it is claimed
        self._header = b''
        self.generation = 0  # how often it had to be begun anew: places in it count no more

    def claim(self) -> bool:
        """Open for writing and lock, until :meth:`release` or the end of the process.

        A last line that a sudden death has cut off is taken away.

        Returns:
            Whether it worked; False means that another process still writes.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        last_sign_s = self.path.stat().st_mtime if self.path.exists() else 0.0
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except BlockingIOError:
            free = False
        except OSError:  # some network file systems have no locks
            free = time.time() - last_sign_s > _STALE_AFTER_S
        if not free:
            os.close(descriptor)
            return False
        content = self.path.read_bytes()
        self._written = content.rfind(b'\n') + 1
        self._header = content[: content.find(b'\n') + 1]
        os.ftruncate(descriptor, self._written)
        self._descriptor = descriptor
        self._reserve.set_aside()
        return True

    def append(self, records: Iterable[Record]) -> None:
        """Write the records as complete lines and hand them to the system.

        Raises:
            OSError: the disk is full, and the reserve; the spool is as it was before.
        """
        if self._descriptor is None:
            raise RuntimeError(f'spool {self.path} is not claimed')
        lines = b''.join(json.dumps(record).encode() + b'\n' for record in records)
        with self._moving:
            try:
                self._extend(self._descriptor, self._reserve.content() + lines)
                self._reserve.clear()
            except OSError:
                if not self._reserve.add(lines):
                    raise
        self._header = self._header or lines[: lines.find(b'\n') + 1]

    def _extend(self, descriptor: int, lines: bytes) -> None:
        size = os.fstat(descriptor).st_size
        try:
            _write(descriptor, lines)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
        self._written = size + len(lines)

    @property
    def size(self) -> int:
        """How long it is with its reserve, in bytes."""
        with self._moving:
            return self.path.stat().st_size + len(self._reserve.content())

    def mend(self) -> str | None:
        """Write the file anew if somebody has deleted, replaced or cut it.

        A deleted file lives on as long as it is open: its records are all saved.

        Returns:
            What had happened to it; None where it is whole.

        Raises:
            OSError: it cannot be written now.
        """
        if self._descriptor is None:
            return None
        size = os.fstat(self._descriptor).st_size
        if size < self._written:
            lost, self._written = self._written - size, len(self._header)
            os.ftruncate(self._descriptor, 0)
            _write(self._descriptor, self._header)
            self.generation += 1
            return f'was cut by {lost} bytes; what was not sent yet of them is lost'
        if self.path.exists() and os.path.samestat(self.path.stat(), os.fstat(self._descriptor)):
            return None
        self._rewrite(os.pread(self._descriptor, size, 0))
        return 'was deleted or replaced; it is written anew, but without the files beside it'

    def _rewrite(self, content: bytes) -> None:
        """Put a file of that content in the place of the spool, and go on in it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix('.mended')
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o666)
        try:
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write(descriptor, content)
            temporary.replace(self.path)
        except OSError:
            os.close(descriptor)
            raise
        self.release()
        self._descriptor = descriptor

    def store_file(self, data: bytes, name: str) -> Path:
        """Keep the contents of a file that a record will refer to."""
        self.files_dir.mkdir(parents=True, exist_ok=True)
        path = self.files_dir / name
        path.write_bytes(data)
        return path

    def locate(self, path: str | Path) -> Path:
        """Where a file of a record is now: the work folder may have been moved, or copied."""
        here = self.files_dir / Path(path).name
        return here if here.exists() and not Path(path).exists() else Path(path)

    def discard_file(self, path: str | Path) -> None:
        """Delete a file that has been sent, if it is the spool's own."""
        if Path(path).parent == self.files_dir:
            Path(path).unlink(missing_ok=True)

    def touch(self) -> None:
        """Show that the session lives, for file systems without locks.

        Raises:
            OSError: somebody has deleted the file.
        """
        os.utime(self.path)

    def release(self) -> None:
        """Close the file and let go of the lock."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def read(self, offset: int, limit: int = 2000) -> Iterator[tuple[Record, int]]:
        """Yield up to ``limit`` records from a byte offset, each with the offset behind it.

        A line that is none, as after a loss of power, is a record of kind ``spoiled``.
        """
        lines = self._lines(offset)
        for line in itertools.islice(lines, limit):
            offset += len(line)
            yield _record(line), offset

    def _lines(self, offset: int) -> Iterator[bytes]:
        """Whole lines from an offset; the last may lie in the reserve."""
        with self.path.open('rb') as file:
            file.seek(offset)
            while (line := file.readline()).endswith(b'\n'):
                yield line
            behind = file.tell()
        if line:  # is being written
            return
        with self._moving:
            if self.path.stat().st_size > max(behind, offset):  # moved just now: next time
                return
            left = self._reserve.content()[max(0, offset - self.path.stat().st_size) :]
        yield from left.splitlines(keepends=True)

    def header(self) -> Record | None:
        """The first record, if it names a run and its store."""
        first, _ = next(self.read(0, 1), ({}, 0))
        run = first.get('run')
        names_run = isinstance(run, dict) and {'key', 'start_ms'} <= run.keys()
        return (
            first if names_run and {'tracking_uri', 'artifact_location'} <= first.keys() else None
        )

    def is_closed(self) -> bool:
        """Whether the session has written its end."""
        lines = (line for line in self._lines(0) if b'"close"' in line)
        return any(_record(line)['kind'] == 'close' for line in lines)

    def load_state(self) -> dict[str, Any]:
        """What the shipper stored last; empty at first, and where a loss of power has spoiled it.

        All is sent again then, which does no harm.
        """
        try:
            return dict(json.loads(self._state_path.read_bytes()))
        except (OSError, ValueError, TypeError, RecursionError):
            return {}

    def save_state(self, state: dict[str, Any]) -> None:
        """Replace the stored state in one step."""
        self._state_path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._state_path.with_suffix('.tmp')
        temporary.write_text(json.dumps(state))
        temporary.replace(self._state_path)

    def rejections(self) -> list[Record]:
        """The records that the server has refused, each with the ``reason``."""
        if not self.rejected_path.exists():
            return []
        return [_record(line) for line in self.rejected_path.read_bytes().splitlines()]

    def keep_rejections(self, records: list[Record]) -> None:
        """Replace the refused records in one step."""
        if not records:
            self.rejected_path.unlink(missing_ok=True)
            return
        temporary = self.rejected_path.with_suffix('.tmp')
        temporary.write_text(''.join(json.dumps(record) + '\n' for record in records))
        temporary.replace(self.rejected_path)

    def remove_files(self) -> None:
        """Delete the files that belonged to the records, but those of refused ones."""
        self._reserve.remove()
        kept = {Path(path).name for record in self.rejections() for path in files_of(record)}
        if not kept:
            shutil.rmtree(self.files_dir, ignore_errors=True)
        elif self.files_dir.exists():
            for path in self.files_dir.iterdir():
                if path.is_file() and path.name not in kept:
                    self.discard_file(path)


def files_of(record: Record) -> list[str]:
    """The paths of the files that a record sends."""
    return [record[key] for key in ('path', 'weights') if isinstance(record.get(key), str)]


def how_to_send(folder: Path) -> str:
    """The command for people that sends what is kept below a folder."""
    return shlex.join(['python', 'tools/mlflow_replay.py', str(folder.resolve())])


def _write(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def _record(line: bytes) -> Record:
    """What a line says, or that it says nothing that was ever written."""
    try:
        record = json.loads(line)
        if isinstance(record, dict) and isinstance(record.get('kind'), str):
            return record
    except (ValueError, RecursionError):
        pass
    return {'kind': 'spoiled', 'line': line.decode(errors='replace').rstrip('\n')[:_LONGEST_LINE]}
