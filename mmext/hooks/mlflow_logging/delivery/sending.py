"""How each kind of record is sent: one method for each.

A record may be sent twice, after a death between sending it and noting that. What is known of
the run meanwhile lies in the state, which the shipper keeps on disk.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from mmext.hooks.mlflow_logging.delivery import names, notes, params
from mmext.hooks.mlflow_logging.delivery.answers import Outage, Refusal
from mmext.hooks.mlflow_logging.delivery.records import Record
from mmext.hooks.mlflow_logging.delivery.spool import Spool
from mmext.hooks.mlflow_logging.delivery.tracking import (
    MAX_PARAMS,
    MAX_POINTS,
    MAX_TAGS,
    Point,
    RunRequest,
    Tracking,
    dataset_facts,
)

LAST_STEP_TAG = 'mmext.last_step'
REJECTED_TAG = 'mmext.rejected'
_UNREADABLE = (AttributeError, IndexError, KeyError, TypeError, ValueError)


class Sender:
    """Sends records of one session.

    Args:
        tracking: the store.
        spool: where the files of records lie.
        state: what is known of the run; is changed.
        reject: takes a part of a group that the store refuses, and why.
        on_open: called with MLflow's run id once it is known.

    Attributes:
        spent: files that may go once it is noted that they were sent.
    """

    def __init__(
        self,
        tracking: Tracking,
        spool: Spool,
        state: dict[str, Any],
        reject: Callable[[list[Record], str], None],
        on_open: Callable[[str], None] | None = None,
    ) -> None:
        self._tracking = tracking
        self._spool = spool
        self._state = state
        self._reject = reject
        self._on_open = on_open
        self.spent: list[Path] = []

    def send(self, group: list[Record]) -> None:
        """Send one record, or several of metrics.

        Raises:
            Outage: the store could not take it now.
            Refusal: it never will; also for a record that is spoiled, or of a later version.
        """
        kind = group[0]['kind']
        send = getattr(self, f'_send_{kind}', None)
        if send is None:
            raise Refusal(f'this version of mmext knows no record of kind {kind!r}')
        try:
            send(group if kind == 'metrics' else group[0])
        except FileNotFoundError as error:
            raise Refusal(str(error)) from error
        except OSError as error:  # of this disk
            raise Outage(str(error)) from error
        except _UNREADABLE as error:
            raise Refusal(
                f'the {kind} record cannot be read: {type(error).__name__}: {error}'
            ) from error

    def _send_spoiled(self, record: Record) -> None:
        raise Refusal('the line cannot be read')

    def _send_open(self, record: Record) -> None:
        request = RunRequest(**record['run'])
        run = self._tracking.open_run(request)
        train = record['mode'] == 'train'
        self._state.update(
            run_id=run.run_id,
            owns_status=train or run.first,
            params=dict(run.params),
            last_step=json.loads(run.tags.get(LAST_STEP_TAG, '{}')) if train else {},
            folder='' if run.first else f'{request.session}/',
        )
        if train and not run.first:
            self._tracking.set_running(run.run_id)
        if self._on_open:
            self._on_open(run.run_id)

    def _send_metrics(self, group: list[Record]) -> None:
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
            self._send_points(chunk, tags)
        self._state['sent_step'] = marks

    def _send_points(self, points: list[Point], tags: dict[str, str]) -> None:
        """Send a batch; where the server refuses it, halve it until the bad point is alone."""
        try:
            self._tracking.log_points(self._run_id, points, tags)
        except Refusal as refusal:
            if len(points) == 1:
                self._reject([{'kind': 'point', **points[0]._asdict()}], str(refusal))
                return
            middle = len(points) // 2
            self._send_points(points[:middle], tags)
            self._send_points(points[middle:], tags)

    def _send_point(self, record: Record) -> None:
        """A single point that was refused once."""
        point = Point(**{field: record[field] for field in Point._fields})
        self._tracking.log_points(self._run_id, [point], {})

    def _send_params(self, record: Record) -> None:
        new, changed = params.compare(self._state['params'], record['values'])
        for chunk in _chunks(list(new.items()), MAX_PARAMS):
            self._tracking.log_params(self._run_id, dict(chunk))
        if changed and self._state['owns_status']:
            artifact = f'{self._state["folder"]}params_diff.json'
            self._tracking.log_text(self._run_id, json.dumps(changed, indent=2), artifact)
            self._tracking.set_tags(self._run_id, {'mmext.params_changed': artifact})

    def _send_tags(self, record: Record) -> None:
        tags = [(names.encode(key), value) for key, value in record['values'].items()]
        for chunk in _chunks(tags, MAX_TAGS):
            self._tracking.set_tags(self._run_id, dict(chunk))

    def _send_note(self, record: Record) -> None:
        """Sections of the description; what people have written around them stays."""
        present = self._tracking.tags_of(self._run_id).get(notes.NOTE_TAG, '')
        text = notes.merged(present, record['sections'], record['once'])
        if text != present:
            self._tracking.set_tags(self._run_id, {notes.NOTE_TAG: text})

    def _send_text(self, record: Record) -> None:
        self._tracking.log_text(self._run_id, record['content'], self._place(record['artifact']))

    def _send_table(self, record: Record) -> None:
        content = json.dumps({'columns': record['columns'], 'data': record['rows']})
        artifact = self._place(record['artifact'])
        self._tracking.log_text(self._run_id, content, artifact)
        tag = 'mlflow.loggedArtifacts'
        listed = json.loads(self._tracking.tags_of(self._run_id).get(tag, '[]'))
        entry = {'path': artifact, 'type': 'table'}
        if entry not in listed:
            self._tracking.set_tags(self._run_id, {tag: json.dumps([*listed, entry])})

    def _send_file(self, record: Record) -> None:
        path = self._spool.locate(record['path'])
        self._send_as(path, record['artifact'])
        self.spent.append(path)

    def _send_checkpoint(self, record: Record) -> None:
        """Tell of it; the file of the last one of its role is sent at the end."""
        before = self._state['checkpoints'].get(record['role'])
        self._state['checkpoints'][record['role']] = record
        if before is not None and before['path'] != record['path']:
            self.spent.append(self._spool.locate(before['path']))
        facts = {f'mmext.{record["role"]}.{key}': value for key, value in record['facts'].items()}
        self._tracking.set_tags(self._run_id, facts)

    def _send_checkpoint_file(self, record: Record) -> None:
        """Send the file, unless the run has it already, and tag the role with its place."""
        role = record['role']
        path = self._spool.locate(record['path'])
        digest = _sha256(path)
        place = self._checkpoints_by_digest().get(digest)
        if place is None:
            place = f'checkpoints/{record["name"]}'
            self._send_as(path, place)
            self._tracking.check_file(self._run_id, place, path.stat().st_size)
        where = {f'mmext.{role}.checkpoint': place, f'mmext.{role}.sha256': digest}
        self._tracking.set_tags(self._run_id, where)

    def _checkpoints_by_digest(self) -> dict[str, str]:
        """Another role may have the same file, or an earlier session may have sent it."""
        tags = self._tracking.tags_of(self._run_id)
        found = (
            (tags.get(f'mmext.{role}.sha256'), tags.get(f'mmext.{role}.checkpoint'))
            for role in ('best', 'last')
        )
        return {digest: place for digest, place in found if digest and place}

    def _send_model(self, record: Record) -> None:
        folder, weights = self._spool.files_dir / 'model', self._spool.locate(record['weights'])
        shutil.rmtree(folder, ignore_errors=True)  # of a process that died over it
        try:
            self._tracking.log_model(self._run_id, {**record, 'weights': str(weights)}, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self.spent.append(weights)

    def _send_dataset(self, record: Record) -> None:
        profile = json.dumps(record['profile'])
        facts = dataset_facts(record, profile)
        self._tracking.log_dataset(self._run_id, record['context'], facts)

    def _send_close(self, record: Record) -> None:
        """How the run ended; its files are sent by the shipper."""
        if self._state['owns_status']:
            self._tracking.terminate(self._run_id, record['status'], record['time_ms'])
            outcome = {'mmext.outcome': record['status'].lower()}
            self._tracking.set_tags(self._run_id, outcome)
        if self._state['rejected']:
            self.tell_rejected()

    def tell_rejected(self) -> None:
        """Say in the run how many records are not in it."""
        self._tracking.set_tags(self._run_id, {REJECTED_TAG: str(self._state['rejected'])})

    @property
    def _run_id(self) -> str:
        if self._state['run_id'] is None:
            raise Refusal('the session has no run: its spool does not begin with an open record')
        return str(self._state['run_id'])

    def _place(self, artifact: str) -> str:
        """A later session of the run keeps its texts beside those of the first."""
        return self._state['folder'] + artifact

    def _send_as(self, path: Path, artifact: str) -> None:
        """Store a file under another name; MLflow takes the name from the path."""
        target = PurePosixPath(artifact)
        folder = None if target.parent == PurePosixPath() else str(target.parent)
        if path.name == target.name:
            self._tracking.log_file(self._run_id, str(path), folder)
            return
        link = self._spool.files_dir / 'named' / target.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        if not path.exists():
            raise Refusal(f'{path} is gone')
        os.symlink(path.resolve(), link)
        try:
            self._tracking.log_file(self._run_id, str(link), folder)
        finally:
            link.unlink()


def _chunks(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _sha256(path: Path) -> str:
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()
