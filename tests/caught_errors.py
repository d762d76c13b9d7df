"""Errors as values, for tests of what is said of them."""

from collections.abc import Callable


def caught(function: Callable[[], object]) -> Exception:
    """The exception that a call ends with."""
    try:
        function()
    except Exception as error:
        return error
    raise AssertionError('no exception')
