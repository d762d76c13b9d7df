"""Are the values of a config of the right kind and size?

Looked at where a config enters, before anything is imported, built or read. mmengine and torch
would find a wrong value late, after minutes of reading data, and say so in their own words. Only
values are here that mean the same in every config; what a class wants of its arguments it says
itself when it is built (:mod:`mmext.part_errors`).
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmext.errors import InputError

_LOOPS = ('train', 'val', 'test')
_PLAIN = (str, int, float)
_PREPROCESSOR = r'model\.(.+\.)?data_preprocessor'
_LEVELS = ('CRITICAL', 'ERROR', 'WARNING', 'WARN', 'INFO', 'DEBUG', 'NOTSET')


class Rule(NamedTuple):
    """What the values of some keys must be.

    Attributes:
        keys: a regular expression for the whole dotted key.
        fits: tells whether a value is right.
        expected: what a right value is, for the message.
    """

    keys: str
    fits: Callable[[Any], bool]
    expected: str


def check_values(config: Any) -> None:
    """Check the values of a config that mean the same everywhere.

    Args:
        config: the whole config, a dict or mmengine's ``Config``.

    Raises:
        InputError: naming the first wrong one, what was expected, and how to set it.
    """
    values = list(_values(dict(config.items())))
    for key, value in values:
        for rule in _RULES:
            if re.fullmatch(rule.keys, key) and not rule.fits(value):
                raise _refusal(key, value, rule.expected)
    for key, part in values:
        if re.fullmatch(r'param_scheduler(\.\w+)*', key) and isinstance(part, Mapping):
            _check_span(key, part)
        elif re.fullmatch(_PREPROCESSOR, key) and isinstance(part, Mapping):
            _check_mean_and_std(key, part)


def check_loops(config: Any) -> None:
    """Check that each loop of a run has all of its parts or none.

    Raises:
        InputError: naming those that are there and those that are missing.
    """
    for loop in _LOOPS:
        last = 'optim_wrapper' if loop == 'train' else f'{loop}_evaluator'
        keys = (f'{loop}_dataloader', f'{loop}_cfg', last)
        there = [key for key in keys if config.get(key) is not None]
        missing = [key for key in keys if key not in there]
        if loop == 'train' and there == ['optim_wrapper']:
            continue  # mmengine lets an optimizer alone be
        if there and missing:
            raise InputError(
                f'the config has {" and ".join(there)} but no {" and no ".join(missing)}: set '
                f'what is missing, or {" and ".join(f"{key}=None" for key in there)} for a run '
                f'without {loop}'
            )


def _refusal(key: str, value: Any, expected: str) -> InputError:
    text = repr(value)
    text = text if len(text) <= 80 else f'{text[:77]}...'
    return InputError(
        f'{key}={text}: expected {expected}; set it in the config file or with --cfg-options '
        f'{key}=VALUE'
    )


def _values(node: Any, path: str = '') -> Iterator[tuple[str, Any]]:
    """Every value below a node with its dotted key, parts before what is in them."""
    items = node.items() if isinstance(node, Mapping) else enumerate(node)
    for name, value in list(items):
        key = f'{path}.{name}' if path else str(name)
        yield key, value
        if isinstance(value, Mapping | list | tuple):
            yield from _values(value, key)


def _check_span(key: str, part: Mapping[str, Any]) -> None:
    begin, end = part.get('begin', 0), part.get('end')
    if is_number(begin) and is_number(end) and end <= begin:
        raise _refusal(f'{key}.end', end, f'more than its begin, which is {begin}')


def _check_mean_and_std(key: str, part: Mapping[str, Any]) -> None:
    mean, std = part.get('mean'), part.get('std')
    if (mean is None) != (std is None):
        given, missing = ('mean', 'std') if std is None else ('std', 'mean')
        raise _refusal(f'{key}.{missing}', None, f'as many numbers as {key}.{given} has')
    if mean is not None and len(mean) != len(std):  # type: ignore[arg-type]
        raise _refusal(f'{key}.std', std, f'as many numbers as {key}.mean has: {len(mean)}')


def is_number(value: Any) -> bool:
    """A number that is neither NaN nor infinite; True and False are none."""
    is_real = isinstance(value, int | float) and not isinstance(value, bool)
    return is_real and math.isfinite(value)


def is_whole(value: Any) -> bool:
    """A whole number, also one that is written as 3.0."""
    return is_number(value) and value == int(value)


def _is_at_least(lowest: float, whole: bool = False) -> Callable[[Any], bool]:
    kind = is_whole if whole else is_number
    return lambda value: kind(value) and value >= lowest


def _is_true_or_false(value: Any) -> bool:
    return isinstance(value, bool)


def _is_text_or_none(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_part(value: Any) -> bool:
    return value is None or isinstance(value, Mapping)


def _is_parts(value: Any) -> bool:
    """A part, or several in a list or by name."""
    if isinstance(value, list | tuple):
        return all(isinstance(item, Mapping) for item in value)
    return _is_part(value)


def _is_hooks(value: Any) -> bool:
    """A list of parts or of objects that are built already."""
    if value is None:
        return True
    return isinstance(value, list | tuple) and not any(isinstance(item, _PLAIN) for item in value)


def _are_all(fits: Callable[[Any], bool], count: Sequence[int] = ()) -> Callable[[Any], bool]:
    """A list whose items fit; with ``count`` one of these many."""
    return lambda value: (
        isinstance(value, list | tuple)
        and (not count or len(value) in count)
        and all(fits(item) for item in value)
    )


def _is_seed(value: Any) -> bool:
    return value is None or (is_whole(value) and 0 <= value < 2**32)


def _is_share(value: Any) -> bool:
    return is_number(value) and 0 <= value <= 1


def _is_count_or_counts(value: Any) -> bool:
    """A whole number from 1 on, or some in a list; None and parts are left to their class."""
    if isinstance(value, list | tuple):
        return all(_is_count_or_counts(item) for item in value)
    return value is None or isinstance(value, Mapping) or _is_at_least(1, whole=True)(value)


def _is_file_name(value: Any) -> bool:
    is_name = isinstance(value, str) and bool(value)
    return value is None or (is_name and not Path(value).expanduser().is_dir())


def _is_interval(value: Any) -> bool:
    return is_whole(value) and (value >= 1 or value == -1)


_WHOLE = 'a whole number'
_LOADER = r'(train|val|test)_dataloader'
_OPTIMIZER = r'optim_wrapper\.(\w+\.)?optimizer'
# what the runner builds itself, and what that contains
_TYPED = (
    r'model(\.(backbone|neck|\w+_head|data_preprocessor))*|optim_wrapper|visualizer|log_processor|'
    r'(train|val|test)_cfg|(val|test)_evaluator(\.\d+)?|param_scheduler(\.\d+)?|'
    rf'default_hooks\.\w+|custom_hooks\.\d+|{_LOADER}\.((batch_)?sampler|dataset(\.dataset)*'
    r'(\.pipeline\.\d+)?)'
)
_RULES = (
    Rule('model', lambda value: isinstance(value, Mapping), 'a dict with the type of the model'),
    Rule(rf'{_LOADER}|(train|val|test)_cfg', _is_part, 'a dict, or None for a run without it'),
    Rule(rf'optim_wrapper|{_OPTIMIZER}', _is_part, 'a dict'),
    Rule('default_hooks|randomness|visualizer|log_processor', _is_part, 'a dict'),
    Rule(r'auto_scale_lr|model_wrapper_cfg|env_cfg\.dist_cfg', _is_part, 'a dict'),
    Rule(r'env_cfg(\.mp_cfg)?', lambda value: isinstance(value, Mapping), 'a dict'),
    Rule(
        rf'({_TYPED})\.type',
        lambda value: value is not None and not isinstance(value, int | float),
        'the name of a class',
    ),
    Rule(r'default_hooks\.\w+', lambda value: not isinstance(value, _PLAIN), 'a dict, or None'),
    Rule('resume|find_unused_parameters', _is_true_or_false, 'True or False'),
    Rule('custom_hooks', _is_hooks, 'a list of dicts, one for each hook'),
    Rule('param_scheduler|(val|test)_evaluator', _is_parts, 'a dict or a list of dicts'),
    Rule(rf'{_LOADER}\.(sampler|batch_sampler)', _is_part, 'a dict'),
    Rule(rf'{_LOADER}\.dataset', lambda value: isinstance(value, Mapping), 'a dict'),
    Rule(rf'{_LOADER}\..*\.data_root', _is_text_or_none, 'the name of a folder'),
    Rule(rf'{_LOADER}\..*\.data_prefix', _is_part, 'a dict of folders'),
    Rule(r'data_root', _is_text_or_none, 'the name of a folder'),
    Rule(rf'{_LOADER}\.batch_size', _is_at_least(1, whole=True), f'{_WHOLE} of at least 1'),
    Rule(rf'{_LOADER}\.num_workers', _is_at_least(0, whole=True), f'{_WHOLE} of at least 0'),
    Rule(rf'{_LOADER}\.persistent_workers', _is_true_or_false, 'True or False'),
    Rule(r'.*\.pipeline', _is_hooks, 'a list of dicts, one for each step'),
    Rule(
        r'train_cfg\.(max_epochs|max_iters|val_interval)',
        _is_at_least(1, whole=True),
        f'{_WHOLE} of at least 1',
    ),
    Rule(r'train_cfg\.by_epoch', _is_true_or_false, 'True or False'),
    Rule(rf'{_OPTIMIZER}\.(lr|weight_decay|eps)', _is_at_least(0), 'a number of at least 0'),
    Rule(rf'{_OPTIMIZER}\.momentum', _is_at_least(0), 'a number of at least 0'),
    Rule(
        rf'{_OPTIMIZER}\.betas',
        _are_all(lambda beta: _is_share(beta) and beta < 1, (2, 3)),
        'two numbers of at least 0 and below 1',
    ),
    Rule(
        r'optim_wrapper\.accumulative_counts',
        _is_at_least(1, whole=True),
        f'{_WHOLE} of at least 1',
    ),
    Rule(r'optim_wrapper\.(clip_grad|paramwise_cfg)', _is_part, 'a dict, or None'),
    Rule(
        r'optim_wrapper\.clip_grad\.(max_norm|clip_value)',
        lambda value: is_number(value) and value > 0,
        'a number above 0',
    ),
    Rule(
        r'param_scheduler\.(.+\.)?(begin|T_max)',
        _is_at_least(0, whole=True),
        f'{_WHOLE} of at least 0',
    ),
    Rule(r'param_scheduler\.(.+\.)?end', is_whole, _WHOLE),
    Rule(
        r'param_scheduler\.(.+\.)?milestones',
        _are_all(_is_at_least(0, whole=True)),
        'a list of whole numbers',
    ),
    Rule(r'param_scheduler\.(.+\.)?(gamma|power|\w+_factor|eta_min)', is_number, 'a number'),
    Rule(r'randomness\.seed', _is_seed, f'{_WHOLE} from 0 to 4294967295'),
    Rule(
        rf'{_PREPROCESSOR}\.mean',
        lambda value: value is None or _are_all(is_number, (1, 3))(value),
        '1 or 3 numbers',
    ),
    Rule(
        rf'{_PREPROCESSOR}\.std',
        lambda value: value is None or _are_all(lambda x: is_number(x) and x > 0, (1, 3))(value),
        '1 or 3 numbers above 0',
    ),
    Rule(r'model\..+\.num_classes', _is_count_or_counts, f'{_WHOLE} of at least 1'),
    Rule(
        r'model\..+\.(in|out|feat|base|stem|mid)_channels',
        _is_count_or_counts,
        f'{_WHOLE} of at least 1, or a list of such',
    ),
    Rule(
        r'default_hooks\.(checkpoint|logger)\.(interval|max_keep_ckpts)',
        _is_interval,
        f'{_WHOLE} of at least 1 (or -1 for never)',
    ),
    Rule(r'auto_scale_lr\.base_batch_size', _is_at_least(1, whole=True), f'{_WHOLE} of at least 1'),
    Rule('load_from', _is_file_name, 'the name of a checkpoint file, no folder'),
    Rule('work_dir', _is_text_or_none, 'the name of a folder'),
    Rule('log_level', lambda value: value in _LEVELS, f'one of {", ".join(_LEVELS)}'),
    Rule('default_scope', _is_text_or_none, 'a name'),
)
