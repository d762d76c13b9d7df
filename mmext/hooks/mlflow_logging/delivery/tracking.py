"""A connection to MLflow, which is imported only when a session is sent.

Everything goes through one ``MlflowClient`` with an explicit run id; the fluent
API keeps a run per thread and process, which a worker thread must not rely on.
Errors are sorted into the two kinds of :mod:`.answers`.
"""

import getpass
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mmext.hooks.mlflow_logging.delivery.answers import Outage, sorts_errors
from mmext.hooks.mlflow_logging.delivery.identity import KEY_TAG, SESSION_TAG
from mmext.hooks.mlflow_logging.delivery.logged_model import log_model
from mmext.hooks.mlflow_logging.delivery.own_random import keep_random_apart
from mmext.hooks.mlflow_logging.delivery.records import now_ms
from mmext.hooks.mlflow_logging.delivery.store import Store, connecting

if TYPE_CHECKING:
    from mlflow.entities import Run

MAX_POINTS, MAX_PARAMS, MAX_TAGS = 1000, 100, 100  # of one log_batch call
_MAX_TAG_LENGTH = 5000  # 8000 in today's MLflow, 5000 in older servers
# in which what was begun at the same moment becomes visible; the longer ones for slow servers
_SETTLE_S = (1.0, 2.0, 4.0, 8.0)


class Point(NamedTuple):
    """One value of one curve, the key already in MLflow's alphabet."""

    key: str
    value: float
    time_ms: int
    step: int


@dataclass(frozen=True)
class RunRequest:
    """Which run to open.

    Attributes:
        key: the run's own key, see :mod:`.identity`.
        session: the session that asks, in case it is the first.
        run_id: MLflow's id where it is known already.
        continues: whether an earlier session has opened it, in whatever experiment.
        experiment: name of the experiment; created when missing.
        name: name of a new run.
        start_ms: start of a new run.
        tags: tags of a new run.
        parent: id of the parent run, or the name of a group that becomes one.
    """

    key: str
    session: str
    run_id: str | None
    continues: bool
    experiment: str
    name: str
    start_ms: int
    tags: Mapping[str, str]
    parent: str | None = None


@dataclass(frozen=True)
class OpenedRun:
    """The run as it was when it was opened.

    Attributes:
        run_id: MLflow's id.
        first: whether this is the run's first session.
        params: its parameters.
        tags: its tags.
    """

    run_id: str
    first: bool
    params: Mapping[str, str]
    tags: Mapping[str, str]


