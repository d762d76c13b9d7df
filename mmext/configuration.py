"""From a config file and the command line to the config the runner is built from."""

import argparse
import difflib
import importlib.util
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.utils import import_modules_from_strings

from mmext.base_variables import check_base_variables
from mmext.config_values import check_loops, check_values
from mmext.errors import InputError
from mmext.failed_statements import words_of
from mmext.host_errors import missing_import
from mmext.shipped import shipped_folder

# how alike two names must be to be one name and its misspelling: `dept` and `depth` are,
# `in_channels` and `out_channels`, `val_dataloader` and `train_dataloader` are not
_TYPO_SIMILARITY = 0.85

# hooks of every run: key -> class, and its former names
_GUARDS = {
    'data_check': ('DataCheckHook', 'PanopticClassCheckHook'),
    'data_workers': ('DataWorkersHook',),
    'finite_weights': ('FiniteWeightsHook',),
}
# of every training
_OF_TRAININGS = {
    'random_state': ('RandomStateHook',),
    'due_validation': ('DueValidationHook',),
    'data_wait': ('DataWaitHook',),
}


def load_config(path: str, options: Mapping[str, Any] | None = None) -> Config:
    """Read a config file and apply ``--cfg-options``.

    Args:
        path: the config file, or one that an installed package ships, as ``mmdet::…/….py``.
        options: dotted keys and their values. ``data_root`` also moves every path in the config
            that begins with the old ``data_root``: mmengine itself would change the variable
            and leave the data sets, built from it, where they are.

    Raises:
        InputError: the file is missing, cannot be parsed, holds a base variable without its
            value or a value that is wrong, or an option does not fit it.
    """
    config = _read(path)
    _import_modules(config, path)
    check_base_variables(config, path, read_again=lambda: _read(path))
    options = dict(options or {})
    check_option_keys(config, options)
    if 'data_root' in options and isinstance(config.get('data_root'), str):
        rebase_data_root(config, str(options.pop('data_root')))
    try:
        config.merge_from_dict(options)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f'--cfg-options do not fit {path}: {_reason(error)}') from error
    check_values(config)
    config.setdefault('default_scope', 'mmdet')
    for loop in ('train', 'val', 'test'):
        loader = config.get(f'{loop}_dataloader')
        if loader and loader.get('num_workers') == 0:
            loader.persistent_workers = False  # torch refuses to keep workers that are not there
    return config


def _read(path: str) -> Config:
    file = locate_config(path)
    if not file.is_file():
        raise InputError(f'config file not found: {file.absolute()}{_nearest(path)}')
    try:
        return Config.fromfile(file, import_custom_modules=False)
    except Exception as error:
        raise InputError(f'config file {path} cannot be read: {_reason(error)}') from error


def _nearest(name: str) -> str:
    """Which config of a package may be meant, for a message."""
    package, mark, inner = name.partition('::')
    if not mark:
        return ''
    folder = locate_config(f'{package}::')
    known = {file.relative_to(folder).as_posix() for file in folder.rglob('*.py')}
    shipped = sorted(each for each in known if not each.startswith('_base_'))
    longer = [each for each in shipped if each.startswith(inner.removesuffix('.py'))]
    close = longer or difflib.get_close_matches(inner, shipped, n=1)
    return f'; did you mean {package}::{close[0]}?' if close else ''


def _import_modules(config: Config, path: str) -> None:
    """Import what ``custom_imports`` lists.

    Raises:
        InputError: naming the package that is missing.
    """
    wanted = config.get('custom_imports')
    if not wanted:
        return
    try:
        import_modules_from_strings(**wanted)
    except ImportError as error:
        message = missing_import(error, wanted.get('imports'))
        raise InputError(f'config {path}: {message}') from error


def locate_config(name: str) -> Path:
    """The file of a config; ``package::path`` is below the configs that a package ships.

    Raises:
        InputError: there is no such package.
    """
    package, mark, inner = name.partition('::')
    if not mark:
        return Path(name)
    if package == 'mmext':
        return shipped_folder('configs') / inner
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f'config {name}: no package {package!r} is installed')
    return Path(spec.submodule_search_locations[0], '.mim', 'configs', inner)


