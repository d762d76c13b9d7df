"""Keeps credentials out of everything that leaves the process.

Three ways to know one: the name it is stored under (``password``,
``api_key``), its own shape (``ghp_…``, a private key, ``user:pass@`` in a URL),
and being equal to one that was found under such a name elsewhere, in the config
or the environment, so that it is also recognised inside a traceback. The rule
itself is in :mod:`.credentials`.
"""

import json
import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from mmext.hooks.mlflow_logging.delivery.credentials import (
    MASK,
    collect_secrets,
    is_secret,
    is_secret_variable,
    name_of,
    without_credentials,
)
from mmext.hooks.mlflow_logging.delivery.records import Record

_SHORTEST_SECRET = 6  # shorter values are too likely to be ordinary text as well

_PLACES = ('path', 'weights', 'artifact_location')  # fields of records
_WORKING_FOLDERS = ('PWD', 'OLDPWD')  # of the shell: no passwords, whatever they sound like


class Redactor:
    """Masks credentials in texts and trees.

    Args:
        config: its credentials are to be known by value.
        environment: likewise.
    """

    def __init__(
        self,
        config: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        found: set[str] = set()
        collect_secrets(config or {}, found)
        collect_secrets(environment or {}, found, judge=_is_variable)
        spellings = {
            spelling
            for secret in found
            if len(secret) >= _SHORTEST_SECRET
            for spelling in (secret, quote(secret, safe=''), quote_plus(secret), _escaped(secret))
        }
        longest_first = sorted(spellings, key=len, reverse=True)
        self._known = re.compile('|'.join(map(re.escape, longest_first))) if spellings else None

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> 'Redactor':
        """A redactor that knows the config's and the environment's secrets."""
        return cls(config, {k: v for k, v in os.environ.items() if k not in _WORKING_FOLDERS})

    def tree(self, value: Any, name: str = '') -> Any:
        """A copy of nested mappings and lists with every credential masked."""
        if is_secret(name, value):
            return MASK
        if isinstance(value, Mapping):
            return {
                self._key(key): self.tree(item, name_of(value, key)) for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            items = [self.tree(item, name) for item in value]
            return tuple(items) if isinstance(value, tuple) else items
        return self.text(value) if isinstance(value, str) else value

    def record(self, record: Record) -> Record:
        """The record with every credential masked.

        Places on this machine stay, though a password may be a part of them by chance, as where
        it is the user's name: what lies there would not be found again.
        """
        if record['kind'] == 'params':  # texts by now, that were judged by name as values
            values = {key: self.text(value) for key, value in record['values'].items()}
            return {**record, 'values': values}
        places = {key: record[key] for key in _PLACES if key in record}
        if record.get('tracking_uri', '').startswith('sqlite:'):
            places['tracking_uri'] = record['tracking_uri']  # a path: there is no login in it
        return {**self.tree(record), **places}

    def text(self, content: str) -> str:
        """The text with every credential masked."""
        if self._known is not None:
            content = self._known.sub(MASK, content)
        return without_credentials(content)

    def mask_config_of(self, checkpoint: Mapping[str, Any]) -> None:
        """Mask the config that a checkpoint of mmengine's carries as text; changes it."""
        info = checkpoint.get('message_hub', {}).get('runtime_info', {})
        for holder in (checkpoint.get('meta', {}), info):
            if isinstance(holder.get('cfg'), str):
                holder['cfg'] = self.text(holder['cfg'])

    def _key(self, key: Any) -> Any:
        return self.text(key) if isinstance(key, str) else key


def _is_variable(name: str, value: Any) -> bool:
    return isinstance(value, str) and is_secret_variable(name, value)


def _escaped(secret: str) -> str:
    """As it stands between quotes."""
    return json.dumps(secret, ensure_ascii=False)[1:-1]
