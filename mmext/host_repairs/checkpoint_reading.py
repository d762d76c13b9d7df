"""Checkpoints read as data: no code in a file is run.

Host: ``mmengine.runner.checkpoint._safe_torch_load`` and ``load_url``, through which every load of
mmengine and mmdet goes: ``load_from``, a resumed training, pretrained weights of a model, files
from the network.
Fault: what torch refuses to read as data is read again as a pickle, which runs the code in it. A
file from the network is read so at once. ``Runner.resume`` runs ``meta.config``, a text of Python.
Nothing looks at the checksums that torch writes into each file, so a damaged weight is trained on.
Repair: torch reads data and the classes of :func:`saved_classes`, which trainings write, alone;
everything else is a :class:`RefusedCheckpointError`. ``meta.config`` is left out. The checksums are
compared.
"""

import collections
import functools
import hashlib
import importlib
import os
import pickle
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from mmengine.runner import checkpoint as host
from torch.hub import tqdm  # type: ignore[attr-defined]

from mmext.downloads import download
from mmext.errors import InputError

# names under which NumPy 1 and NumPy 2 write the two functions that rebuild arrays and scalars
_NUMPY_MODULES = ('numpy.core.multiarray', 'numpy._core.multiarray')
# functions of classes, which pickle looks up by `getattr`
_METHODS: dict[type, tuple[str, ...]] = {
    HistoryBuffer: ('min', 'max', 'mean', 'current'),
    OneCycleParamScheduler: ('_annealing_cos', '_annealing_linear'),
}
_BUILTINS = (set, frozenset, slice, complex, range, list, tuple, dict, int, float, bool, str)
# torch's words for a name it does not look up, and for an object it does not make or fill
_NAMED_CLASS = re.compile(r"(?:GLOBAL |but got <class '|function |class )([\w.]+)")
# as publishers of weights end their names: resnet50-0676ba61.pth
_HASH_IN_NAME = re.compile(r'-([0-9a-f]{8,64})\.(?:pth|pt)$')
_trusted = False


class RefusedCheckpointError(InputError):
    """A checkpoint holds what is no data; the message names the class, the file and the way out."""


def trust_checkpoints(trusted: bool) -> None:
    """Let checkpoints run code from now on, or not, in this process; ``--trust-checkpoint``."""
    global _trusted
    _trusted = trusted


def repair() -> None:
    """Let mmengine read by :func:`read_checkpoint` wherever it reads a checkpoint."""
    host._safe_torch_load = read_checkpoint
    host.load_url = _read_url


def read_checkpoint(file: Any, map_location: Any = None, weights_only: bool | None = None) -> Any:
    """Read a file of ``torch.save`` as data.

    Args:
        file: path, or binary stream.
        map_location: as of ``torch.load``.
        weights_only: ignored, mmengine's signature.

    Returns:
        What was saved.

    Raises:
        RefusedCheckpointError: it holds more than data, and :func:`trust_checkpoints` is not on.
        pickle.UnpicklingError: it is damaged, or was not saved by torch.
    """
    del weights_only
    if isinstance(file, str | os.PathLike):
        check_sums(file)
    source = file if isinstance(file, str | os.PathLike) else 'from a stream'
    with _data_alone(source):
        found = torch.load(file, map_location=map_location, weights_only=not _trusted)
    return _without_code(found)


