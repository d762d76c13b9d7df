"""From which checkpoint a training goes on."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmext.errors import InputError
from mmext.inference.checkpoints import load_checkpoint

_NUMBER = re.compile(r'(\d+)$')
_NEEDED = ('meta', 'message_hub')  # of what mmengine resumes


def checkpoint_to_resume(work_dir: str, named: str | None = None) -> tuple[str | None, str]:
    """The checkpoint a training goes on from, and what is to be said about it.

    Args:
        work_dir: of the training; its ``last_checkpoint`` names one.
        named: by the user; None takes the recorded one.

    Returns:
        The path, which is None if there is no checkpoint, and one line if it is not the one that
        was named or recorded, else ``''``.

    Raises:
        InputError: the one that the user named does not exist or holds weights alone, or none
            that is there can be resumed.
    """
    wanted = recorded_checkpoint(work_dir) if named is None else Path(named).expanduser()
    if named is not None and '://' in named:
        return named, ''
    obstacle = 'no checkpoint is recorded' if wanted is None else obstacle_to_resume(wanted)
    if not obstacle:
        return str(wanted), ''
    folders = [Path(work_dir)] if wanted is None else [wanted.parent, Path(work_dir)]
    whole = next(whole_checkpoints(folders, without=wanted), None)
    if named is not None and wanted is not None and not wanted.is_file():
        hint = f'; {whole} is whole' if whole else ''
        raise InputError(f'checkpoint not found: {wanted.absolute()}{hint}')
    if whole is not None:
        where = f'{work_dir}/last_checkpoint' if wanted is None else str(wanted)
        return str(whole), f'--resume: {where}: {obstacle}; the training goes on from {whole}'
    if wanted is None:
        return None, ''
    raise InputError(f'checkpoint {wanted} cannot be resumed: {obstacle}; none beside it can')


def recorded_checkpoint(work_dir: str) -> Path | None:
    """The checkpoint that ``last_checkpoint`` names; None when it names none.

    The record holds an absolute path; a work directory that was moved or copied is searched
    for the file name.
    """
    record = Path(work_dir, 'last_checkpoint')
    text = record.read_text('utf-8', 'replace').strip() if record.is_file() else ''
    if not text or '\0' in text:
        return None
    recorded = Path(text)
    beside = Path(work_dir, recorded.name)
    return recorded if recorded.is_file() or not beside.is_file() else beside


def obstacle_to_resume(path: Path) -> str:
    """Why a training cannot go on from a file, ``''`` if it can.

    Raises:
        InputError: the file holds more than data.
    """
    checkpoint, obstacle = _read(path)
    return obstacle or missing_for_resume(checkpoint)


def _read(path: Path) -> tuple[dict[str, Any], str]:
    """The checkpoint, or why there is none."""
    from mmext.host_repairs.checkpoint_reading import RefusedCheckpointError

    if not path.is_file():
        return {}, 'it does not exist'
    try:
        return load_checkpoint(str(path)), ''
    except RefusedCheckpointError:
        raise
    except InputError as error:
        return {}, str(error).removeprefix(f'checkpoint {path} ')


def missing_for_resume(checkpoint: Mapping[str, Any]) -> str:
    """What a checkpoint lacks of what mmengine resumes, ``''`` if nothing."""
    lacking = [name for name in _NEEDED if not isinstance(checkpoint.get(name), Mapping)]
    meta = checkpoint.get('meta')
    if isinstance(meta, Mapping):
        numbers = {'seed': 0, **meta}  # of which the seed may be missing
        numbers['seed'] = numbers['seed'] or 0
        keys = ('epoch', 'iter', 'seed')
        lacking += [f'meta.{key}' for key in keys if not _is_count(numbers.get(key))]
    if not lacking:
        return ''
    return (
        f'it has no {", ".join(lacking)}: only a checkpoint of a training can be resumed; to start '
        'from its weights, pass --cfg-options load_from=FILE'
    )


def whole_checkpoints(folders: list[Path], without: Path | None) -> Iterator[Path]:
    """The checkpoints of a training that can be resumed, latest first.

    Those without the optimizer's state, as mmengine's best ones, come last.

    Args:
        folders: searched in this order.
        without: one that is known to be damaged.
    """
    bare = []
    for folder in folders:
        files = [file for file in folder.glob('*.pth') if file != without]
        for file in sorted(files, key=_lateness, reverse=True):
            checkpoint, obstacle = _read(file)
            if obstacle or missing_for_resume(checkpoint):
                continue
            if 'optimizer' in checkpoint:
                yield file
            else:
                bare.append(file)
    yield from bare


def _lateness(file: Path) -> tuple[int, float]:
    """The epoch or iteration that ends the name; the time of files without."""
    number = _NUMBER.search(file.stem)
    return (int(number.group()) if number else -1, file.stat().st_mtime)


def beyond_the_end(checkpoint: Mapping[str, Any], train_cfg: Mapping[str, Any]) -> str:
    """Why nothing is left to train of a longer training than the config's, ``''`` if all is well.

    Args:
        checkpoint: one that :func:`missing_for_resume` finds whole.
        train_cfg: of the config.
    """
    for key, unit in (('epoch', 'max_epochs'), ('iter', 'max_iters')):
        most = train_cfg.get(unit)
        done = checkpoint['meta'][key]
        if isinstance(most, int) and done > most:
            return f'it has done {done} {unit[4:]}, and the config ends at {unit}={most}'
    return ''


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and value >= 0
