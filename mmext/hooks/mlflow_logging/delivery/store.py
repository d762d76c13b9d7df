"""Where a run is tracked: the config, the environment or a store in the work folder."""

import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Store:
    """A tracking server or data base.

    Attributes:
        tracking_uri: as MLflow writes it (``http://…``, ``sqlite:////…``).
        artifact_location: where a new experiment keeps its files; None lets
            the server choose.
    """

    tracking_uri: str
    artifact_location: str | None

    def how_to_view(self) -> str:
        """A command or an address for people, without a login."""
        if self.tracking_uri.startswith(('http://', 'https://')):
            return _LOGIN.sub('', self.tracking_uri)
        # by the path of its Python where the environment is not activated
        mlflow = 'mlflow' if shutil.which('mlflow') else f'{sys.executable} -m mlflow'
        return f'{mlflow} ui --backend-store-uri {_LOGIN.sub("", self.tracking_uri)}'


_LOGIN = re.compile(r'(?<=://)[^/@]+@')


def resolve_store(
    tracking_uri: str | None, work_dir: str | Path, environ: Mapping[str, str] = os.environ
) -> Store:
    """Choose the store: argument, then ``MLFLOW_TRACKING_URI``, then ``<work_dir>/mlflow.db``.

    SQLite stores keep their artifacts beside the data base; MLflow's own choice
    would be the folder that the process happens to run in.
    """
    uri = tracking_uri or environ.get('MLFLOW_TRACKING_URI')
    if not uri:
        uri = f'sqlite:///{Path(work_dir).resolve() / "mlflow.db"}'
    match = re.fullmatch(r'sqlite:///(.+?)(\?.*)?', uri)
    if match is None:
        return Store(uri, None)
    database = Path(match[1]).expanduser().resolve()
    database.parent.mkdir(parents=True, exist_ok=True)
    artifacts = (database.parent / 'mlartifacts').as_uri()
    return Store(f'sqlite:///{database}{match[2] or ""}', artifacts)
