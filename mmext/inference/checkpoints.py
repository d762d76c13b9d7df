"""Weights: do they exist, load, and belong to the model?

mmengine loads without comparing: a checkpoint of another model leaves every weight random and a
warning of hundreds of keys. Here it is an error that fits on one line.
"""

import functools
import logging
import socket
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mmengine
from mmengine.config import Config
from mmengine.logging import print_log

from mmext.configuration import walk
from mmext.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import nn

_DOWNLOAD_TIMEOUT_S = 30.0
_TORCHVISION = ('torchvision://', 'modelzoo://')  # the second is mmengine's old name of the first
_NAMED_KEYS = 3  # keys named in a message
_WRAPPERS = ('state_dict', 'model')  # of the weights among other entries; the second others use


def check_exists(path: str) -> None:
    """Check that a checkpoint is a file, or a URL, without loading it.

    Raises:
        InputError: it is neither.
    """
    if '://' not in path and not Path(path).expanduser().is_file():
        raise InputError(f'checkpoint not found: {Path(path).expanduser().absolute()}')


def load_checkpoint(path: str) -> dict[str, Any]:
    """Load a checkpoint file, or a URL that mmengine knows, to the CPU, as data.

    Returns:
        The checkpoint, a dict with at least ``state_dict``; a file that is a state dict itself
        (``{name: tensor}``) or calls it ``model`` is wrapped into one.

    Raises:
        InputError: the file is missing, unreadable, damaged or no checkpoint, or it holds code.
    """
    check_exists(path)
    try:
        checkpoint = _load(path)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f'checkpoint {path} cannot be loaded: it is truncated, damaged or no PyTorch '
            f'checkpoint ({_first_line(error)})'
        ) from error
    if not isinstance(checkpoint, dict):
        raise InputError(
            f'checkpoint {path} holds a {type(checkpoint).__name__}; expected a dict of weights'
        )
    wrapper = next((w for w in _WRAPPERS if isinstance(checkpoint.get(w), Mapping)), None)
    if wrapper is None:
        checkpoint = {'state_dict': checkpoint}
    elif wrapper != 'state_dict':
        checkpoint = {**checkpoint, 'state_dict': checkpoint[wrapper]}
    if not any(hasattr(item, 'shape') for item in checkpoint['state_dict'].values()):
        entries = ', '.join(map(str, checkpoint['state_dict']))
        raise InputError(f'checkpoint {path} holds no weights; its entries are {entries}')
    for name, item in checkpoint['state_dict'].items():
        if strange := _strangeness(name, item):
            raise InputError(
                f'checkpoint {path} cannot be loaded: its entry {name!r} {strange}; expected the '
                'name of a weight and its numbers'
            )
    return checkpoint


def _strangeness(name: Any, item: Any) -> str:
    """What no model has in an entry of a state dict, ``''`` if there is nothing."""
    if not isinstance(name, str):
        return 'is named by no text'
    if not hasattr(item, 'is_complex'):  # numbers, and what modules keep beside their tensors
        return ''
    if item.is_meta:
        return 'has a shape and no numbers'
    if item.is_complex() or item.is_quantized or str(item.layout) != 'torch.strided':
        return f'is of {item.dtype} and {item.layout}'
    return ''


def check_finite(checkpoint: Mapping[str, Any], path: str, resumes: bool) -> None:
    """Look for values that are not finite, which no training mends.

    Args:
        checkpoint: as from :func:`load_checkpoint`.
        path: where it came from, for the message.
        resumes: a training goes on from it: they are an error, also in the optimizer's state.
            Otherwise they are a warning.

    Raises:
        InputError: with the number of tensors and the first few names.
    """
    tensors = list(_floating_tensors(checkpoint['state_dict']))
    if resumes:
        tensors += _floating_tensors(checkpoint.get('optimizer', {}), 'optimizer')
    spoiled = [name for name, tensor in tensors if not tensor.isfinite().all()]
    if not spoiled:
        return
    text = (
        f'checkpoint {path} holds NaN or infinite values: {len(spoiled)} of {len(tensors)} tensors'
        f' ({_some(spoiled)})'
    )
    if resumes:
        raise InputError(f'{text}. Go on from an earlier one: --resume FILE')
    print_log(text, 'current', logging.WARNING)


def _floating_tensors(node: Any, name: str = '') -> Iterator[tuple[str, 'torch.Tensor']]:
    """The floating-point tensors of nested dicts and lists, with their dotted names."""
    if isinstance(node, Mapping | list | tuple):
        items = node.items() if isinstance(node, Mapping) else enumerate(node)
        for key, item in items:
            yield from _floating_tensors(item, f'{name}.{key}' if name else str(key))
    elif hasattr(node, 'is_floating_point') and node.is_floating_point():
        yield name, node


