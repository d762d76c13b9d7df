"""The config inside a checkpoint, read as data.

Host: ``mmengine.config.Config.fromstring``, for the ``meta.cfg`` of a checkpoint.
Fault: it runs the text as Python, imports what ``custom_imports`` lists, and whoever builds from
the config calls whatever function a ``type`` names: ``type='os.system'``.
Repair: mmengine writes its configs as assignments of literals and calls of ``dict``. Those alone
are read, and a ``type`` may be a registered name or a class of the host.
"""

import ast
import importlib.util
import re
from collections.abc import Callable, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.utils import get_object_from_string

from mmext.configuration import walk
from mmext.errors import InputError

_HOST = ('mmcv', 'mmdet', 'mmengine', 'mmext', 'torch', 'mmpretrain', 'mmseg', 'mmpose')
_DOTTED_NAME = re.compile(r'[A-Za-z_]\w*(\.[A-Za-z_]\w*)*')
_READ_BY_MMENGINE = ('custom_imports', '_base_')
_EVALUATED = ('type', 'warp_mode')  # names that the host looks up, the second by `eval`


def read_stored_config(meta: Mapping[str, Any], checkpoint: str) -> Config:
    """Read the config that mmengine has stored with the weights.

    Args:
        meta: ``meta`` of the checkpoint.
        checkpoint: its path, for the message.

    Raises:
        InputError: there is none, or it needs code.
    """
    text = meta.get('cfg')
    if not isinstance(text, str):
        raise InputError(f'checkpoint {checkpoint} carries no config: name it with --config FILE')
    try:
        config = Config(_assignments(text))
        _check_names(config)
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError, KeyError) as error:
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise InputError(
            f'the config inside checkpoint {checkpoint} needs code, which is not run ({reason}): '
            'pass --config FILE'
        ) from error
    return config


def _assignments(text: str) -> dict[str, Any]:
    """The values of ``name = value`` lines, a later one replacing an earlier."""
    values = {}
    for statement in ast.parse(text).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                values[name] = _value(value)
            case _:
                raise _needs_code(statement)
    return values


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=value) if value is not ...:
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.List() | ast.Tuple() | ast.Set():
            return _CONTAINERS[type(node)](_value(item) for item in node.elts)
        case ast.Dict(keys=keys, values=values):
            return _mapping(node, keys, values)
        case ast.Call(func=ast.Name(id='dict'), args=args, keywords=keywords):
            return _call_of_dict(node, args, keywords)
    raise _needs_code(node)


_CONTAINERS: dict[type, Callable[..., Any]] = {ast.List: list, ast.Tuple: tuple, ast.Set: set}


def _mapping(node: ast.expr, keys: list[Any], values: list[ast.expr]) -> dict[Any, Any]:
    if None in keys:  # {**other}
        raise _needs_code(node)
    return {_value(key): _value(value) for key, value in zip(keys, values, strict=True)}


def _call_of_dict(
    node: ast.expr, args: list[ast.expr], keywords: list[ast.keyword]
) -> dict[Any, Any]:
    """``dict(key=value)``, or ``dict({'a key': value})`` as mmengine writes other keys."""
    names = [keyword.arg for keyword in keywords]
    given = [_value(argument) for argument in args]
    if None in names or len(set(names)) < len(names) or len(given) > 1:
        raise _needs_code(node)
    if given and not isinstance(given[0], dict):
        raise _needs_code(node)
    named = {str(keyword.arg): _value(keyword.value) for keyword in keywords}
    return {**(given[0] if given else {}), **named}


def _needs_code(node: ast.stmt | ast.expr) -> ValueError:
    return ValueError(f'line {node.lineno}: {ast.unparse(node)[:60]}')


def _check_names(config: Config) -> None:
    """Refuse what makes mmengine or mmdet import or call more than registered classes.

    Raises:
        InputError: naming the key and the value.
    """
    for key in _READ_BY_MMENGINE:
        if config.get(key):
            raise InputError(f'{key}={config[key]}')
    for path, part in walk(config._cfg_dict):
        for key in _EVALUATED:
            name = part.get(key)
            if isinstance(name, str) and not _is_harmless(name):
                raise InputError(f'{path}.{key}={name[:60]!r}'.lstrip('.'))


def _is_harmless(name: str) -> bool:
    """Whether the look-up of a name in a registry ends at a class that configs may name.

    What no registry has, mmengine imports: a module, or anything inside one.
    """
    if not _DOTTED_NAME.fullmatch(name):
        return False
    package, _, inner = name.partition('.')
    if not inner:
        return importlib.util.find_spec(package) is None
    if package == 'cv2':  # names of constants
        return inner.isupper()
    if package not in _HOST:
        return False
    found = get_object_from_string(name)
    if package == 'torch':
        return isinstance(found, type) and name.startswith(('torch.nn.', 'torch.optim.'))
    return found is None or isinstance(found, type)
