"""What fails while a part of a config is built or used for the first time, as one line.

mmengine builds a run from the dicts of a config. A wrong value in one of them fails in the class
that it is for, or in a layer below it: somewhere in torch, with a message about tensors. From the
frames of the traceback this file finds the dict, so that the line can name its key and its values.
After the first iteration the values have proved to fit, and an error is none of theirs. Neither
is one that no value can cause, at any time.
"""

import difflib
import inspect
import re
import traceback
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any, NamedTuple

_KEYWORD = re.compile(r"(?:(\w+)\.__init__\(\) )?got an unexpected keyword argument '(\w+)'")
_NOT_REGISTERED = re.compile(r'^(\S+) is not in the \S+::[\w ]+ registry')
_IMPORT_ADVICE = (
    '; spell it as its class, and import the module of a class of your own (custom_imports)'
)
_NO_SUCH_OPTIMIZER = 'None is not a callable object'  # mmengine looked its name up and found none
_FAULTS = (NameError, SyntaxError)  # no value of a config causes one
_SHOWN_VALUES = 8
_SHOWN_CHARACTERS = 300


class Part(NamedTuple):
    """A dict of a config.

    Attributes:
        key: its dotted key, or as much as is known of it.
        kind: the name of its class.
        values: what it holds.
        cls: the class, where it was being built.
    """

    key: str
    kind: str
    values: Mapping[str, Any]
    cls: Any = None


def part_error(error: BaseException, text: str) -> str | None:
    """One line for an error of a part of a config, None for any other.

    Args:
        error: what was raised.
        text: its message on one line, or the statement that failed without one.
    """
    if not isinstance(error, Exception):
        return None
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    if isinstance(error, _FAULTS) and frames and frames[-1].f_code.co_filename != '<string>':
        return None  # but a value that the host evaluates is as wrong as any other
    keyword = _KEYWORD.search(text)
    if not any(map(_is_of_a_run, frames)) or (_has_iterated(frames) and not keyword):
        return None
    config = _config_of(frames)
    part = next(filter(None, (_part_at(frame, config) for frame in reversed(frames))), None)
    text = text if len(text) <= _SHOWN_CHARACTERS else f'{text[:_SHOWN_CHARACTERS]}...'
    reason = ': '.join(filter(None, (type(error).__name__, text.rstrip('.'))))
    if part is None:
        return f'the run cannot start with this config: {reason}'
    if text == _NO_SUCH_OPTIMIZER:
        return f'{part.key}.type: there is no optimizer {part.kind!r}'
    if keyword:
        return _unknown_argument(part, keyword[2], frames[-1].f_globals.get(keyword[1]))
    statement = traceback.extract_tb(error.__traceback__)[-1].line
    is_said = not statement or statement.startswith('raise') or text.startswith(f'`{statement}')
    where = '' if is_said else f' at `{statement}`'
    return f'{part.key} ({part.kind}) does not work: {reason}{where}{_shown(part.values)}'


def unknown_type(error: BaseException, text: str) -> str | None:
    """One line for a class that a registry does not know, None for any other error."""
    found = _NOT_REGISTERED.match(text)
    if found is None or not isinstance(error, KeyError):
        return None
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    building = next((f for f in reversed(frames) if f.f_code.co_name == 'build_from_cfg'), None)
    if building is None:
        return None
    key = _key_of(building.f_locals['cfg'], _config_of(frames))
    close = difflib.get_close_matches(found[1], _registered(building.f_locals['registry']), n=1)
    place = f', named by {key}.type' if key else ''
    advice = f'; did you mean {close[0]}?' if close else _IMPORT_ADVICE
    return f'{found[0]}{place}{advice}'


def _registered(registry: Any) -> list[str]:
    """The names in a registry and in those above it."""
    names: list[str] = []
    while registry is not None:
        names += registry.module_dict
        registry = registry.parent
    return names


def _is_of_a_run(frame: FrameType) -> bool:
    """Whether a frame is of a runner, or of the building of a part."""
    is_runner = frame.f_code.co_filename.replace('\\', '/').endswith('mmengine/runner/runner.py')
    return is_runner or frame.f_code.co_name == 'build_from_cfg'


def _has_iterated(frames: list[FrameType]) -> bool:
    """Whether the innermost loop has done an iteration; an evaluation after it is not one."""
    for frame in reversed(frames):
        local = frame.f_locals
        if 'evaluator' in type(local.get('self')).__name__.lower():
            return False
        loop = local.get('self')
        if hasattr(loop, 'dataloader') and hasattr(loop, 'run'):
            done = getattr(loop, '_iter', local.get('idx', 0))
            return isinstance(done, int) and done > 0
    return False


def _config_of(frames: list[FrameType]) -> Mapping[str, Any]:
    """The whole config, as the outermost frame that has it."""
    for frame in frames:
        for name in ('config', 'cfg'):
            found: Any = frame.f_locals.get(name)
            if type(found).__name__ == 'Config':
                return dict(found.items())
    return {}


