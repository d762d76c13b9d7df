"""The vocabulary of the spool: what a session can say about its run.

A record is a flat JSON object with a ``kind``; one line of the spool each. The
hook makes them, the writer stores them, the shipper sends them. All of them
can be sent twice without harm: metric points carry their own time, artifacts
their own path.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Record = dict[str, Any]


def now_ms() -> int:
    """The wall clock in milliseconds since 1970, as MLflow counts."""
    return int(time.time() * 1000)


def metrics(values: Mapping[str, float], step: int, *, once: bool = False) -> Record:
    """Points of several curves at one step.

    Args:
        values: curve name, any text, to its value; NaN and infinity allowed.
        step: global training iterations done.
        once: drop the point if an earlier session of the run has already sent
            this step of the curve's group (a resumed training repeats steps).
    """
    return {
        'kind': 'metrics',
        'time_ms': now_ms(),
        'step': step,
        'values': dict(values),
        'once': once,
    }


def params(values: Mapping[str, str]) -> Record:
    """Parameters; those which the run already has with another value become a diff."""
    return {'kind': 'params', 'values': dict(values)}


def tags(values: Mapping[str, object]) -> Record:
    """Tags of the run; the last value wins."""
    return {'kind': 'tags', 'values': {key: str(value) for key, value in values.items()}}


def note(sections: Mapping[str, str], *, once: bool = False) -> Record:
    """Sections of the run's description, in Markdown.

    Args:
        sections: name to text; a later one of a name takes the place of the earlier.
        once: a section that the run has already stays as it is.
    """
    return {'kind': 'note', 'sections': dict(sections), 'once': once}


def text(content: str, artifact: str) -> Record:
    """A text artifact, kept inside the spool itself."""
    return {'kind': 'text', 'content': content, 'artifact': artifact}


def table(columns: list[str], rows: list[list[Any]], artifact: str) -> Record:
    """A table artifact (``.json``) that MLflow's evaluation view shows."""
    return {'kind': 'table', 'columns': columns, 'rows': rows, 'artifact': artifact}


def file(path: str | Path, artifact: str) -> Record:
    """A file artifact; one that lies in the spool's own folder is deleted once sent."""
    return {'kind': 'file', 'path': str(path), 'artifact': artifact}


def blob(data: bytes, artifact: str) -> Record:
    """A file artifact from memory; the writer makes it a file beside the spool."""
    return {'kind': 'blob', 'data': data, 'artifact': artifact}


def checkpoint(role: str, path: str | Path, name: str, **facts: object) -> Record:
    """The present holder of a role (``best``, ``last``); sent when the session closes.

    Args:
        role: the latest record of a role replaces the earlier ones.
        path: the file to send, a hard link of the checkpoint in the spool's folder.
        name: file name in the artifacts.
        facts: tags to set with it, as ``score`` or ``step``.
    """
    return {
        'kind': 'checkpoint',
        'role': role,
        'path': str(path),
        'name': name,
        'facts': {key: str(value) for key, value in facts.items()},
    }


def model(weights: str | Path, config: str, **facts: Any) -> Record:
    """A detector that MLflow can serve; the weights are deleted once sent.

    Args:
        weights: checkpoint file without optimizer, in the spool's own folder.
        config: the resolved config as Python text.
        facts: ``name`` of the model, ``digest`` that tells it from others,
            ``classes``, ``requirements`` (lines for pip), ``example`` (a picture in
            base64, or None), ``step``, ``registered_name`` and ``alias`` (or None), ``card``
            (Markdown about it).
    """
    return {'kind': 'model', 'weights': str(weights), 'config': config, **facts}


def dataset(
    context: str, name: str, digest: str, source: str, profile: Mapping[str, Any]
) -> Record:
    """A data set that the run used, for MLflow's dataset column.

    Args:
        context: ``train``, ``val`` or ``test``.
        name: what a person calls it.
        digest: hash of its contents, 36 characters at most.
        source: where it lies.
        profile: facts as its length and classes.
    """
    return {
        'kind': 'dataset',
        'context': context,
        'name': name,
        'digest': digest,
        'source': source,
        'profile': dict(profile),
    }


def close(status: str) -> Record:
    """The end of the session: ``FINISHED``, ``FAILED`` or ``KILLED``."""
    return {'kind': 'close', 'status': status, 'time_ms': now_ms()}
