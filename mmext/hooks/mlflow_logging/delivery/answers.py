"""What the answer of a store means: it has the record, it cannot take it now, it never will.

Only MLflow itself can refuse a record, by an error code of its own. Whatever else comes back is an
:class:`Outage`: no answer, a page of a proxy (404 while the server starts again, 413, 502), a
server that cannot write (500), text that is none of MLflow's.
"""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec('P')
T = TypeVar('T')

_REFUSALS = {
    'BAD_REQUEST',
    'FEATURE_DISABLED',
    'INVALID_PARAMETER_VALUE',
    'INVALID_STATE',
    'NOT_IMPLEMENTED',
    'RESOURCE_ALREADY_EXISTS',
    'RESOURCE_DOES_NOT_EXIST',
}


class Outage(Exception):  # noqa: N818 (a state of the world, not a fault of the call)
    """The store did not answer or could not do it now."""


class Refusal(Exception):  # noqa: N818
    """The store answered that this can never be stored."""


def sorts_errors(method: Callable[P, T]) -> Callable[P, T]:
    """Make a method raise :class:`Outage` or :class:`Refusal` and nothing else."""

    @functools.wraps(method)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except (Outage, Refusal):
            raise
        except Exception as error:
            summary = f'{type(error).__name__}: {error}'.splitlines()[0][:500]
            gone = isinstance(error, FileNotFoundError)
            refused = _code_of(error) in _REFUSALS or gone
            raise (Refusal if refused else Outage)(summary) from error

    return wrapper


def _code_of(error: Exception) -> str | None:
    """The error code that MLflow itself has named.

    A proxy that answers in its place (404 while the server starts again, 413, a page in HTML)
    names none; MLflow's client makes one up of the HTTP status.
    """
    answer = getattr(error, 'json', None)  # of MLflow's RestException
    response = getattr(error, 'response', None)  # of a failed upload, by requests
    if response is not None:
        try:
            answer = response.json()
        except ValueError:
            return None
    if response is not None or answer is not None:
        return answer.get('error_code') if isinstance(answer, dict) else None
    if str(error).startswith('API request'):
        return None
    code = getattr(error, 'error_code', None)
    return code if isinstance(code, str) else None
