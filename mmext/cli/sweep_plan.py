"""From the command line and the config of a sweep to what it does."""

import argparse
import difflib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmext.cli.arguments import OptionsAction
from mmext.configuration import config_name, load_config
from mmext.errors import InputError
from mmext.sweep.space import Values, ends_of, parse_search, parse_values, shuffled_grid
from mmext.sweep.studies import Judging
from mmext.sweep.sweep import Plan

_NAME = re.compile(r'[A-Za-z0-9_.-]+')
_DEFAULT_TRIALS = 20
_OF_CONFIG = ('search', 'metric', 'minimize', 'trials')


def plan_of(arguments: argparse.Namespace) -> Plan:
    """What a sweep does.

    Args:
        arguments: of ``tools/sweep.py``.

    Raises:
        InputError: a search of a key that the config does not have or of values that it cannot
            take; no metric; a name that is none.
    """
    config = load_config(arguments.config, _parsed(arguments.options))
    own = _own_settings(config)
    space = _space(arguments.search, own.get('search') or {})
    for key, values in space.items():
        _check_key(config, key)
        for value in ends_of(values):
            load_config(arguments.config, _parsed([*arguments.options, f'{key}={value}']))
    trials = arguments.trials or own.get('trials')
    if arguments.sampler == 'grid':
        size = len(shuffled_grid(space, arguments.seed))
        trials = min(trials or size, size)
    if arguments.name and not _NAME.fullmatch(arguments.name):
        raise InputError(f'--name {arguments.name}: expected letters, digits, ., - and _')
    judging = _judging(arguments, own, config)
    return Plan(
        config=arguments.config,
        space=space,
        judging=judging,
        trials=trials or _DEFAULT_TRIALS,
        work_dir=arguments.work_dir,
        flags=tuple(_flags(arguments)),
        options=tuple(arguments.options),
        added=tuple(_added_options(arguments.name, config, judging)),
        tracking_uri=tracking_uri(arguments, config),
        group=f'sweep_{arguments.name}',
    )


def tracking_uri(arguments: argparse.Namespace, config: Config) -> str:
    """The MLflow store of the trials: one for all of them; ``off`` where the config has it off."""
    hook = _mlflow_hook(config)
    if hook is None and _is_off(config):
        return arguments.mlflow or 'off'
    own = (hook or ('', {}))[1].get('tracking_uri')
    there = arguments.mlflow or own or os.environ.get('MLFLOW_TRACKING_URI')
    return there or f'sqlite:///{(arguments.work_dir / "mlflow.db").absolute()}'


def _own_settings(config: Config) -> Mapping[str, Any]:
    """What the config says under ``sweep``."""
    own = config.get('sweep') or {}
    if not isinstance(own, Mapping) or (strangers := set(own) - set(_OF_CONFIG)):
        found = sorted(strangers) if isinstance(own, Mapping) else own
        raise InputError(f'config, sweep: expected {", ".join(_OF_CONFIG)}, got {found}')
    return own


def _space(searches: Sequence[str], of_config: Mapping[str, Any]) -> dict[str, Values]:
    """Values by key; the command line replaces those of the config."""
    space = {str(key): parse_values(str(key), values) for key, values in of_config.items()}
    seen = set()
    for written in searches:
        key, values = parse_search(written)
        if key in seen:
            raise InputError(f'--search {key}: is there twice')
        seen.add(key)
        space[key] = values
    if not space:
        raise InputError(
            "nothing to search: --search 'optim_wrapper.optimizer.lr=1e-4:1e-2:log', or "
            'sweep = dict(search={...}) in the config'
        )
    return space