def config_name(name: str) -> str:
    """What a config is called in folders and texts.

    >>> config_name('configs/upsnet.py'), config_name('mmext::upsnet.py')
    ('upsnet', 'upsnet')
    """
    return Path(name.partition('::')[2] or name).stem


def apply_run_arguments(config: Config, arguments: argparse.Namespace) -> None:
    """Apply the flags of :func:`mmext.cli.arguments.add_run_arguments`.

    Raises:
        InputError: a value is wrong, or a loop lacks one of its parts.
    """
    default = config.get('work_dir') or str(Path('work_dirs') / config_name(arguments.config))
    config.work_dir = arguments.work_dir or default
    config.launcher = arguments.launcher
    add_guards(config)
    if arguments.mlflow is not None:
        set_mlflow(config, arguments.mlflow)
    if arguments.precision is not None:
        set_precision(config, arguments.precision)
    if arguments.seed is not None:
        config.randomness = {**(config.get('randomness') or {}), 'seed': arguments.seed}
    check_values(config)
    check_loops(config)


def add_guards(config: Config) -> None:
    """Let every run look after its data, workers and weights, unless a hook is set to None."""
    _add_hooks(config, _GUARDS)


def add_resuming(config: Config) -> None:
    """Let every training say what it waits for and, killed and resumed, end as if it was not."""
    _add_hooks(config, _OF_TRAININGS)


def _add_hooks(config: Config, kinds: Mapping[str, Sequence[str]]) -> None:
    """Add default hooks, each unless the config has it or says None in its place."""
    hooks = config.get('default_hooks')
    if hooks is None:
        hooks = config.default_hooks = ConfigDict()
    present = [*hooks.values(), *(config.get('custom_hooks') or ())]
    for name, names in kinds.items():
        is_off = name in hooks and hooks[name] is None
        if not is_off and not any(_is_of(hook, kind) for hook in present for kind in names):
            hooks[name] = ConfigDict(type=f'mmext.{names[0]}')


def set_mlflow(config: Config, target: str) -> None:
    """Point MLflow logging at a tracking URI; ``'off'`` removes it, wherever the config has it."""
    if target == 'off':
        hooks = config.setdefault('default_hooks', ConfigDict())
        for name in [name for name, hook in hooks.items() if _is_of(hook, 'MLflowHook')]:
            del hooks[name]
        if config.get('custom_hooks'):
            kept = [hook for hook in config.custom_hooks if not _is_of(hook, 'MLflowHook')]
            config.custom_hooks = kept
    else:
        _hook(config, 'mlflow', 'MLflowHook').tracking_uri = target


def set_precision(config: Config, precision: str) -> None:
    """Run in 'fp32', 'bf16', 'fp16' or 'auto', whatever the config says.

    mmengine's own ``AmpOptimWrapper`` is turned into a plain one: it does not start without a GPU.
    Of several optimizers, each wrapper is.
    """
    hook = _hook(config, 'precision', 'MixedPrecisionHook', 'Fp16Hook')
    hook.precision = precision
    for _, wrapper in walk(config.get('optim_wrapper') or {}):
        if _is_of(wrapper, 'AmpOptimWrapper'):
            wrapper['type'] = 'OptimWrapper'
            wrapper.pop('dtype', None)
            hook.setdefault('loss_scale', wrapper.pop('loss_scale', 'dynamic'))
        elif _is_of(wrapper, 'PrecisionOptimWrapper'):
            wrapper['precision'] = precision


def _hook(config: Config, name: str, kind: str, *other_kinds: str) -> ConfigDict:
    """The config's hook of a class of ours, under whatever name; a new default hook if none."""
    hooks = config.setdefault('default_hooks', ConfigDict())
    for hook in [*hooks.values(), *(config.get('custom_hooks') or ())]:
        if any(_is_of(hook, each) for each in (kind, *other_kinds)):
            return hook
    hooks[name] = ConfigDict(type=f'mmext.{kind}')
    return hooks[name]


def _is_of(part: Any, kind: str) -> bool:
    """Whether a part of a config is of a class, named with or without its scope or module."""
    named = part.get('type') if isinstance(part, Mapping) else None
    return kind == (getattr(named, '__name__', None) or str(named).rpartition('.')[2])


