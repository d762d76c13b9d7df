"""From the spool to the server, in order, as often as it takes.

The shipper reads a spool from where it last stopped, sends record after record
and stores its place. It does the same for a running session (called again and
again by the writer) and for one that died long ago (called once by the replay).

A file that the server cannot take (too large for a proxy in front of it, a full disk behind it)
is postponed: what comes behind it goes on, and it is tried again. Nothing is given up.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mmext.hooks.mlflow_logging.delivery import forking
from mmext.hooks.mlflow_logging.delivery.answers import Outage, Refusal
from mmext.hooks.mlflow_logging.delivery.records import Record, now_ms
from mmext.hooks.mlflow_logging.delivery.sending import Sender
from mmext.hooks.mlflow_logging.delivery.spool import Spool
from mmext.hooks.mlflow_logging.delivery.store import Store
from mmext.hooks.mlflow_logging.delivery.tracking import MAX_POINTS, Tracking

# whose order does not matter
_FILES = ('file', 'text', 'table', 'model', 'dataset', 'checkpoint_file')
_RETRY_S = 60.0  # between two tries of what is postponed
_RETRY_AT_END_S = 3.0
_INITIAL: dict[str, Any] = {
    'offset': 0,
    'ended': False,  # the session's end has been sent, but maybe not all of its files
    'done': False,
    'run_id': None,
    'last_step': {},
    'checkpoints': {},
    'postponed': [],  # places in the spool, [start, end] in bytes
    'rejected': 0,
}


class Shipper:
    """Sends one session.

    Args:
        spool: the session's records; the first one names the run.
        on_open: called with MLflow's run id once it is known.
        store: instead of the one in the spool.
        connect: makes the connection.

    Attributes:
        hindrance: why something is postponed or could not be noted; None where all is well.
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
        self._sender: Sender | None = None
        self._next_try = 0.0
        self._refused_again: list[Record] | None = None  # while that is tried
        self._generation = spool.generation
        self._state = _usable(spool)
        self.hindrance: str | None = None

    @property
    def done(self) -> bool:
        """Whether all of the session has been sent, to its end."""
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

    @property
    def left(self) -> int:
        """How many files are postponed, or wait for the end of the session."""
        return len(self._state['postponed']) + len(self._state['checkpoints'])

    def ship(self) -> None:
        """Send all that the spool holds; what the server cannot take now is postponed.

        Raises:
            Outage: the store did not answer; what was sent stays noted.
            Refusal: the store does not open the run; nothing is passed over.
            OSError: the spool cannot be read.
        """
        self.hindrance = None
        if self.done:
            return
        if self._generation != self._spool.generation:  # begun anew: sending twice does no harm
            self._generation = self._spool.generation
            self._state.update(offset=0, postponed=[])
        while not self._state['ended']:
            batch = list(self._spool.read(self.offset))
            if not batch:
                break
            sender = self._connected()
            for group, start, end in _grouped(batch, self.offset):
                if group[0]['kind'] == 'close':
                    self._end(sender, group)
                elif not self._try(sender, group):
                    self._state['postponed'].append([start, end])
                    self._next_try = time.monotonic() + _RETRY_S
                self._state['offset'] = end
                self._note()
                forking.rest()
        due = self._state['postponed'] or (self._state['ended'] and self.left)
        if due and time.monotonic() >= self._next_try:
            self._send_left(at_end=self._state['ended'])
        if self._state['ended'] and not self.left and not self.done:
            self._state['done'] = True
            self._note()
            self._spool.remove_files()

    def ship_rejected(self) -> None:
        """Send once more what was refused; what is refused again stays in its file.

        Raises:
            Outage: the store did not answer; all that is not sent stays there.
        """
        sender = self._connected()
        waiting, self._refused_again = self._spool.rejections(), []
        try:
            while waiting:
                record = {key: value for key, value in waiting[0].items() if key != 'reason'}
                if not self._try(sender, [record]):
                    self._reject([record], str(self.hindrance))
                del waiting[0]
        finally:
            left, self._refused_again = [*self._refused_again, *waiting], None
            self._spool.keep_rejections(left)
            self._state['rejected'] = len(left)
            self._note()
        sender.tell_rejected()
        if self.done:
            self._spool.remove_files()

    def end_now(self, record: Record) -> None:
        """Send how the run ended ahead of all that is still to be sent, on a connection of its own.

        For a process that has no time left; all is sent again, in order, later.

        Args:
            record: see :func:`.records.close`.
        """
        if self.run_id is not None and not self._state['ended']:
            self._sender_on(self._connection()).send([record])

    def beat(self) -> None:
        """Tell the server that the session lives."""
        if self._tracking is not None and self._state.get('owns_status') and not self.done:
            self._tracking.set_tags(str(self.run_id), {'mmext.heartbeat': str(now_ms())})

    def _connected(self) -> Sender:
        if self._sender is None:
            self._tracking = self._connection()
            self._sender = self._sender_on(self._tracking)
            if self._state['offset'] > 0 and self._on_open and self.run_id:
                self._on_open(self.run_id)
        return self._sender

    def _connection(self) -> Tracking:
        if self._store is not None:
            return self._connect(self._store)
        header = self._spool.header()
        if header is None:
            raise Refusal('the first line of the spool names no run')
        return self._connect(Store(header['tracking_uri'], header['artifact_location']))

    def _sender_on(self, tracking: Tracking) -> Sender:
        return Sender(tracking, self._spool, self._state, self._reject, self._on_open)

    def _try(self, sender: Sender, group: list[Record]) -> bool:
        """Send; False for a file that a server which does answer cannot take now."""
        record = group[0]
        try:
            sender.send(group)
        except Refusal as refusal:
            if record['kind'] == 'open':  # without a run all the rest would be refused as well
                raise
            self._reject(group, str(refusal))
        except Outage as outage:
            if record['kind'] not in _FILES or not self._is_reachable():
                raise
            name = record.get('artifact') or record.get('name') or record['kind']
            self.hindrance = (
                f'MLflow cannot take some files now; they are kept and sent later: {name}: {outage}'
            )
            return False
        return True

    def _end(self, sender: Sender, group: list[Record]) -> None:
        """A finished run has all its files; a dying process may not get to send them."""
        self._next_try = 0.0
        if group[0].get('status') == 'FINISHED':
            self._send_left(at_end=True)
        self._try(sender, group)
        self._state['ended'] = True

    def _send_left(self, at_end: bool) -> None:
        """Try what is postponed, and at the end the checkpoints.

        Raises:
            Outage: the store does not answer at all.
        """
        sender, begun = self._connected(), time.monotonic()
        for start, end in list(self._state['postponed']):
            group = [record for record, behind in self._spool.read(start, 1) if behind == end]
            if not group or self._try(sender, group):
                self._state['postponed'].remove([start, end])
                self._note()
        for role, record in list(self._state['checkpoints'].items()) if at_end else ():
            if self._try(sender, [{**record, 'kind': 'checkpoint_file'}]):
                del self._state['checkpoints'][role]
                self._note()
        spent_s = time.monotonic() - begun
        self._next_try = time.monotonic() + max(_RETRY_AT_END_S if at_end else _RETRY_S, spent_s)

    def _is_reachable(self) -> bool:
        return self._tracking is not None and self._tracking.is_reachable()

    def _reject(self, group: list[Record], reason: str) -> None:
        """Keep what the server will never take in a file beside the spool."""
        refused = [{**record, 'reason': reason} for record in group]
        if self._refused_again is not None:
            self._refused_again += refused
            return
        with self._spool.rejected_path.open('a') as file:
            file.writelines(json.dumps(record) + '\n' for record in refused)
        self._state['rejected'] += len(group)

    def _note(self) -> None:
        """Store the place; on a disk that is full the session goes on without."""
        try:
            self._spool.save_state(self._state)
        except OSError as error:
            self.hindrance = f'MLflow log is sent, but that cannot be noted on disk: {error}'
            return
        spent = self._sender.spent if self._sender is not None else []
        while spent:
            self._spool.discard_file(spent.pop())


