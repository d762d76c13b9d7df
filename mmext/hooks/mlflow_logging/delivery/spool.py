"""The disk side of a session: a JSON-lines file that only grows.

``<name>.jsonl`` holds the records, ``<name>.state.json`` how far they have been
sent, ``<name>.files/`` the files that belong to records,
``<name>.rejected.jsonl`` what the server has refused. The writing process
holds a lock on the file as long as it lives, however it ends, so that a spool
without lock and without end is known to belong to a dead session.
"""

import fcntl
import json
import os
import shlex
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mmext.hooks.mlflow_logging.delivery.records import Record

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
        # a descriptor, not a file object: those have a buffer with a lock, which a fork
        # copies in whatever state it is
        self._descriptor: int | None = None

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
        os.ftruncate(descriptor, self.path.read_bytes().rfind(b'\n') + 1)
        self._descriptor = descriptor
        return True

    def append(self, records: Iterable[Record]) -> None:
        """Write the records as complete lines and hand them to the system.

        Raises:
            OSError: the disk is full; the spool is as it was before.
        """
        if self._descriptor is None:
            raise RuntimeError(f'spool {self.path} is not claimed')
        lines = b''.join(json.dumps(record).encode() + b'\n' for record in records)
        left = memoryview(lines)
        size = os.fstat(self._descriptor).st_size
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError:
            os.ftruncate(self._descriptor, size)
            raise

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

        A line that a loss of power has spoiled is passed over.
        """
        with self.path.open('rb') as file:
            file.seek(offset)
            for _ in range(limit):
                line = file.readline()
                if not line.endswith(b'\n'):  # the end, or a line that is being written
                    return
                offset += len(line)
                record = _record(line)
                if record is not None:
                    yield record, offset

    def last_record(self) -> Record | None:
        """The newest complete record."""
        with self.path.open('rb') as file:
            lines = [line for line in file if line.endswith(b'\n')]
        return next(filter(None, map(_record, reversed(lines))), None)

    def load_state(self) -> dict[str, Any]:
        """What the shipper stored last; empty at first, and where a loss of power has spoiled it.

        All is sent again then, which does no harm.
        """
        try:
            return dict(json.loads(self._state_path.read_bytes()))
        except (FileNotFoundError, ValueError):
            return {}

    def save_state(self, state: dict[str, Any]) -> None:
        """Replace the stored state in one step."""
        temporary = self._state_path.with_suffix('.tmp')
        temporary.write_text(json.dumps(state))
        temporary.replace(self._state_path)

    def rejections(self) -> list[str]:
        """Why the server has refused records."""
        if not self.rejected_path.exists():
            return []
        lines = self.rejected_path.read_text().splitlines()
        return [str(json.loads(line)['reason']) for line in lines]

    def remove_files(self) -> None:
        """Delete the files that belonged to the records."""
        shutil.rmtree(self.files_dir, ignore_errors=True)


def how_to_send(folder: Path) -> str:
    """The command for people that sends what is kept below a folder."""
    return shlex.join(['python', 'tools/mlflow_replay.py', str(folder.resolve())])


def _record(line: bytes) -> Record | None:
    try:
        return dict(json.loads(line))
    except ValueError:
        return None