def load_weights(
    model: 'nn.Module', checkpoint: Mapping[str, Any], path: str, allow_partial: bool = False
) -> None:
    """Load the weights of ``checkpoint`` into ``model``, in place, if they belong to it.

    They do when every parameter of the model is in the checkpoint with its shape: a parameter
    that is not would keep its random values. Additional keys and missing buffers are no error.

    Args:
        model: the model, unwrapped.
        checkpoint: as from :func:`load_checkpoint`.
        path: where it came from, for the message.
        allow_partial: load what fits; at least one parameter must.

    Raises:
        InputError: with the counts and the first few keys.
    """
    check_finite(checkpoint, path, resumes=False)
    weights = {key.removeprefix('module.'): item for key, item in checkpoint['state_dict'].items()}
    own = model.state_dict()
    misshapen = [
        key
        for key, item in weights.items()
        if key in own
        and getattr(item, 'shape', None) != getattr(own[key], 'shape', None)
        and not _takes_any_shape(own[key], item)
    ]
    fitting = OrderedDict((key, item) for key, item in weights.items() if key not in misshapen)
    # versions of the layers' key layouts, which their loading hooks read
    fitting._metadata = getattr(checkpoint['state_dict'], '_metadata', {})  # type: ignore[attr-defined]
    report = model.load_state_dict(fitting, strict=False)
    parameters = dict(model.named_parameters())
    absent = [key for key in report.missing_keys if key in parameters and key not in misshapen]
    misfits = [key for key in misshapen if key in parameters]
    found = len(parameters) - len(absent) - len(misfits)
    if found == 0 or not (allow_partial or not misshapen + absent):
        raise InputError(
            f'checkpoint {path} is of another model: {found} of the {len(parameters)} parameters '
            f'of {type(model).__name__} are in it{_naming("missing", absent)}'
            f'{_naming("of another shape", [_shapes(key, weights, own) for key in misshapen])}'
            f'{_naming("unknown to the model", report.unexpected_keys)}. '
            'Use the config it was trained with, or --allow-partial to load what fits'
        )


def _takes_any_shape(own: Any, item: Any) -> bool:
    """An empty buffer, as of made pictures, is filled by whatever a checkpoint holds."""
    return hasattr(item, 'shape') and hasattr(own, 'numel') and not own.numel()


def resolve_torchvision(config: Config) -> None:
    """Replace ``torchvision://NAME`` in the model by the address of the weights.

    mmengine looks the name up in its list of torchvision's weights, but imports torchvision
    before it does. The list has the first ImageNet weights of each network, whatever the version
    of torchvision: those that mmdet's published results began with. Names that are not in it,
    as those of later weights, stay.
    """
    for _, part in walk(config.get('model', {})):
        for key, value in part.items():
            if isinstance(value, str) and value.startswith(_TORCHVISION):
                part[key] = _torchvision_addresses().get(value.partition('://')[2]) or value


@functools.cache
def _torchvision_addresses() -> dict[str, str | None]:
    file = Path(mmengine.__file__).parent / 'hub' / 'torchvision_0.12.json'
    return dict(mmengine.load(file))


def check_pretrained(config: Config) -> None:
    """Load every pretrained ``init_cfg`` of the model once, so that a failure is one line.

    Files from the network arrive in the cache from which mmengine takes them later.

    Raises:
        InputError: naming the weights, the config key, and the ways out.
    """
    for key, part in walk(config.get('model', {}), 'model'):
        if part.get('type') == 'Pretrained' and 'checkpoint' in part:
            source = part['checkpoint']
            try:
                _load(source)
            except InputError as error:
                raise InputError(f'pretrained weights of {key}: {error}') from error
            except Exception as error:
                raise InputError(
                    f'pretrained weights {source!r} of {key} cannot be loaded: '
                    f'{_obstacle(source, error)}. Pass --no-pretrained to start from random '
                    f'weights, or name a local file: --cfg-options {key}.checkpoint=FILE'
                ) from error


def _load(source: str) -> Any:
    from mmengine.runner.checkpoint import CheckpointLoader

    from mmext.host_repairs import checkpoint_reading

    checkpoint_reading.repair()
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_DOWNLOAD_TIMEOUT_S)
    try:
        logger = 'silent' if Path(source).is_file() else 'current'  # a download is worth a line
        return CheckpointLoader.load_checkpoint(source, map_location='cpu', logger=logger)
    finally:
        socket.setdefaulttimeout(timeout)


def _obstacle(source: str, error: Exception) -> str:
    if isinstance(error, ImportError) and source.startswith(_TORCHVISION):
        return 'of this name no address is known without the package torchvision'
    if isinstance(error, ImportError):
        return f'{source.split(":")[0]}:// needs the package {error.name}, which is not installed'
    if isinstance(error, KeyError):
        return 'no weights of this name are known'
    if isinstance(error, FileNotFoundError):
        return f'{Path(source).expanduser().absolute()} does not exist'
    if isinstance(error, OSError) and '://' in source:
        return f'download failed ({_first_line(error)})'
    place = f' in {_cache_folder()}' if '://' in source else ''
    return f'damaged file{place} ({_first_line(error)})'


def _cache_folder() -> Path:
    import torch

    return Path(torch.hub.get_dir(), 'checkpoints')


def _naming(what: str, names: list[str]) -> str:
    if not names:
        return ''
    return f'; {len(names)} {what} ({_some(names)})'


def _some(names: list[str]) -> str:
    return ', '.join(names[:_NAMED_KEYS]) + (', ...' if len(names) > _NAMED_KEYS else '')


def _shapes(key: str, weights: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    given, wanted = (list(getattr(table[key], 'shape', ())) for table in (weights, own))
    return f'{key} {given} for {wanted}'


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