def use_test_time_augmentation(config: Config) -> None:
    """Test with the config's ``tta_model`` around the model, on images by its ``tta_pipeline``.

    Raises:
        InputError: the config has no such parts.
    """
    missing = [key for key in ('tta_model', 'tta_pipeline') if not config.get(key)]
    if missing:
        raise InputError(f'--tta: the config has no {" and no ".join(missing)}')
    config.model = ConfigDict(config.tta_model, module=config.model)
    dataset = config.test_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    dataset.pipeline = config.tta_pipeline


def remove_pretrained(config: Config) -> None:
    """Start from random weights: drop ``load_from`` and every pretrained ``init_cfg``."""
    config.load_from = None
    for _, part in walk(config.get('model', {})):
        initialisers = part.get('init_cfg')
        if isinstance(initialisers, dict) and initialisers.get('type') == 'Pretrained':
            part['init_cfg'] = None
        elif isinstance(initialisers, list):
            part['init_cfg'] = [item for item in initialisers if item.get('type') != 'Pretrained']


def thaw_pretrained(config: Config) -> list[str]:
    """Let the parts that pretrained weights were meant for learn as a whole.

    Layers and BatchNorm statistics that a config freezes stay as they are loaded. Random ones
    must not stay: activations grow from layer to layer, and losses are infinite within a few steps.

    Returns:
        What was changed, as ``key=value``.
    """
    changed = []
    for key, part in walk(config.get('model', {}), 'model'):
        initialiser = part.get('init_cfg')
        if not (isinstance(initialiser, dict) and initialiser.get('type') == 'Pretrained'):
            continue
        norm = part.get('norm_cfg') or {}
        for owner, name, thawed in (
            (part, 'frozen_stages', -1),
            (part, 'norm_eval', False),
            (norm, 'requires_grad', True),
        ):
            if name in owner and owner[name] != thawed:
                owner[name] = thawed
                place = f'{key}.norm_cfg' if owner is norm else key
                changed.append(f'{place}.{name}={thawed}')
    return changed


def check_option_keys(config: Config, options: Mapping[str, Any]) -> None:
    """Refuse an option whose name is most likely a misspelling.

    mmengine takes any new key. New keys are legitimate, so a name is refused only where the
    config has a very similar one at the same place.

    Raises:
        InputError: naming the key that was probably meant.
    """
    for option in options:
        node: Any = config
        keys = option.split('.')
        for depth, key in enumerate(keys):
            if isinstance(node, list) and key.isdigit() and int(key) < len(node):
                node = node[int(key)]
            elif isinstance(node, Mapping | Config) and key in node:
                node = node[key]
            else:
                known = list(node.keys()) if isinstance(node, Mapping | Config) else []
                close = difflib.get_close_matches(key, known, n=1, cutoff=_TYPO_SIMILARITY)
                if close:
                    meant = '.'.join([*keys[:depth], *close, *keys[depth + 1 :]])
                    raise InputError(
                        f'--cfg-options {option}: the config has no such key; did you mean '
                        f'{meant}? (a new key of this name can be set in a config file)'
                    )
                break


def rebase_data_root(config: Config, data_root: str) -> None:
    """Replace the prefix ``config.data_root`` of every string in the config."""
    old = config.data_root.rstrip('/') + '/'
    new = data_root.rstrip('/') + '/'

    def moved(value: Any) -> Any:
        if isinstance(value, str) and (value + '/').startswith(old):
            return new + value[len(old) :]
        if isinstance(value, dict):
            return type(value)({key: moved(item) for key, item in value.items()})
        if isinstance(value, list | tuple):
            return type(value)(moved(item) for item in value)
        return value

    for key, value in list(config.items()):
        config[key] = moved(value)


def walk(node: Any, path: str = '') -> Iterator[tuple[str, dict[str, Any]]]:
    """Every dict in a nested structure of dicts and lists, with its dotted path."""
    if isinstance(node, dict):
        yield path, node
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in list(items):
        if isinstance(value, dict | list | tuple):
            yield from walk(value, f'{path}.{key}' if path else str(key))


def _reason(error: Exception) -> str:
    """The error on one line, with the place in the config that raised it."""
    calls = traceback.extract_tb(error.__traceback__)
    places = [f' ({c.filename}, line {c.lineno})' for c in calls if c.name == '<module>']
    words = words_of(error)
    place = ''.join(place for place in places[-1:] if place not in words)
    return f'{type(error).__name__}: {words}{place}'
