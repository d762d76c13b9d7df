"""Which checkpoints become artifacts.

mmengine's checkpoint hook announces files in the message hub and deletes old
ones as it likes; another training in the same folder writes over those of the
same name. Each announced file is therefore copied into the spool's folder, at
once, and kept until it has been sent. File systems that can share the blocks.
"""

import errno
import logging
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from mmext.hooks.mlflow_logging.delivery import names, records
from mmext.hooks.mlflow_logging.delivery.identity import HUB_KEY
from mmext.hooks.mlflow_logging.delivery.records import Record

_CHUNK_BYTES = 1 << 24
LARGE_BYTES = 2e9  # above, a person should know that such files are sent
POLICIES = ('best', 'last', 'every', 'none')


class CheckpointPolicy:
    """Turns announced checkpoint files into records.

    Args:
        policy: ``best`` and ``last`` keep the latest holder of the role and
            send it at the end of the session; ``every`` sends each file at once.
        keeps_best: whether the run looks for a best one; ``best`` falls back
            to ``last`` without.
        folder: where the copies go.
        key: of the run; a checkpoint that names another one is not ours.
        logger: is told once of files above 2 GB.
    """

    def __init__(
        self,
        policy: str,
        keeps_best: bool,
        folder: Path,
        key: str = '',
        logger: logging.Logger | None = None,
    ) -> None:
        self._logger = logger or logging.getLogger(__name__)
        self._warned = False
        self._every = policy == 'every'
        self._folder = folder
        self._best = 'best' if keeps_best else 'last'
        self._key = key
        self._said: dict[str, str] = {}
        self._stamps: dict[str, tuple[str, int]] = {}
        self._newest: dict[str, tuple[str, int | None]] = {}
        self._roles: tuple[str, ...] = {
            'best': ('best',) if keeps_best else ('last',),
            'last': ('last',),
            'every': ('last', 'best') if keeps_best else ('last',),
            'none': (),
        }[policy]

    @property
    def newest(self) -> tuple[str, int | None] | None:
        """Path of the best checkpoint so far (the last, without a best) and its step if known.

        Our copy of it, where there is one; None where another run has written over the file.
        """
        newest = self._newest.get(self._best)
        if newest is None:
            return None
        path, step = newest
        copy = self._folder / Path(path).name
        if copy.exists():
            return str(copy), step
        return newest if self._is_ours(Path(path)) else None

    def update(self, announced: Mapping[str, object], step: int | None) -> Iterator[Record]:
        """Records of the files that are new.

        Args:
            announced: mmengine's ``last_ckpt``, ``best_ckpt``, ``best_score``.
            step: global training iterations done; None for files that a session
                before has made: what it said about them stays, and they are sent
                only if that has not happened.
        """
        for role, path in _paths(announced):
            if not self._is_new(role, path):
                continue
            self._newest[role] = path, step
            is_left = step is None and (self._every or not Path(path).exists())
            if role not in self._roles or is_left:
                continue
            held = self._hold(Path(path))
            if held is None:
                continue
            name = names.encode(Path(path).name)  # it becomes a part of an address
            facts: dict[str, object] = {} if step is None else {'step': step}
            if role == 'best' and facts:
                facts['score'] = announced.get('best_score')
            if self._every:
                yield records.file(held, f'checkpoints/{name}')
                yield records.tags({f'mmext.{role}.{key}': value for key, value in facts.items()})
            else:
                yield records.checkpoint(role, held, name, **facts)

    def _is_new(self, role: str, path: str) -> bool:
        """Whether the file is another one than before, or was written again."""
        if path is self._said.get(role):  # asked after every iteration: not even looked at
            return False
        self._said[role] = path
        file = Path(path)
        stamp = path, file.stat().st_mtime_ns if file.exists() else 0
        is_new = stamp != self._stamps.get(role)
        self._stamps[role] = stamp
        return is_new

    def _hold(self, path: Path) -> Path | None:
        """A copy of the file, or the file itself where there can be none; None if not ours."""
        self._warn_of_size(path)
        held = self._folder / path.name
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _copy(path, held)
        except OSError:  # no room, or not a local path
            held = path
        if self._is_ours(held):
            return held
        self._logger.warning(
            f'MLflow is not sent {path}: another training in this folder has written over it; '
            'give each training a --work-dir of its own'
        )
        if held != path:
            held.unlink()
        return None

    def _is_ours(self, path: Path) -> bool:
        """Whether a checkpoint names our run, or none at all; one that is cut is not ours."""
        if not path.is_file():
            return True
        with path.open('rb') as file:
            if file.read(2) != b'PK':  # torch writes zip archives
                return True
        try:
            with zipfile.ZipFile(path) as archive:
                pickles = [n for n in archive.namelist() if n.endswith('/data.pkl')]
                content = b''.join(map(archive.read, pickles))
        except (OSError, zipfile.BadZipFile):
            return False
        return HUB_KEY.encode() not in content or self._key.encode() in content

    def _warn_of_size(self, path: Path) -> None:
        size = path.stat().st_size if path.is_file() else 0
        if size > LARGE_BYTES and not self._warned:
            self._warned = True
            each = 'each of them as it is saved' if self._every else 'one at the end of the run'
            self._logger.warning(
                f'MLflow is sent checkpoints of {size / 1e9:.1f} GB, {each}; '
                "checkpoints='none' of MLflowHook keeps them here"
            )


def _copy(source: Path, target: Path) -> None:
    """Copy a file, without its bytes where the file system can share them; all or nothing."""
    temporary = target.with_name(f'{target.name}.tmp')
    try:
        with source.open('rb') as old, temporary.open('wb') as new:
            try:
                while os.copy_file_range(old.fileno(), new.fileno(), _CHUNK_BYTES):
                    pass
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    raise
                shutil.copyfileobj(old, new, _CHUNK_BYTES)  # goes on where that has stopped
        temporary.replace(target)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _paths(announced: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for role in ('last', 'best'):
        path = announced.get(f'{role}_ckpt')
        if isinstance(path, str):
            yield role, path
