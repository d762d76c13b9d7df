"""Which checkpoints become artifacts.

mmengine's checkpoint hook announces files in the message hub and deletes old
ones as it likes. Each announced file is held by a hard link in the spool's
folder, which costs nothing and outlives the deletion, until it has been sent.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from mmext.hooks.mlflow_logging import records
from mmext.hooks.mlflow_logging.records import Record

POLICIES = ('best', 'last', 'every', 'none')


class CheckpointPolicy:
    """Turns announced checkpoint files into records.

    Args:
        policy: ``best`` and ``last`` keep the latest holder of the role and
            send it at the end of the session; ``every`` sends each file at once.
        keeps_best: whether the run looks for a best one; ``best`` falls back
            to ``last`` without.
        folder: where the links go.
    """

    def __init__(self, policy: str, keeps_best: bool, folder: Path) -> None:
        self._every = policy == 'every'
        self._folder = folder
        self._held: dict[str, str] = {}
        self._roles: tuple[str, ...] = {
            'best': ('best',) if keeps_best else ('last',),
            'last': ('last',),
            'every': ('last', 'best') if keeps_best else ('last',),
            'none': (),
        }[policy]

    def update(self, announced: Mapping[str, object], step: int) -> Iterator[Record]:
        """Records of the files that are new.

        Args:
            announced: mmengine's ``last_ckpt``, ``best_ckpt``, ``best_score``.
            step: global training iterations done.
        """
        for role in self._roles:
            path = announced.get(f'{role}_ckpt')
            if not isinstance(path, str) or path == self._held.get(role):
                continue
            self._held[role] = path
            held = self._hold(Path(path))
            facts: dict[str, object] = {'step': step}
            if role == 'best':
                facts['score'] = announced.get('best_score')
            if self._every:
                yield records.file(held, f'checkpoints/{Path(path).name}')
                yield records.tags({f'mmext.{role}.{key}': value for key, value in facts.items()})
            else:
                yield records.checkpoint(role, held, Path(path).name, **facts)

    def _hold(self, path: Path) -> Path:
        """A hard link to the file, or the file itself where there can be none."""
        link = self._folder / path.name
        try:
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.hardlink_to(path)
        except OSError:  # another file system, or not a local path
            return path
        return link
