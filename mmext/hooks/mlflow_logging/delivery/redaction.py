"""Keeps credentials out of everything that leaves the process.

Three ways to know one: the name it is stored under (``password``,
``api_key``), its own shape (``ghp_…``, a private key, ``user:pass@`` in a URL),
and being equal to one that was found under such a name elsewhere, in the config
or the environment, so that it is also recognised inside a traceback.
"""

import os
import re
from collections.abc import Mapping
from typing import Any

from mmext.hooks.mlflow_logging.delivery.records import Record

MASK = '***'
_SHORTEST_SECRET = 6  # shorter values are too likely to be ordinary text as well

_PLACES = ('path', 'weights', 'artifact_location')  # fields of records
_WORKING_FOLDERS = ('PWD', 'OLDPWD')  # of the shell: no passwords, whatever they sound like

_NAME = re.compile(
    r'(?:^|[_\-.\s])(?:token|secret|passw(?:or)?d|passphrase|pwd|credentials?|auth|authorization'
    r'|api_?key|access_?key(?:_?id)?|secret_?key|private_?key|account_?key|sas|bearer)s?$'
)
_SHAPES = re.compile(
    r'-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)'
    r'|\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}'
    r'|\bhf_[A-Za-z0-9]{20,}|\bsk-[\w-]{20,}|\bxox[abprs]-[\w-]{10,}|\bdapi[0-9a-f]{32}\b'
    r'|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[\w-]{35}|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]+',
    re.DOTALL,
)
_URL_LOGIN = re.compile(r'(?<=://)[^/\s@\'"]+(?=@)')
_QUERY = re.compile(
    r'(?i)((?:token|secret|passw(?:or)?d|pwd|api[-_]?key|access[-_]?key|signature|sig|credential'
    r'|bearer|authorization)["\']?\s*[=:]\s*(?:bearer\s+|basic\s+)?)'
    r'(?:(?P<quote>["\'])[^"\'\n]{6,}(?P=quote)|(?P<open>["\']?)[^\s&"\',;)\]}]{6,})'
)
_OPTION = re.compile(  # of a command line
    r'(?i)(--[\w-]*(?:token|secret|passw(?:or)?d|passphrase|api[-_]?key|access[-_]?key|credentials?)'
    r'\s+)(?:(?P<quote>["\'])[^"\'\n]{6,}(?P=quote)|(?P<open>)[^\s"\'-][^\s"\']{5,})'
)


class Redactor:
    """Masks credentials in texts and trees.

    Args:
        sources: mappings whose credentials are to be known by value: the
            config, the environment.
    """

    def __init__(self, *sources: Mapping[str, Any]) -> None:
        found: set[str] = set()
        for source in sources:
            _collect_secrets(source, found)
        longest_first = sorted(found, key=len, reverse=True)
        self._known = re.compile('|'.join(map(re.escape, longest_first))) if found else None

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> 'Redactor':
        """A redactor that knows the config's and the environment's secrets."""
        environment = {k: v for k, v in os.environ.items() if k not in _WORKING_FOLDERS}
        return cls(config, environment)

    def tree(self, value: Any, name: str = '') -> Any:
        """A copy of nested mappings and lists with every credential masked."""
        if is_secret(name, value):
            return MASK
        if isinstance(value, Mapping):
            return {self._key(key): self.tree(item, str(key)) for key, item in value.items()}
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

    def _key(self, key: Any) -> Any:
        return self.text(key) if isinstance(key, str) else key


def without_credentials(text: str) -> str:
    """The text with every credential masked that its shape or the name before it gives away."""
    text = _URL_LOGIN.sub(MASK, _SHAPES.sub(MASK, text))
    return _OPTION.sub(_masked, _QUERY.sub(_masked, text))


def _masked(match: re.Match[str]) -> str:
    """What names a value is kept, and its quotes."""
    quote = match['quote'] or ''
    return f'{match[1]}{quote or match["open"]}{MASK}{quote}'


def is_secret(name: str, value: Any) -> bool:
    """Whether a value is to be hidden because of the name that it has.

    Numbers and flags are settings (``num_tokens=100``, ``with_cls_token=True``)
    unless the name says password.

    >>> is_secret('access_key', 'x'), is_secret('num_tokens', 8), is_secret('tokenizer', 'bpe')
    (True, False, False)
    """
    words = re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', name).lower()
    if value is None or isinstance(value, bool | Mapping) or value == '':
        return False
    if isinstance(value, list | tuple):  # judged item by item
        return False
    if _NAME.search(words) is None:
        return False
    return isinstance(value, str | bytes) or 'passw' in words


def _collect_secrets(value: Any, found: set[str], name: str = '') -> None:
    if is_secret(name, value):
        text = value.decode(errors='replace') if isinstance(value, bytes) else str(value)
        if len(text) >= _SHORTEST_SECRET:
            found.add(text)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _collect_secrets(item, found, str(key))
    elif isinstance(value, list | tuple):
        for item in value:
            _collect_secrets(item, found, name)