class Tracking:
    """A connection to a store.

    Args:
        store: where; see :func:`.store.resolve_store`.
    """

    @sorts_errors
    def __init__(self, store: Store) -> None:
        # MLflow's own patience (7 retries of 120 s) would hold up the whole
        # spool; the writer waits and tries again by itself.
        os.environ.setdefault('MLFLOW_HTTP_REQUEST_MAX_RETRIES', '0')
        os.environ.setdefault('MLFLOW_HTTP_REQUEST_TIMEOUT', '30')
        os.environ.setdefault('MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR', 'false')
        from mlflow import MlflowClient

        self._store = store
        with connecting(store.tracking_uri):
            self._client = MlflowClient(tracking_uri=store.tracking_uri)
        keep_random_apart()  # after the modules of this kind of store were loaded

    @sorts_errors
    def open_run(self, request: RunRequest) -> OpenedRun:
        """Find the run by id or key, or create it; twice gives the same run."""
        run = self._find_by_id(request.run_id)
        if run is not None:
            return self._adopted(run, request)
        experiment_id = self._experiment_id(request.experiment)
        run = self._find_by_key(request, experiment_id)
        if run is not None:
            return self._adopted(run, request)
        tags = {
            KEY_TAG: request.key,
            SESSION_TAG: request.session,
            'mlflow.user': _user(),
            'mlflow.source.name': sys.argv[0] or sys.executable,
            'mlflow.source.type': 'LOCAL',
            **request.tags,
        }
        if request.parent is not None:
            tags['mlflow.parentRunId'] = self._parent_id(request, experiment_id)
        run = self._client.create_run(
            experiment_id, start_time=request.start_ms, tags=tags, run_name=request.name
        )
        return OpenedRun(run.info.run_id, True, {}, tags)

    def _adopted(self, run: 'Run', request: RunRequest) -> OpenedRun:
        tags = dict(run.data.tags)
        if tags.get(KEY_TAG) != request.key:  # somebody else has made it for us
            tags |= {KEY_TAG: request.key, SESSION_TAG: request.session}
            self.set_tags(run.info.run_id, {key: tags[key] for key in (KEY_TAG, SESSION_TAG)})
        first = tags.get(SESSION_TAG) == request.session
        return OpenedRun(run.info.run_id, first, run.data.params, tags)

    @sorts_errors
    def log_points(self, run_id: str, points: Sequence[Point], tags: Mapping[str, str]) -> None:
        """Store up to 1000 points and the tags in one transaction."""
        from mlflow.entities import Metric, RunTag

        metrics = [Metric(p.key, p.value, p.time_ms, p.step) for p in points]
        self._client.log_batch(
            run_id, metrics=metrics, tags=[RunTag(k, v) for k, v in tags.items()]
        )

    @sorts_errors
    def log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        """Store up to 100 parameters."""
        from mlflow.entities import Param

        self._client.log_batch(run_id, params=[Param(k, _storable(v)) for k, v in params.items()])

    @sorts_errors
    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set up to 100 tags, values cut to the length that every server takes."""
        from mlflow.entities import RunTag

        cut = [RunTag(k, _storable(v)[:_MAX_TAG_LENGTH]) for k, v in tags.items()]
        self._client.log_batch(run_id, tags=cut)

    @sorts_errors
    def log_text(self, run_id: str, content: str, artifact: str) -> None:
        """Store a text file."""
        self._client.log_text(run_id, content, artifact)

    @sorts_errors
    def log_file(self, run_id: str, path: str, folder: str | None) -> None:
        """Store a file under its own name."""
        self._client.log_artifact(run_id, path, folder)

    @sorts_errors
    def check_file(self, run_id: str, artifact: str, size: int) -> None:
        """Look whether an upload has arrived: a login page answers it with status 200 as well.

        Raises:
            Outage: it is not there, or is of another size.
        """
        folder = artifact.rpartition('/')[0] or None
        sizes = {e.path: e.file_size for e in self._client.list_artifacts(run_id, folder)}
        if sizes.get(artifact, -1) not in (size, None):
            raise Outage(f'{artifact} was taken but is not there')

    @sorts_errors
    def log_dataset(self, run_id: str, context: str, facts: Mapping[str, str]) -> None:
        """Name a data set as input; ``facts`` are the fields of MLflow's Dataset."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        tags = [InputTag('mlflow.data.context', context)]
        self._client.log_inputs(run_id, datasets=[DatasetInput(Dataset(**facts), tags)])

    @sorts_errors
    def log_model(self, run_id: str, record: Mapping[str, Any], folder: Path) -> None:
        """Store a detector as a model of the run; twice makes one.

        Args:
            run_id: the run it comes from.
            record: see :func:`.records.model`.
            folder: where its files may lie meanwhile; must not exist.
        """
        with connecting(self._store.tracking_uri):  # the registry
            uri = log_model(self._client, run_id, record, folder)
        self.set_tags(run_id, {'mmext.model': uri})

    @sorts_errors
    def tags_of(self, run_id: str) -> Mapping[str, str]:
        """The run's present tags."""
        return dict(self._client.get_run(run_id).data.tags)

    @sorts_errors
    def set_running(self, run_id: str) -> None:
        """Take an ended run up again."""
        self._client.update_run(run_id, status='RUNNING')

    @sorts_errors
    def terminate(self, run_id: str, status: str, time_ms: int) -> None:
        """End the run."""
        self._client.set_terminated(run_id, status, time_ms)

    @sorts_errors
    def running_runs(self) -> list[tuple[str, Mapping[str, str]]]:
        """Ids and tags of all runs that have not ended, of whatever experiment."""
        places = [place.experiment_id for place in self._client.search_experiments()]
        runs: list[tuple[str, Mapping[str, str]]] = []
        token: str | None = None
        while True:
            page = self._client.search_runs(
                places, "attributes.status = 'RUNNING'", page_token=token
            )
            runs += [(str(run.info.run_id), dict(run.data.tags)) for run in page]
            token = page.token or None
            if token is None:
                return runs

    def is_reachable(self) -> bool:
        """Whether the store answers at all."""
        try:
            self._client.search_experiments(max_results=1)
        except Exception:
            return False
        return True

    def _find_by_id(self, run_id: str | None) -> 'Run | None':
        from mlflow.exceptions import MlflowException

        if run_id is None:
            return None
        try:
            run = self._client.get_run(run_id)
        except MlflowException as error:
            if error.error_code != 'RESOURCE_DOES_NOT_EXIST':
                raise
            return None
        return run if run.info.lifecycle_stage == 'active' else None

    def _find_by_key(self, request: RunRequest, experiment_id: str) -> 'Run | None':
        places = [experiment_id]
        if request.continues:
            places = [place.experiment_id for place in self._client.search_experiments()]
        query = f"tags.`{KEY_TAG}` = '{request.key}'"
        found = self._client.search_runs(places, query, max_results=1)
        return found[0] if found else None

    def _experiment_id(self, name: str) -> str:
        """Find or create; several jobs may start at the same moment."""
        from mlflow.exceptions import MlflowException

        if self._client.get_experiment_by_name(name) is None:
            try:
                return str(self._client.create_experiment(name, self._store.artifact_location))
            except MlflowException as error:
                if error.error_code != 'RESOURCE_ALREADY_EXISTS':
                    raise
        found = self._client.get_experiment_by_name(name)
        assert found is not None
        if found.lifecycle_stage == 'deleted':
            self._client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _parent_id(self, request: RunRequest, experiment_id: str) -> str:
        """A run id as it is; a group's name becomes the run of that name, made if missing."""
        parent = request.parent or ''
        if len(parent) == 32 and all(char in '0123456789abcdef' for char in parent):
            return parent
        name = parent.replace("'", '')
        for settle_s in _SETTLE_S:
            first = self._first_of_group(experiment_id, name)
            own = None
            if first is None:
                own = self._new_group(experiment_id, name, parent, settle_s / 2)
            elif now_ms() - first.info.start_time > settle_s * 1000:
                return str(first.info.run_id)
            # folds that start in one moment find none, and all make one: the first of them stays
            time.sleep(settle_s)  # nobody's training waits for this thread
            first = self._first_of_group(experiment_id, name)
            if own is not None and (first is None or first.info.run_id != own):
                self._client.delete_run(own)
            if first is not None:
                return str(first.info.run_id)
        raise Outage(f'the server took more than {_SETTLE_S[-1] / 2:.0f} s to make one run')

    def _new_group(
        self, experiment_id: str, name: str, parent: str, longest_s: float
    ) -> str | None:
        """A run for a group; None if it took longer, and others may have gone by without it."""
        tags = {'mmext.group': name, 'mlflow.user': _user()}
        # not the start of the session: whoever looks now must not be earlier than who was found
        begun = time.monotonic()
        run = self._client.create_run(experiment_id, now_ms(), tags, parent)
        own = str(run.info.run_id)
        if time.monotonic() - begun > longest_s:
            self._client.delete_run(own)
            return None
        self._client.set_terminated(own)
        return own

    def _first_of_group(self, experiment_id: str, name: str) -> 'Run | None':
        group = f"tags.`mmext.group` = '{name}'"
        order = ['attributes.start_time ASC', 'attributes.run_id ASC']
        found = self._client.search_runs([experiment_id], group, max_results=1, order_by=order)
        return found[0] if found else None


def _storable(text: str) -> str:
    """PostgreSQL takes no NUL, and no server all of Python's half characters."""
    return text.replace('\0', '\N{REPLACEMENT CHARACTER}').encode(errors='replace').decode()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user entry
        return 'unknown'


def dataset_facts(record: Mapping[str, Any], profile: str) -> dict[str, str]:
    """The fields of MLflow's Dataset entity for a dataset record."""
    return {
        'name': record['name'][:500],
        'digest': record['digest'][:36],
        'source_type': 'local',
        'source': record['source'],
        'profile': profile,
    }