def _check_key(config: Config, key: str) -> None:
    node: Any = config
    parts = key.split('.')
    for depth, part in enumerate(parts):
        if isinstance(node, list | tuple) and part.isdigit() and int(part) < len(node):
            node = node[int(part)]
        elif isinstance(node, Mapping | Config) and part in node:
            node = node[part]
        else:
            known = [str(each) for each in node] if isinstance(node, Mapping | Config) else []
            close = difflib.get_close_matches(part, known, n=1, cutoff=0.6)
            meant = '.'.join([*parts[:depth], *close, *parts[depth + 1 :]])
            place = '.'.join(parts[:depth]) or 'the config'
            remedy = f'did you mean {meant}?' if close else f'{place} has {", ".join(known[:12])}'
            raise InputError(f'--search {key}: the config has no such key; {remedy}')


def _judging(arguments: argparse.Namespace, own: Mapping[str, Any], config: Config) -> Judging:
    checkpoints = (config.get('default_hooks') or {}).get('checkpoint') or {}
    best = checkpoints.get('save_best')
    best = best if isinstance(best, str) and best != 'auto' else None
    metric = arguments.metric or own.get('metric') or best
    if not metric:
        raise InputError(
            '--metric: name what is judged, as coco/bbox_mAP; the config names none '
            '(default_hooks.checkpoint.save_best)'
        )
    less = checkpoints.get('rule') == 'less' and metric == best
    return Judging(
        metric, bool(arguments.minimize or own.get('minimize') or less), arguments.pruner
    )


def _flags(arguments: argparse.Namespace) -> Iterator[str]:
    """Flags of ``mmext train``."""
    yield from ('--seed', str(arguments.seed))
    if arguments.precision:
        yield from ('--precision', arguments.precision)
    if arguments.no_pretrained:
        yield '--no-pretrained'
    if arguments.auto_scale_lr:
        yield '--auto-scale-lr'


def _added_options(name: str, config: Config, judging: Judging) -> Iterator[str]:
    """What is added to the config of every trial."""
    yield 'default_hooks.sweep_trial.type=mmext.SweepTrialHook'
    hooks = config.get('default_hooks') or {}
    if checkpoint := hooks.get('checkpoint'):
        if not checkpoint.get('save_best'):
            yield f'default_hooks.checkpoint.save_best={judging.metric}'
            yield f'default_hooks.checkpoint.rule={"less" if judging.minimize else "greater"}'
        if 'max_keep_ckpts' not in checkpoint:
            yield 'default_hooks.checkpoint.max_keep_ckpts=1'
    free = 'default_hooks.sweep_mlflow' if _is_off(config) else 'default_hooks.mlflow'
    place, hook = _mlflow_hook(config) or (free, None)
    if hook is None:
        yield f'{place}.type=mmext.MLflowHook'
        hook = {}
    defaults = dict(run_name='trial_{number}', checkpoints='none', model=False)
    yield f'{place}.parent=sweep_{name}'
    yield from (f'{place}.{key}={value}' for key, value in defaults.items() if key not in hook)


def _is_off(config: Config) -> bool:
    """Whether the config has None in the place of its MLflow hook."""
    return (config.get('default_hooks') or {}).get('mlflow', '') is None


def _mlflow_hook(config: Config) -> tuple[str, Mapping[str, Any]] | None:
    """Key and settings of the config's MLflow hook."""
    for group in ('default_hooks', 'custom_hooks'):
        hooks = config.get(group) or {}
        for key, hook in hooks.items() if isinstance(hooks, Mapping) else enumerate(hooks):
            if isinstance(hook, Mapping) and str(hook.get('type')).endswith('MLflowHook'):
                return f'{group}.{key}', hook
    return None


def _parsed(options: Sequence[str]) -> dict[str, Any]:
    """``KEY=VALUE`` texts as ``--cfg-options`` reads them."""
    parser = argparse.ArgumentParser(prog='mmext sweep')
    parser.add_argument('--cfg-options', nargs='+', action=OptionsAction, default={})
    found: dict[str, Any] = {}
    for option in options:
        found |= parser.parse_args(['--cfg-options', option]).cfg_options
    return found


def default_work_dir(config: str, name: str) -> Path:
    """Where the trials go."""
    return Path('work_dirs') / f'{config_name(config)}_{name}'
