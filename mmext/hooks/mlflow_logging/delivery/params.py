"""A nested config as flat parameters."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from mmext.hooks.mlflow_logging.delivery import names

MAX_VALUE_LENGTH = 500  # MLflow takes 6000, but a column that wide cannot be read


def flatten(config: Mapping[str, Any]) -> dict[str, str]:
    """Every leaf of a config as ``path.to.leaf`` with its value as text.

    Lists of plain values stay one parameter, lists that hold mappings or lists
    are numbered. A long text keeps its start and gets the digest of the whole.

    >>> flatten({'a': {'b': [1, 2]}, 'hooks': [{'type': 'X'}], 'none': None})
    {'a.b': '[1, 2]', 'hooks.0.type': 'X', 'none': 'None'}
    """
    flat: dict[str, str] = {}
    for key, value in config.items():
        _collect(value, str(key), flat)
    return flat


def compare(
    old: Mapping[str, str], new: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Split parameters into those the run lacks and those that changed.

    Returns:
        What to add, and ``{key: {'was': …, 'is': …}}`` of the rest.
    """
    added = {key: value for key, value in new.items() if key not in old}
    changed = {
        key: {'was': old[key], 'is': value}
        for key, value in new.items()
        if key in old and old[key] != value
    }
    return added, changed


def _collect(value: Any, path: str, flat: dict[str, str]) -> None:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            _collect(item, f'{path}.{key}', flat)
    elif _is_list(value) and any(isinstance(x, Mapping) or _is_list(x) for x in value):
        for index, item in enumerate(value):
            _collect(item, f'{path}.{index}', flat)
    else:
        flat[names.encode(path)] = _shortened(str(value))


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _shortened(text: str) -> str:
    if len(text) <= MAX_VALUE_LENGTH:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f'{text[: MAX_VALUE_LENGTH - 30]}… sha256:{digest}'
