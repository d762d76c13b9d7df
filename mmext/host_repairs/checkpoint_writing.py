"""Checkpoints that are whole or not there, whenever a training is killed.

Host: ``mmengine.runner.save_checkpoint`` and ``mmengine.hooks.CheckpointHook``.
Fault: a checkpoint is written in place, under the name it is looked for; the one before it, and
the best one, are deleted first. A kill in between leaves half a file and, with
``max_keep_ckpts=1``, nothing else. ``last_checkpoint`` is emptied before it is written.
Repair: every file is written beside its place, reaches the disk and is renamed. What the hook
deletes goes after the new checkpoint and ``last_checkpoint`` are whole.
Folders that are not on a local disk are written as the host does.
"""

import functools
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import mmengine.runner
import torch
from mmengine.fileio import LocalBackend, get_file_backend
from mmengine.hooks import CheckpointHook, checkpoint_hook
from mmengine.runner import Runner, checkpoint, runner

from mmext.errors import InputError

_PARTIAL = '.mmext-partial'
_STALE_S = 5.0
"""Age of a half-written file, s, at which one that is not locked has no writer any more."""


def repair() -> None:
    """Mend it in the runner and in the hook, for every config."""
    if hasattr(checkpoint.save_checkpoint, '__wrapped__'):
        return
    saved = _save_whole(checkpoint.save_checkpoint)
    for module in (checkpoint, runner, mmengine.runner):
        module.save_checkpoint = saved
    # of the one file that the hook opens, last_checkpoint
    vars(checkpoint_hook)['open'] = _open_text
    for name in ('_save_checkpoint_with_step', '_save_best_checkpoint'):
        setattr(CheckpointHook, name, _delete_last(getattr(CheckpointHook, name)))


def _save_whole(save: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(save)
    def save_checkpoint(
        content: dict[str, Any],
        filename: str,
        file_client_args: dict[str, Any] | None = None,
        backend_args: dict[str, Any] | None = None,
    ) -> None:
        if file_client_args is not None or not _is_local(filename, backend_args):
            save(content, filename, file_client_args, backend_args)
            return
        Path(filename).parent.mkdir(parents=True, exist_ok=True)
        with whole_file(filename) as file:
            torch.save(content, file)

    return save_checkpoint


def _is_local(filename: str, backend_args: dict[str, Any] | None) -> bool:
    if '://' in filename:
        return False
    return isinstance(get_file_backend(filename, backend_args=backend_args), LocalBackend)


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file to write that takes its place when it is complete and on the disk.

    It is written beside its place, as ``.NAME.RANDOM.mmext-partial``. If the block raises or the
    process is killed, what was at the place stays there. What killed processes have left in the
    folder is removed.

    Args:
        path: the place.

    Yields:
        The open file.

    Raises:
        InputError: there is a folder at the place.
    """
    place = Path(path)
    _remove_stale(place.parent)
    partial = place.with_name(f'.{place.name}.{secrets.token_hex(4)}{_PARTIAL}')
    try:
        with open(partial, 'wb') as file:
            with suppress(OSError):  # file systems without locks
                _lock(file)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, place)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, IsADirectoryError):
            raise InputError(
                f'{place} is a folder, but a file of that name is to be written: move it away'
            ) from error
        raise
    _sync_folder(place.parent)


@contextmanager
def _open_text(path: str, mode: str = 'r') -> Iterator[Any]:
    """``open`` for the checkpoint hook: a text file that is written is there at once, or not."""
    if mode != 'w':
        with open(path, mode) as file:
            yield file
        return
    lines: list[str] = []
    yield _Lines(lines)
    with whole_file(path) as binary:
        binary.write(''.join(lines).encode())


class _Lines:
    """What is written to a file, kept until the end."""

    def __init__(self, lines: list[str]) -> None:
        self.write = lines.append


def _remove_stale(folder: Path) -> None:
    for partial in folder.glob(f'.*{_PARTIAL}'):
        try:
            if time.time() - partial.stat().st_mtime < _STALE_S:
                continue
            with open(partial, 'rb') as file:
                _lock(file)  # fails if a living process writes it
            partial.unlink()
        except OSError:
            continue


def _lock(file: IO[bytes]) -> None:
    """Lock a file as long as it is open, where the system has such locks."""
    try:
        import fcntl
    except ImportError:  # Windows: an open file cannot be deleted there
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sync_folder(folder: Path) -> None:
    """Let the new name reach the disk too, where a folder can be opened."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    with suppress(OSError):  # file systems without it
        os.fsync(descriptor)
    os.close(descriptor)


def _delete_last(save: Callable[..., None]) -> Callable[..., None]:
    """Let a method of the hook delete files after it has written, not before."""

    @functools.wraps(save)
    def save_then_delete(hook: CheckpointHook, runner: Runner, *args: Any, **kwargs: Any) -> None:
        backend = getattr(hook, 'file_backend', None)
        # remote, an outer method's, or none: a validation without a training saves nothing
        if not isinstance(backend, LocalBackend):
            save(hook, runner, *args, **kwargs)
            return
        waiting = _LateDeletion(backend)
        hook.file_backend = waiting
        try:
            save(hook, runner, *args, **kwargs)
        finally:
            hook.file_backend = backend
        waiting.delete()

    return save_then_delete


class _LateDeletion:
    """A file backend that deletes when it is told to.

    A method that saves the best checkpoint calls the one that saves the last: both get the
    outer one's.
    """

    def __init__(self, backend: LocalBackend) -> None:
        self._backend = backend
        self._waiting: list[tuple[str, tuple[int, int], Callable[[str], None]]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        """Note a file."""
        self._waiting.append((path, _identity(path), self._backend.remove))

    def rmtree(self, path: str) -> None:
        """Note a folder."""
        self._waiting.append((path, _identity(path), self._backend.rmtree))

    def delete(self) -> None:
        """Delete what was noted, but not what was written anew under such a name."""
        for path, identity, delete in self._waiting:
            if os.path.exists(path) and _identity(path) == identity:
                delete(path)


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_ino, status.st_mtime_ns
