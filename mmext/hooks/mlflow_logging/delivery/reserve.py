"""Room on the disk that a session sets aside, so that a full disk does not take its last records.

The file is as long as it will ever be from the start, filled with NUL; writing into it needs no
new room. What lies in it comes behind the last byte of the spool, and is moved there as soon as
there is room.
"""

import os
from contextlib import suppress
from pathlib import Path

_SIZE_BYTES = 1 << 18  # some thousand records


class Reserve:
    """The reserve of one spool.

    Args:
        path: its file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def set_aside(self) -> None:
        """Make the file, unless a session before has left it, or there is no room for it."""
        if self._path.exists():
            return
        try:
            with self._path.open('xb') as file:
                os.posix_fallocate(file.fileno(), 0, _SIZE_BYTES)
        except OSError:
            with suppress(OSError):
                self.remove()

    def content(self) -> bytes:
        """What lies in it."""
        try:
            return self._path.read_bytes().partition(b'\0')[0]
        except FileNotFoundError:
            return b''

    def add(self, lines: bytes) -> bool:
        """Put lines behind the others; returns whether there is room for them."""
        used = len(self.content())
        if not self._path.exists() or used + len(lines) >= _SIZE_BYTES:
            return False
        try:
            self._write(lines, used)
        except OSError:  # a part of a line is none
            self._write(bytes(len(self.content()) - used), used)
            return False
        return True

    def clear(self) -> None:
        """Make it empty again."""
        if used := len(self.content()):
            self._write(bytes(used), 0)

    def remove(self) -> None:
        """Give the room back."""
        self._path.unlink(missing_ok=True)

    def _write(self, content: bytes, position: int) -> None:
        with self._path.open('r+b', buffering=0) as file:
            file.seek(position)
            left = memoryview(content)
            while left:
                left = left[file.write(left) :]
