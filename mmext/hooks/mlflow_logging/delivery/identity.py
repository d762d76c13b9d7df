"""Who the run is, across processes.

MLflow gives out run ids only when it can be reached, so a run has a key of its
own from the first moment: a random text that is a tag of the MLflow run, lies
in every checkpoint and in ``<work_dir>/mlflow_run.json``.
"""

import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

SIDECAR = 'mlflow_run.json'
HUB_KEY, HUB_ID = 'mmext_mlflow_run_key', 'mmext_mlflow_run_id'  # in mmengine's message hub
KEY_TAG = 'mmext.run_key'
SESSION_TAG = 'mmext.first_session'
_LONGEST_KEY = 64


@dataclass
class RunIdentity:
    """The run's own key and, once the server has answered, MLflow's id.

    Attributes:
        key: random text.
        run_id: MLflow's id.
        continues: whether an earlier session may have created the run.
    """

    key: str
    run_id: str | None = None
    continues: bool = True

    @classmethod
    def new(cls, run_id: str | None = None) -> 'RunIdentity':
        """A run that none of our sessions has seen yet; ``run_id`` if others made it."""
        return cls(uuid.uuid4().hex, run_id, continues=False)

    @classmethod
    def load(cls, work_dir: str | Path) -> 'RunIdentity | None':
        """The run that was last tracked from a work folder, if any is known."""
        try:
            stored = json.loads((Path(work_dir) / SIDECAR).read_bytes())
        except (OSError, ValueError, RecursionError):  # none, or one that is spoiled
            return None
        if not isinstance(stored, dict) or not is_key(stored.get('key')):
            return None
        run_id = stored.get('run_id')
        return cls(stored['key'], run_id if is_key(run_id) else None)

    def save(self, work_dir: str | Path) -> None:
        """Write the sidecar file in one step."""
        path = Path(work_dir) / SIDECAR
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f'.{self.key}.tmp')  # another run may do the same just now
        temporary.write_text(json.dumps({'key': self.key, 'run_id': self.run_id}) + '\n')
        temporary.replace(path)


def is_key(value: object) -> TypeGuard[str]:
    """Whether something that a file says can be the key or the id of a run."""
    return isinstance(value, str) and value.isalnum() and len(value) <= _LONGEST_KEY
