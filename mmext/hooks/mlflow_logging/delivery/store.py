"""Where a run is tracked: the config, the environment or a store in the work folder."""

import fcntl
import logging
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import quote, urlsplit

from mmext.errors import InputError

_SQLITE = 'sqlite:///'
_KINDS = ('http', 'https', 'sqlite', 'postgresql', 'mysql', 'mssql', 'file', 'databricks',
          'databricks-uc', 'uc')  # fmt: skip


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

    def how_to_view(self, run_id: str | None = None) -> str:
        """A command or an address for people, without a login; with a run's id that of its page."""
        page = f'/#/runs/{run_id}' if run_id else ''
        if self.tracking_uri.startswith(('http://', 'https://')):
            return _LOGIN.sub('', self.tracking_uri).rstrip('/' if page else '') + page
        # by the path of its Python where the environment is not activated
        mlflow = ['mlflow'] if shutil.which('mlflow') else [sys.executable, '-m', 'mlflow']
        uri = _LOGIN.sub('', self.tracking_uri)
        command = shlex.join([*mlflow, 'ui', '--backend-store-uri', uri])
        return f'{command}  then http://127.0.0.1:5000{page}' if page else command


_LOGIN = re.compile(r'(?<=://)[^/@]+@')


def resolve_store(
    tracking_uri: str | None, work_dir: str | Path, environ: Mapping[str, str] = os.environ
) -> Store:
    """Choose the store: argument, then ``MLFLOW_TRACKING_URI``, then ``<work_dir>/mlflow.db``.

    SQLite stores keep their artifacts beside the data base; MLflow's own choice
    would be the folder that the process happens to run in.

    Raises:
        InputError: MLflow knows no such kind of store, an address has no host or no port that can
            be, or the folder of a SQLite file cannot be made.
    """
    uri = tracking_uri or environ.get('MLFLOW_TRACKING_URI')
    if not uri:
        return _sqlite_store(Path(work_dir) / 'mlflow.db')
    _check_uri(uri)
    if not uri.startswith(_SQLITE):
        return Store(uri, None)
    written, mark, query = uri.partition('?')
    database = _read_back(written)
    if not database or database == ':memory:' or database.startswith('file:'):
        return Store(uri, None)
    return _sqlite_store(Path(database).expanduser(), mark + query)


def _check_uri(uri: str) -> None:
    """Refuse what no server will ever answer to: it would look like one that is down."""
    named = f'MLflow tracking URI {_LOGIN.sub("", uri)!r}'
    scheme, mark, _ = uri.partition('://')
    kind = scheme.partition('+')[0]  # a data base and its driver
    if mark and kind not in _KINDS:
        plugins = entry_points(group='mlflow.tracking_store')
        if scheme not in {plugin.name for plugin in plugins}:
            raise InputError(f'{named}: expected one of {", ".join(_KINDS)}, got {scheme}')
    if kind not in ('http', 'https'):
        return
    try:
        parts = urlsplit(uri)
        if parts.hostname and (parts.port is None or parts.port):
            return
        reason = 'it names no host'
    except ValueError as error:
        reason = str(error)
    raise InputError(f'{named}: {reason}; expected one as http://host:5000')


@contextmanager
def connecting(tracking_uri: str) -> Iterator[None]:
    """What MLflow needs around its first look at a SQLite file; nothing for other stores.

    Two processes that make its tables in one moment would spoil it: they do so one by one. MLflow
    also makes the folder of the URI as it is spelled (``/a%3Fb`` for a file in ``/a?b``): that is
    taken away again.

    Args:
        tracking_uri: of the store.
    """
    if not tracking_uri.startswith(_SQLITE):
        yield
        return
    # that tables are made in a new file is no news for whoever trains
    logging.getLogger('mlflow.store.db.utils').setLevel(logging.WARNING)
    folder = Path(tracking_uri.removeprefix(_SQLITE)).parent
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    with ExitStack() as stack:
        with suppress(OSError):  # no such folder yet, or a file system without locks
            place = os.open(Path(_read_back(tracking_uri)).parent, os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, place)
            fcntl.flock(place, fcntl.LOCK_EX)
            # a data worker that is forked meanwhile has the folder open for as long as it lives
            stack.callback(fcntl.flock, place, fcntl.LOCK_UN)
        yield
    for path in missing:
        with suppress(OSError):  # not made, or the place of the data base itself
            path.rmdir()


def _sqlite_store(database: Path, query: str = '') -> Store:
    database = database.resolve()
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f'MLflow store {database}: its folder cannot be made: {error}') from error
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
