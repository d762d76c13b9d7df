"""Where a run is tracked: the config, the environment or a store in the work folder."""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

_SQLITE = 'sqlite:///'


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
        mlflow = ['mlflow'] if shutil.which('mlflow') else [sys.executable, '-m', 'mlflow']
        uri = _LOGIN.sub('', self.tracking_uri)
        return shlex.join([*mlflow, 'ui', '--backend-store-uri', uri])


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
        return _sqlite_store(Path(work_dir) / 'mlflow.db')
    if not uri.startswith(_SQLITE):
        return Store(uri, None)
    written, mark, query = uri.partition('?')
    database = _read_back(written)
    if not database or database == ':memory:' or database.startswith('file:'):
        return Store(uri, None)
    return _sqlite_store(Path(database).expanduser(), mark + query)


@contextmanager
def no_folder_of_the_spelling(tracking_uri: str) -> Iterator[None]:
    """Take away the empty folder that MLflow makes where a data base is only spelled.

    Args:
        tracking_uri: the folder of ``sqlite:////a%3Fb/x.db`` is ``/a?b``; MLflow also makes
            ``/a%3Fb`` when it connects.
    """
    folder = Path(tracking_uri.removeprefix(_SQLITE)).parent
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    yield
    if tracking_uri.startswith(_SQLITE):
        for path in missing:
            with suppress(OSError):  # not made, or the place of the data base itself
                path.rmdir()


def _sqlite_store(database: Path, query: str = '') -> Store:
    database = database.resolve()
    database.parent.mkdir(parents=True, exist_ok=True)
    return Store(_spelled(str(database), query), (database.parent / 'mlartifacts').as_uri())


def _spelled(database: str, query: str) -> str:
    """The URI of a SQLite file, whatever its path holds.

    A ``?`` begins the query of a URI. SQLAlchemy reads ``%3F`` from version 2.1 on; before,
    SQLite itself has to be asked to.
    """
    escaped = database.replace('%', '%25').replace('?', '%3F')
    for spelling in (database, escaped):
        if _read_back(_SQLITE + spelling) == database:
            return f'{_SQLITE}{spelling}{query}'
    return f'{_SQLITE}file:{quote(database)}{query or "?"}{"&" if query else ""}uri=true'


def _read_back(uri: str) -> str:
    """The file that SQLAlchemy opens for a URI."""
    from sqlalchemy.engine import make_url  # MLflow's own, slow to import

    return make_url(uri).database or ''
