"""Which checkpoints become artifacts.

mmengine's checkpoint hook announces files in the message hub and deletes old
ones as it likes. Each announced file is held by a hard link in the spool's
folder, which costs nothing and outlives the deletion, until it has been sent.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mmext.hooks.mlflow_logging.delivery import names, records
from mmext.hooks.mlflow_logging.delivery.records import Record

LARGE_BYTES = 2e9  # above, a person should know that such files are sent
POLICIES = ('best', 'last', 'every', 'none')


class CheckpointPolicy:
    """Turns announced checkpoint files into records.

    Args:
        policy: ``best`` and ``last`` keep the latest holder of the role and
            send it at the end of the session; ``every`` sends each file at once.
        keeps_best: whether the run looks for a best one; ``best`` falls back
            to ``last`` without.
        folder: where the links go.
        logger: is told once of files above 2 GB.
    """

    def __init__(
        self,
        policy: str,
        keeps_best: bool,
        folder: Path,
        logger: logging.Logger | None = None,
    ) -> None:
        self._logger = logger or logging.getLogger(__name__)
        self._warned = False
        self._every = policy == 'every'
        self._folder = folder
        self._best = 'best' if keeps_best else 'last'
        self._held: dict[str, str] = {}
        self._newest: dict[str, tuple[str, int | None]] = {}
        self._roles: tuple[str, ...] = {
            'best': ('best',) if keeps_best else ('last',),
            'last': ('last',),
            'every': ('last', 'best') if keeps_best else ('last',),
            'none': (),
        }[policy]

    @property
    def newest(self) -> tuple[str, int | None] | None:
        """Path of the best checkpoint so far (the last, without a best) and its step if known."""
        return self._newest.get(self._best)

    def update(self, announced: Mapping[str, object], step: int | None) -> Iterator[Record]:
        """Records of the files that are new.

        Args:
            announced: mmengine's ``last_ckpt``, ``best_ckpt``, ``best_score``.
            step: global training iterations done; None for files that a session
                before has made: what it said about them stays, and they are sent
                only if that has not happened.
        """
        for role, path in _paths(announced):
            if path == self._held.get(role):
                continue
            self._held[role] = path
            self._newest[role] = path, step
            is_left = step is None and (self._every or not Path(path).exists())
            if role not in self._roles or is_left:
                continue
            held = self._hold(Path(path))
            name = names.encode(Path(path).name)  # it becomes a part of an address
            facts: dict[str, object] = {} if step is None else {'step': step}
            if role == 'best' and facts:
                facts['score'] = announced.get('best_score')
            if self._every:
                yield records.file(held, f'checkpoints/{name}')
                yield records.tags({f'mmext.{role}.{key}': value for key, value in facts.items()})
            else:
                yield records.checkpoint(role, held, name, **facts)

    def _hold(self, path: Path) -> Path:
        """A hard link to the file, or the file itself where there can be none."""
        self._warn_of_size(path)
        link = self._folder / path.name
        try:
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.hardlink_to(path)
        except OSError:  # another file system, or not a local path
            return path
        return link

    def _warn_of_size(self, path: Path) -> None:
        size = path.stat().st_size if path.is_file() else 0
        if size > LARGE_BYTES and not self._warned:
            self._warned = True
            each = 'each of them as it is saved' if self._every else 'one at the end of the run'
            self._logger.warning(
                f'MLflow is sent checkpoints of {size / 1e9:.1f} GB, {each}; '
                "checkpoints='none' of MLflowHook keeps them here"
            )


def mask_config(checkpoint: Mapping[str, Any], redact: Callable[[str], str]) -> None:
    """Mask credentials in the config that a checkpoint carries, as it may be sent."""
    info = checkpoint.get('message_hub', {}).get('runtime_info', {})
    for holder in (checkpoint.get('meta', {}), info):
        if isinstance(holder.get('cfg'), str):
            holder['cfg'] = redact(holder['cfg'])


def _paths(announced: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for role in ('last', 'best'):
        path = announced.get(f'{role}_ckpt')
        if isinstance(path, str):
            yield role, path