def _usable(spool: Spool) -> dict[str, Any]:
    """What was noted, or the beginning where that is spoiled or of another file."""
    state = {**_INITIAL, 'checkpoints': {}, 'postponed': [], **spool.load_state()}
    if any(
        not isinstance(state[key], type(value))
        for key, value in _INITIAL.items()
        if value is not None
    ):
        return {**_INITIAL, 'checkpoints': {}, 'postponed': []}
    if spool.path.exists() and state['offset'] > spool.size:
        return {**_INITIAL, 'checkpoints': {}, 'postponed': []}
    return state


def _grouped(
    batch: Iterable[tuple[Record, int]], start: int
) -> Iterator[tuple[list[Record], int, int]]:
    """Join neighbouring metric records up to about one request; others stay alone.

    Args:
        batch: records, each with the offset behind it.
        start: offset of the first.

    Yields:
        A group, the offset of its first byte and the one behind its last.
    """
    group: list[Record] = []
    points, end = 0, start
    for record, behind in batch:
        is_metrics = _is_whole_metrics(record)
        if group and (not is_metrics or points + len(record['values']) > MAX_POINTS):
            yield group, start, end
            group, points, start = [], 0, end
        if is_metrics:
            group.append(record)
            points += len(record['values'])
        else:
            yield [record], end, behind
            start = behind
        end = behind
    if group:
        yield group, start, end


def _is_whole_metrics(record: Record) -> bool:
    """One that is spoiled must not take its neighbours with it."""
    values = record.get('values')
    return (
        record['kind'] == 'metrics'
        and isinstance(values, dict)
        and all(type(value) in (int, float) for value in values.values())
        and all(type(record.get(key)) is int for key in ('step', 'time_ms'))
        and 'once' in record
    )