def _part_at(frame: FrameType, config: Mapping[str, Any]) -> Part | None:
    """The part that a frame builds or runs."""
    local = frame.f_locals
    name = frame.f_code.co_name
    if name == 'build_from_cfg' and isinstance(local.get('cfg'), Mapping):
        return _built_part(local, config)
    if name == 'build_dataloader' and isinstance(local.get('dataloader'), Mapping):
        key = _key_of(local['dataloader'], config) or 'a dataloader'
        return Part(key, 'DataLoader', local['dataloader'])
    if name == '__call__' and hasattr(local.get('self'), 'optimizer_cfg'):
        return _optimizer_part(local['self'].optimizer_cfg)
    if name == '__call__' and type(local.get('self')).__name__ == 'Compose' and 't' in local:
        return _part_of_kind(type(local['t']).__name__, config, 'a step of a pipeline')
    if name == 'call_hook' and 'hook' in local:
        return _part_of_kind(type(local['hook']).__name__, config, 'a hook')
    if name == 'compute_metrics':
        return _part_of_kind(type(local.get('self')).__name__, config, 'the evaluator')
    if hasattr(local.get('self'), 'state_dict') and hasattr(local['self'], 'forward'):
        return _module_part(local['self'], frame, config)
    return None


def _built_part(local: Mapping[str, Any], config: Mapping[str, Any]) -> Part | None:
    cfg = local['cfg']
    kind = cfg.get('type')
    kind = str(getattr(kind, '__name__', kind))
    if 'args' in local and local.get('obj_cls') is None and 'obj_type' in local:
        return None  # the registry itself refuses the type and says so
    key = _key_of(cfg, config) or f'the part of type {kind}'
    return Part(key, kind, cfg, local.get('obj_cls'))


def _optimizer_part(cfg: Mapping[str, Any]) -> Part:
    return Part('optim_wrapper.optimizer', str(cfg.get('type')), cfg)


def _part_of_kind(kind: str, config: Mapping[str, Any], otherwise: str) -> Part:
    for key, node in _nodes(config):
        if str(node.get('type')).rpartition('.')[2] == kind:
            return Part(key, kind, node)
    return Part(otherwise, kind, {})


def _module_part(module: Any, frame: FrameType, config: Mapping[str, Any]) -> Part | None:
    """The part of the model that a module is, or is in."""
    path = _module_path(module, frame)
    if path is None:
        return None
    key, node = 'model', config.get('model', {})
    for name in path.split('.') if path else ():
        below = node.get(name) if isinstance(node, Mapping) else None
        if isinstance(node, list | tuple) and name.isdigit() and int(name) < len(node):
            below = node[int(name)]
        if not isinstance(below, Mapping | list | tuple):
            break
        key, node = f'{key}.{name}', below
    if not isinstance(node, Mapping):
        return None
    return Part(key, str(node.get('type')), node)


def _module_path(module: Any, frame: FrameType | None) -> str | None:
    """The path of a module in the outermost module that runs."""
    outermost = module
    while frame is not None:
        caller = frame.f_locals.get('self')
        if hasattr(caller, 'named_modules') and hasattr(caller, 'forward'):
            outermost = caller
        frame = frame.f_back
    while hasattr(outermost, 'module') and not hasattr(outermost, 'data_preprocessor'):
        outermost = outermost.module
    return next((path for path, m in outermost.named_modules() if m is module), None)


def _key_of(part: Mapping[str, Any], config: Mapping[str, Any]) -> str | None:
    """The key of a part of which the host has made a copy, and perhaps added to it."""
    same_kind = [
        (key, node) for key, node in _nodes(config) if node.get('type') == part.get('type')
    ]
    for key, node in same_kind:
        if node is part or node == part:
            return key
    for key, node in same_kind:
        if all(name in part and part[name] == value for name, value in node.items()):
            return key
    return same_kind[0][0] if len(same_kind) == 1 else None


def _nodes(node: Any, path: str = '') -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every dict below a node, with its dotted key."""
    if isinstance(node, Mapping) and path:
        yield path, node
    items = node.items() if isinstance(node, Mapping) else enumerate(node)
    for name, value in list(items):
        if isinstance(value, Mapping | list | tuple):
            yield from _nodes(value, f'{path}.{name}' if path else str(name))


def _unknown_argument(part: Part, name: str, refusing: Any) -> str:
    """What to say of an argument that a part does not take, or a class that it hands it to."""
    close: list[str] = []
    if part.cls is not None:
        classes = [*inspect.getmro(part.cls), *([refusing] if inspect.isclass(refusing) else [])]
        known = [each for cls in classes for each in _arguments(cls)]
        close = difflib.get_close_matches(name, known, n=1)
    meant = f'; did you mean {close[0]}?' if close else ', take it out'
    return f'{part.key}.{name}: {part.kind} has no such argument{meant}'


def _arguments(cls: type) -> list[str]:
    return list(inspect.signature(cls.__init__).parameters)  # type: ignore[misc]


def _shown(values: Mapping[str, Any]) -> str:
    """The plain values of a part: one of them is most likely wrong."""
    plain = [
        f'{name}={value!r}'
        for name, value in values.items()
        if name != 'type' and name[0] != '_' and _is_plain(value)
    ]
    if not plain:
        return ''
    more = ', ...' if len(plain) > _SHOWN_VALUES else ''
    return f'. Check its values: {", ".join(plain[:_SHOWN_VALUES])}{more}'


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float | list | tuple) and len(repr(value)) <= 60