def check_sums(file: str | os.PathLike[str]) -> None:
    """Compare the content of a checkpoint with the checksums that torch has written into it.

    Files of torch before 1.6 have none, nor have those that were saved without.

    Raises:
        pickle.UnpicklingError: one differs: naming the part of the file.
    """
    status = os.stat(file)
    _check_sums(os.fspath(file), status.st_ino, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _check_sums(file: str, inode: int, size: int, mtime_ns: int) -> None:
    if not zipfile.is_zipfile(file):
        return
    try:
        with zipfile.ZipFile(file) as archive:
            summed = any(
                item.CRC for item in archive.infolist()
            )  # torch can be told to sum nothing
            damaged = archive.testzip() if summed else None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise pickle.UnpicklingError(f'bytes of the file have changed: {error}') from error
    if damaged is not None:
        raise pickle.UnpicklingError(
            f'bytes of the file have changed: the checksum of {damaged} differs'
        )


def saved_classes() -> list[Any]:
    """The classes and functions beside torch's own that checkpoints of trainings are made of.

    Names of data all of them: no call of one, with whatever arguments, does more than make a
    value.
    """
    numeric = [
        getattr(np.dtypes, name) for name in np.dtypes.__all__ if name != 'ObjectDType'
    ]  # of arrays and scalars; those of objects are no data
    multiarray = importlib.import_module(_NUMPY_MODULES[1])
    numpy_functions = [
        (getattr(multiarray, name), f'{module}.{name}')
        for module in _NUMPY_MODULES
        for name in ('_reconstruct', 'scalar')
    ]
    ours = [HistoryBuffer, ConfigDict, (ConfigDict, 'mmengine.config.ConfigDict')]
    containers = [collections.OrderedDict, collections.Counter]
    return [
        *(np.ndarray, np.dtype, *numeric, *numpy_functions),
        *(*ours, *containers, *_BUILTINS),
        *(OneCycleParamScheduler, (_method, 'builtins.getattr')),
    ]


def _method(owner: Any, name: str) -> Callable[..., Any]:
    """``getattr`` for the functions that trainings save by name."""
    if not isinstance(owner, type) or name not in _METHODS.get(owner, ()):
        raise pickle.UnpicklingError(f'Unsupported global: GLOBAL builtins.getattr of {name}')
    return getattr(owner, name)


@contextmanager
def _data_alone(source: str | os.PathLike[str]) -> Iterator[None]:
    """Allow the saved classes, and make one line of torch's refusal of others."""
    try:
        with torch.serialization.safe_globals(saved_classes()):
            yield
    except pickle.UnpicklingError as error:
        text = str(error)
        named = _NAMED_CLASS.search(text)
        if named is None and 'Trying to' not in text and 'Can only' not in text:
            raise pickle.UnpicklingError('it was not written by torch.save') from error
        what = named.group(1) if named else 'more than data'
        raise RefusedCheckpointError(
            f'checkpoint {source} is not read: it holds {what}, which is no data and may run '
            'code. If you trust whoever made the file, pass --trust-checkpoint'
        ) from error


def _without_code(found: Any) -> Any:
    """The checkpoint without ``meta.config``, which mmengine runs as Python to resume."""
    meta = found.get('meta') if isinstance(found, dict) else None
    if isinstance(meta, dict) and not _trusted:
        meta.pop('config', None)
    return found


def _read_url(
    url: str, model_dir: str | None = None, map_location: Any = None, progress: bool = True
) -> Any:
    """``torch.hub.load_state_dict_from_url`` for data alone; a download goes on after a break."""
    folder = Path(model_dir or Path(torch.hub.get_dir(), 'checkpoints'))
    file = folder / Path(urlparse(url).path).name
    if not file.is_file():
        _download(url, file, progress)
    check_sums(file)
    with _data_alone(url):
        found = torch.hub.load_state_dict_from_url(  # it is there: nothing is asked for
            url, str(folder), map_location, progress, weights_only=not _trusted
        )
    return _without_code(found)


def _download(url: str, file: Path, progress: bool) -> None:
    """Fetch a file of weights and compare it with the checksum in its name, if there is one.

    Raises:
        OSError: it cannot be had.
        pickle.UnpicklingError: it is another file than its publisher's.
    """
    arriving = file.with_name(f'{file.name}.unchecked')
    try:
        with tqdm(unit='B', unit_scale=True, desc=file.name, disable=not progress) as bar:
            download(url, arriving, bar.update, pause_s=0.5)
    except InputError as error:
        raise OSError(str(error)) from error
    named = _HASH_IN_NAME.search(file.name)
    with arriving.open('rb') as content:
        digest = hashlib.file_digest(content, 'sha256').hexdigest()
    if named and not digest.startswith(named.group(1)) and not _trusted:
        arriving.unlink()
        raise pickle.UnpicklingError(
            f'its SHA-256 begins with {digest[:8]}, not with the {named.group(1)} of its name; if '
            'you trust whoever made the file, pass --trust-checkpoint'
        )
    arriving.replace(file)
