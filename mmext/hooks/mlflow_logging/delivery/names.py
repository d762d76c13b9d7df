"""Any text as an MLflow key, and back.

MLflow keys are letters, digits and ``_ - . space /``, must be a normal relative
path and at most 250 characters. Other characters are spelled out between
underscores: ``AR@100`` becomes ``AR_at_100``, a ``(`` becomes ``_u28_``. Text that
already looks like such a spelling has its underscores escaped, so that two
names never meet in one key and :func:`decode` gives the name back.
"""

import hashlib
import re

MAX_KEY_LENGTH = 250

_WORDS = {'@': 'at', '%': 'pct', '+': 'plus', '=': 'eq'}
_CHARS = {word: char for char, word in _WORDS.items()}
_ESCAPE = re.compile(r'_(at|pct|plus|eq|u[0-9a-f]*)_')
_FORBIDDEN = re.compile(r'[^\w.\- /]')
_FORBIDDEN_OR_UNDERSCORE = re.compile(r'[^\w.\- /]|_')
# what MLflow refuses as a path: two dots at the start; empty, `.` and `..` parts
_ODD_PARTS = re.compile(r'^\.\.|(?:(?<=/)|^)(?:\.{1,2})?(?=/|$)')


def encode(name: str) -> str:
    """The MLflow key of a name.

    >>> encode('coco/AR@100')
    'coco/AR_at_100'
    >>> encode('loss(cls)')
    'loss_u28_cls_u29_'
    """
    key = _spell(name)
    if decode(key) != name:
        key = _spell(name, escape_underscores=True)
    if len(key) > MAX_KEY_LENGTH:
        digest = hashlib.sha256(name.encode()).hexdigest()[:16]
        key = f'{key[: MAX_KEY_LENGTH - 21]}_sha_{digest}'.replace('/_sha_', '_sha_')
    return key


def decode(key: str) -> str:
    """The name of a key; only keys shortened to 250 characters stay as they are.

    >>> decode('coco/AR_at_100')
    'coco/AR@100'
    """
    return _ESCAPE.sub(lambda match: _unspell(match[1]), key)


def _spell(name: str, escape_underscores: bool = False) -> str:
    forbidden = _FORBIDDEN_OR_UNDERSCORE if escape_underscores else _FORBIDDEN
    key = forbidden.sub(_escape, name)
    return _ODD_PARTS.sub(lambda part: re.sub('.', _escape, part[0]) or '_u_', key)


def _escape(char: re.Match[str]) -> str:
    return f'_{_WORDS.get(char[0], f"u{ord(char[0]):x}")}_'


def _unspell(escape: str) -> str:
    if escape in _CHARS:
        return _CHARS[escape]
    return chr(int(escape[1:], 16)) if escape != 'u' else ''
