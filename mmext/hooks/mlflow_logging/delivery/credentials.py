"""What is a credential: one rule for parameters, texts, patches, arguments and the environment.

A name is judged by its words (``db.pass``, ``X-Api-Key``, ``passwordHash``), a value by its
shape. Names that are also those of settings (``auth``, ``metric_key``) need a value that looks
like a credential. What a program computes or refers to (``token = encode(text)``) is none.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any

# a name that ends so always names a credential
_ALWAYS = {
    'password', 'passwords', 'passwd', 'passphrase', 'passcode', 'pwd', 'pw', 'secret', 'secrets',
    'credential', 'credentials', 'authorization', 'bearer', 'cookie', 'cookies', 'apikey', 'sas',
    'auth', 'token', 'tokens', 'accesskey', 'secretkey', 'privatekey',
}  # fmt: skip
# `key` and `pass` name one behind these words
_KEYS_OF = {
    'access', 'account', 'admin', 'api', 'app', 'auth', 'aws', 'azure', 'client', 'consumer',
    'crypto', 'decryption', 'deploy', 'encryption', 'gpg', 'hf', 'hmac', 'host', 'jwt', 'license',
    'master', 'openai', 'private', 'rsa', 'secret', 'service', 'shared', 'signing', 'ssh', 'ssl',
    'storage', 'subscription', 'tls', 'wandb', 'webhook', 'write',
}  # fmt: skip
_PASSES_OF = {
    'account', 'admin', 'app', 'backup', 'basic', 'cert', 'database', 'db', 'email', 'ftp', 'ftps',
    'http', 'imap', 'key', 'ldap', 'login', 'mail', 'mongo', 'my', 'mysql', 'pg', 'postgres',
    'proxy', 'redis', 'registry', 'root', 'sftp', 'smtp', 'sql', 'ssh', 'sudo', 'svn', 'user',
    'vpn', 'wifi',
}  # fmt: skip
_NO_PASS = re.compile(r'(?:by|com|en?com|over|under|tres|sur|all|band|high|low|multi|one|two)pass')
_TOKENS_OF_TEXT = {
    'additional', 'bos', 'cls', 'end', 'eos', 'image', 'mask', 'mem', 'pad', 'prompt', 'query',
    'register', 'sep', 'special', 'start', 'stop', 'text', 'unk', 'vision', 'visual', 'vocab',
    'word',
}  # fmt: skip
# what may follow: a name of it in another form
_FORMS = {
    'b64', 'base64', 'digest', 'encoded', 'encrypted', 'hash', 'hashed', 'hex', 'id', 'plain',
    'raw', 'salt', 'str', 'string', 'text', 'val', 'value',
}  # fmt: skip
_SETTINGS = {
    'auto', 'basic', 'bearer', 'bool', 'bytes', 'default', 'digest', 'dict', 'env', 'false',
    'float', 'int', 'kerberos', 'list', 'none', 'ntlm', 'null', 'oauth', 'oauth2', 'object',
    'optional', 'str', 'true', 'tuple',
}  # fmt: skip
_WORD_BREAK = re.compile(r'(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z0-9]+')
_RANDOM = re.compile(r'(?=.*\d)(?=.*[a-z])(?=.*[A-Z])[A-Za-z0-9+/=-]{16,}|[0-9a-f]{32,}')
_SPECIAL_TOKEN = re.compile(r'[\[<].*[\]>]|\W*')

_SHAPES = re.compile(
    r'-----BEGIN [A-Z ]*PRIVATE KEY[A-Z ]*-----.*?'
    r'(?:-----END [A-Z ]*PRIVATE KEY[A-Z ]*-----|\Z)'
    r'|\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}|\bnpm_[A-Za-z0-9]{30,}'
    r'|\bhf_[A-Za-z0-9]{20,}|\bsk-[\w-]{20,}|\bgsk_\w{20,}|\bnvapi-[\w-]{20,}'
    r'|\bxox[abeprs]-[\w-]{10,}|\bxapp-[\w-]{10,}|\bdapi[0-9a-f]{32}\b|\bpypi-[\w-]{40,}'
    r'|\b[sr]k_(?:live|test)_\w{16,}|\bSG\.[\w-]{16,}\.[\w-]{16,}|\bya29\.[\w-]{20,}'
    r'|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[\w-]{35}|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]+'
    r'|(?<=hooks\.slack\.com/)(?:services|workflows|triggers)/[\w/-]+'
    r'|(?<=/api/webhooks/)\d+/[\w-]+|(?<=webhook\.office\.com/)\S+|\bAGE-SECRET-KEY-1\w+',
    re.DOTALL,
)
_URL_LOGIN = re.compile(r'(?<=://)(?!git@)[^\s\'"/?#]+(?=@)')
_SCHEME = re.compile(r'(?i)\b(?P<scheme>bearer|basic)\s+(?P<value>[A-Za-z0-9+/_.~-]{8,}={0,2})')
_VALUE = (  # looked at only: inside of one that is none there may be others
    r'(?=[rbfuRBFU]{0,2}(?P<quote>["\'])(?P<quoted>(?:\\.|(?!(?P=quote))[^\\\n]){1,4000})(?P=quote)'
    r'|(?P<bare>[^\s"\'&,;)\]}>|(\[{][^\s"\'&,;)\]}|(\[{]{0,4000})(?P<call>[(\[{]|\s*\|)?)'
)
_PAIR = re.compile(
    r'(?P<name>(?<!\w)[A-Za-z_][\w.-]{0,99})(?P<between>["\']?\]?(?::\s*\w+\s*=(?!=)\s*|\s*[=:](?!=)'
    r'\s*)(?P<scheme>(?i:bearer|basic|token)\s+)?)' + _VALUE
)
_OPTION = re.compile(r'(?P<name>(?<!\S)--?[A-Za-z][\w.-]{0,99})(?P<between>[ \t]+)(?!-)' + _VALUE)
_NAMED = re.compile(
    r'(?:\b(?:name|key|variable)["\']?\s*[=:]\s*["\']?(?P<name>[\w.-]{1,99})["\']?\s*,?\s*["\']?value)'
    r'(?P<between>["\']?\s*[=:]\s*)' + _VALUE
)
_URL_PART = re.compile(
    r'(?i)(?P<between>[?&](?:sig|signature|code|key|x-amz-(?:signature|credential|security-token))'
    r'=)(?P<bare>[^&\s"\'<>]{6,})'
)


def is_secret(name: str, value: Any) -> bool:
    """Whether a value is to be hidden because of the name that it has.

    Numbers and flags are settings (``num_tokens=100``, ``with_cls_token=True``)
    unless the name says password.

    >>> is_secret('access_key', 'x'), is_secret('num_tokens', 8), is_secret('tokenizer', 'bpe')
    (True, False, False)
    """
    if isinstance(value, bytes):
        value = value.decode(errors='replace')
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _words(name)[-1:] in (['password'], ['passwd'])
    if not isinstance(value, str) or value.lower() in ('', MASK) or value.lower() in _SETTINGS:
        return False
    words = _words(name)
    while len(words) > 1 and words[-1] in _FORMS:
        words = words[:-1]
    return bool(words) and _is_name(words[-1], set(words[:-1]), value)


def is_secret_variable(name: str, value: str) -> bool:
    """Whether a variable of the environment holds a credential: keys and passes are secret there.

    >>> is_secret_variable('OPENAI_KEY', 'abcdef'), is_secret_variable('SSL_KEY', '/etc/x.pem')
    (True, False)
    """
    if value.startswith(('/', '~', './')):
        return False
    last = _words(name)[-1:]
    return last in (['key'], ['pat'], ['pass']) or is_secret(name, value)


def without_credentials(text: str) -> str:
    """The text with every credential masked that its shape or the name before it gives away."""
    text = _URL_LOGIN.sub(MASK, _SHAPES.sub(MASK, text))
    text = _URL_PART.sub(lambda match: match['between'] + MASK, text)
    text = _SCHEME.sub(_masked_login, text)
    for pattern in (_NAMED, _OPTION, _PAIR):
        text = _masked_values(pattern, text)
    return text


MASK = '***'


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD_BREAK.split(name) if word and not word.isdigit()]


def _is_name(last: str, before: set[str], value: str) -> bool:
    if last in ('token', 'tokens'):
        return not before & _TOKENS_OF_TEXT and _SPECIAL_TOKEN.fullmatch(value) is None
    if last in _ALWAYS or last.endswith(('password', 'passwd', 'passphrase')):
        return True
    if last == 'key':
        return bool(before & _KEYS_OF) or (bool(before) and _RANDOM.fullmatch(value) is not None)
    if last == 'pass':
        return not before or bool(before & _PASSES_OF)
    if last.endswith('pass'):
        return _NO_PASS.fullmatch(last) is None
    return last == 'pat' and (not before or _RANDOM.fullmatch(value) is not None)


def _masked_values(pattern: re.Pattern[str], text: str) -> str:
    """What names a value is kept, and its quotes."""
    parts, end = [], 0
    for match in pattern.finditer(text):
        group = 'bare' if match['quoted'] is None else 'quoted'
        if match.start(group) >= end and _names_secret(match):
            parts += [text[end : match.start(group)], MASK]
            end = match.end(group)
    return ''.join([*parts, text[end:]])


def _names_secret(match: re.Match[str]) -> bool:
    name, bare = match['name'], match['bare']
    if bare is None:
        return is_secret(name, match['quoted'])
    is_computed = match['call'] or _is_expression(name, match['between'], bare)
    return not is_computed and is_secret(name, _literal(bare))


def _masked_login(match: re.Match[str]) -> str:
    """``Basic`` is a word as well: only base64 of ``user:password`` is a login."""
    value = match['value']
    if match['scheme'].lower() == 'basic':
        try:
            is_login = b':' in base64.b64decode(value, validate=True)
        except binascii.Error:
            is_login = False
    else:
        is_login = len(value) >= 16 and any(char.isdigit() for char in value)
    return match[0].replace(value, MASK) if is_login else match[0]


def _is_expression(name: str, between: str, bare: str) -> bool:
    """Whether what has no quotes is computed or referred to: a name, a type, an attribute."""
    if bare.startswith(('$', '<', '%', '{')):
        return True
    is_spaced = '=' in between and between.endswith(' ')  # `x = y` of a program; not `X=y`
    if re.fullmatch(r'[A-Za-z_]+|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+', bare) is None:
        return False
    if name.isupper() and not is_spaced:  # a variable of a shell
        return False
    is_type = ':' in between and bare[:1].isupper() and bare[1:].islower()
    return is_spaced or is_type or '.' in bare or _words(bare)[-1:] == _words(name)[-1:]


def _literal(bare: str) -> Any:
    if bare in ('None', 'True', 'False'):
        return None
    try:
        return float(bare)
    except ValueError:
        return bare


def collect_secrets(
    value: Any, found: set[str], name: str = '', judge: Callable[[str, Any], bool] = is_secret
) -> None:
    """Add the values of a tree that its names give away."""
    if judge(name, value):
        found.add(value.decode(errors='replace') if isinstance(value, bytes) else str(value))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            collect_secrets(item, found, name_of(value, key), judge)
    elif isinstance(value, list | tuple):
        for item in value:
            collect_secrets(item, found, name, judge)


def name_of(holder: Mapping[Any, Any], key: Any) -> str:
    """The name of an item of a mapping, also of ``{name: TOKEN, value: …}``."""
    if key == 'value':
        names = (holder.get(other) for other in ('name', 'key', 'variable'))
        return next((name for name in names if isinstance(name, str)), 'value')
    return str(key)
