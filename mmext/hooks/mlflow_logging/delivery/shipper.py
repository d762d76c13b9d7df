"""From the spool to the server, in order, as often as it takes.

The shipper reads a spool from where it last stopped, sends record after record
and stores its place. It does the same for a running session (called again and
again by the writer) and for one that died long ago (called once by the replay).
"""

import functools
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from mmext.hooks.mlflow_logging.delivery import forking, names, params
from mmext.hooks.mlflow_logging.delivery.records import Record, now_ms
from mmext.hooks.mlflow_logging.delivery.spool import Spool
from mmext.hooks.mlflow_logging.delivery.store import Store
from mmext.hooks.mlflow_logging.delivery.tracking import (
    MAX_PARAMS,
    MAX_POINTS,
    MAX_TAGS,
    Outage,
    Point,
    Refusal,
    RunRequest,
    Tracking,
    dataset_facts,
)

LAST_STEP_TAG = 'mmext.last_step'
REJECTED_TAG = 'mmext.rejected'
_PATIENCE = 10  # outages of one record on a server that answers, until it is given up


class Shipper:
    """Sends one session.

    Args:
        spool: the session's records; the first one names the run.
        on_open: called with MLflow's run id once it is known.
        store: instead of the one in the spool.
        connect: makes the connection.
    """

    def __init__(
        self,
        spool: Spool,
        on_open: Callable[[str], None] | None = None,
        store: Store | None = None,
        connect: Callable[[Store], Tracking] = Tracking,
    ) -> None:
        self._spool = spool
        self._on_open = on_open
        self._store = store
        self._connect = connect
        self._tracking: Tracking | None = None
        self._outages = 0
        self._spent: list[Path] = []  # files that may go once it is noted that they were sent
        self._state: dict[str, Any] = {
            'offset': 0,
            'done': False,
            'run_id': None,
            'last_step': {},
            'checkpoints': {},
            'rejected': 0,
            **spool.load_state(),
        }

    @property
    def done(self) -> bool:
        """Whether the session's end has been sent."""
        return bool(self._state['done'])

    @property
    def run_id(self) -> str | None:
        """MLflow's id of the run once it is open."""
        return self._state['run_id']

    @property
    def rejected(self) -> int:
        """How many records the server has refused; they are kept in a file beside the spool."""
        return int(self._state['rejected'])

    @property
    def offset(self) -> int:
        """How much of the spool has been sent, in bytes."""
        return int(self._state['offset'])

    def ship(self) -> None:
        """Send all that the spool holds.

        Raises:
            Outage: the store did not answer; what was sent stays noted.
            Refusal: the store does not open the run; nothing is passed over.
        """
        while not self.done:
            batch = list(self._spool.read(self.offset))
            if not batch:
                return
            tracking = self._connected()
            for group, offset in _grouped(batch):
                self._send(tracking, group)
                self._state['offset'] = offset
                self._spool.save_state(self._state)
                while self._spent:
                    self._spool.discard_file(self._spent.pop())
                forking.rest()

    def beat(self) -> None:
        """Tell the server that the session lives."""
        if self._tracking is not None and self._state.get('owns_status') and not self.done:
            self._tracking.set_tags(self._run_id, {'mmext.heartbeat': str(now_ms())})

    def _connected(self) -> Tracking:
        if self._tracking is None:
            header, _ = next(self._spool.read(0))
            own = Store(header['tracking_uri'], header['artifact_location'])
            self._tracking = self._connect(self._store or own)
            if self._state['offset'] > 0 and self._on_open and self.run_id:
                self._on_open(self.run_id)
        return self._tracking

    def _send(self, tracking: Tracking, group: list[Record]) -> None:
        send = getattr(self, f'_send_{group[0]["kind"]}')
        try:
            send(tracking, group if group[0]['kind'] == 'metrics' else group[0])
        except Refusal as refusal:
            if group[0]['kind'] == 'open':  # without a run all the rest would be refused as well
                raise
            self._reject(group, str(refusal))
        except Outage as outage:
            self._outages += 1
            is_item = group[0]['kind'] != 'open' and self._outages >= _PATIENCE
            if not is_item or not tracking.is_reachable():
                raise
            self._reject(group, str(outage))
        self._outages = 0

    def _reject(self, group: list[Record], reason: str) -> None:
        """Keep what the server will never take in a file beside the spool."""
        self._state['rejected'] += len(group)
        with self._spool.rejected_path.open('a') as file:
            file.writelines(json.dumps({**record, 'reason': reason}) + '\n' for record in group)

    # one method per kind of record

    def _send_open(self, tracking: Tracking, record: Record) -> None:
        request = RunRequest(**record['run'])
        run = tracking.open_run(request)
        train = record['mode'] == 'train'
        self._state.update(
            run_id=run.run_id,
            owns_status=train or run.first,
            params=dict(run.params),
            last_step=json.loads(run.tags.get(LAST_STEP_TAG, '{}')) if train else {},
            folder='' if run.first else f'{request.session}/',
        )
        if train and not run.first:
            tracking.set_running(run.run_id)
        if self._on_open:
            self._on_open(run.run_id)

    def _send_metrics(self, tracking: Tracking, group: list[Record]) -> None:
        marks = dict(self._state.get('sent_step', self._state['last_step']))
        points = []
        for record in group:
            for name, value in record['values'].items():
                prefix = name.partition('/')[0]
                if record['once']:
                    if record['step'] <= self._state['last_step'].get(prefix, -1):
                        continue
                    marks[prefix] = max(record['step'], marks.get(prefix, -1))
                points.append(Point(names.encode(name), value, record['time_ms'], record['step']))
        tags = {LAST_STEP_TAG: json.dumps(marks)} if marks else {}
        for chunk in _chunks(points, MAX_POINTS):
            self._send_points(tracking, chunk, tags)
        self._state['sent_step'] = marks

    def _send_points(self, tracking: Tracking, points: list[Point], tags: dict[str, str]) -> None:
        """Send a batch; where the server refuses it, halve it until the bad point is alone."""
        try:
            tracking.log_points(self._run_id, points, tags)
        except Refusal as refusal:
            if len(points) == 1:
                self._reject([{'kind': 'point', **points[0]._asdict()}], str(refusal))
                return
            middle = len(points) // 2
            self._send_points(tracking, points[:middle], tags)
            self._send_points(tracking, points[middle:], tags)

    def _send_params(self, tracking: Tracking, record: Record) -> None:
        new, changed = params.compare(self._state['params'], record['values'])
        for chunk in _chunks(list(new.items()), MAX_PARAMS):
            tracking.log_params(self._run_id, dict(chunk))
        if changed and self._state['owns_status']:
            artifact = f'{self._state["folder"]}params_diff.json'
            tracking.log_text(self._run_id, json.dumps(changed, indent=2), artifact)
            tracking.set_tags(self._run_id, {'mmext.params_changed': artifact})

    def _send_tags(self, tracking: Tracking, record: Record) -> None:
        tags = [(names.encode(key), value) for key, value in record['values'].items()]
        for chunk in _chunks(tags, MAX_TAGS):
            tracking.set_tags(self._run_id, dict(chunk))

    def _send_text(self, tracking: Tracking, record: Record) -> None:
        tracking.log_text(self._run_id, record['content'], self._place(record['artifact']))

    def _send_table(self, tracking: Tracking, record: Record) -> None:
        content = json.dumps({'columns': record['columns'], 'data': record['rows']})
        artifact = self._place(record['artifact'])
        tracking.log_text(self._run_id, content, artifact)
        tag = 'mlflow.loggedArtifacts'
        listed = json.loads(tracking.tags_of(self._run_id).get(tag, '[]'))
        entry = {'path': artifact, 'type': 'table'}
        if entry not in listed:
            tracking.set_tags(self._run_id, {tag: json.dumps([*listed, entry])})

    def _send_file(self, tracking: Tracking, record: Record) -> None:
        path = self._spool.locate(record['path'])
        self._send_as(tracking, path, record['artifact'])
        self._spent.append(path)

    def _send_checkpoint(self, tracking: Tracking, record: Record) -> None:
        before = self._state['checkpoints'].get(record['role'])
        self._state['checkpoints'][record['role']] = record
        if before is not None and before['path'] != record['path']:
            self._spent.append(self._spool.locate(before['path']))
        facts = {f'mmext.{record["role"]}.{key}': value for key, value in record['facts'].items()}
        tracking.set_tags(self._run_id, facts)

    def _send_model(self, tracking: Tracking, record: Record) -> None:
        folder, weights = self._spool.files_dir / 'model', self._spool.locate(record['weights'])
        try:
            tracking.log_model(self._run_id, {**record, 'weights': str(weights)}, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self._spent.append(weights)

    def _send_dataset(self, tracking: Tracking, record: Record) -> None:
        profile = json.dumps(record['profile'])
        tracking.log_dataset(self._run_id, record['context'], dataset_facts(record, profile))

    def _send_close(self, tracking: Tracking, record: Record) -> None:
        end: list[Callable[[Tracking], None]] = [
            self._send_checkpoints,
            functools.partial(self._send_status, record=record),
        ]
        # a finished run has all its files; a dying process may not get to send them
        for step in end if record['status'] == 'FINISHED' else reversed(end):
            step(tracking)
        self._state['done'] = True
        self._spool.remove_files()

    def _send_status(self, tracking: Tracking, record: Record) -> None:
        if self._state['rejected']:
            tracking.set_tags(self._run_id, {REJECTED_TAG: str(self._state['rejected'])})
        if self._state['owns_status']:
            tracking.set_tags(self._run_id, {'mmext.outcome': record['status'].lower()})
            tracking.terminate(self._run_id, record['status'], record['time_ms'])

    def _send_checkpoints(self, tracking: Tracking) -> None:
        """Send every distinct file once and tag each role with its place."""
        placed: dict[str, str] = {}
        if self._state['checkpoints']:  # an earlier session may have sent the same file
            tags = tracking.tags_of(self._run_id)
            for role in ('best', 'last'):
                placed[tags.get(f'mmext.{role}.sha256', '')] = tags.get(
                    f'mmext.{role}.checkpoint', ''
                )
        for role, record in self._state['checkpoints'].items():
            try:
                path = self._spool.locate(record['path'])
                digest = _sha256(path)
                if digest not in placed:
                    placed[digest] = f'checkpoints/{record["name"]}'
                    self._send_as(tracking, path, placed[digest])
            except (Refusal, FileNotFoundError) as error:
                self._reject([record], str(error))
                continue
            where = {f'mmext.{role}.checkpoint': placed[digest], f'mmext.{role}.sha256': digest}
            tracking.set_tags(self._run_id, where)

    @property
    def _run_id(self) -> str:
        if self._state['run_id'] is None:
            raise Refusal('the session has no run: its spool does not begin with an open record')
        return str(self._state['run_id'])

    def _place(self, artifact: str) -> str:
        """A later session of the run keeps its texts beside those of the first."""
        return self._state['folder'] + artifact

    def _send_as(self, tracking: Tracking, path: Path, artifact: str) -> None:
        """Store a file under another name; MLflow takes the name from the path."""
        target = PurePosixPath(artifact)
        folder = None if target.parent == PurePosixPath() else str(target.parent)
        if path.name == target.name:
            tracking.log_file(self._run_id, str(path), folder)
            return
        link = self._spool.files_dir / 'named' / target.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        if not path.exists():
            raise Refusal(f'{path} is gone')
        os.symlink(path.resolve(), link)
        tracking.log_file(self._run_id, str(link), folder)
        link.unlink()


def _grouped(batch: Iterable[tuple[Record, int]]) -> Iterator[tuple[list[Record], int]]:
    """Join neighbouring metric records up to about one request; others stay alone."""
    group: list[Record] = []
    points = end = 0
    for record, offset in batch:
        is_metrics = record['kind'] == 'metrics'
        if group and (not is_metrics or points + len(record['values']) > MAX_POINTS):
            yield group, end
            group, points = [], 0
        if is_metrics:
            group.append(record)
            points += len(record['values'])
            end = offset
        else:
            yield [record], offset
    if group:
        yield group, end


def _chunks(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _sha256(path: Path) -> str:
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()
