"""Programs that get spoiled files and odd values.

Each ends with code 0, or with code 2 and one line; within a limit, without a traceback, and
without running what a file holds.
"""

import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config

from soaking.accounts import Finding
from soaking.disturbed_trainings import faults_of
from soaking.programs import Nursery
from soaking.spoiling import spoil_bytes, spoil_json, spoil_tree

_LIMIT_S = 150.0
_MARK = 'run-by-a-file'
# what makes a training long by right, or its machine swap
_LEFT_ALONE = re.compile(
    r'^(train_cfg|randomness|env_cfg|.*\.(num_workers|prefetch_factor|batch_size|scale|size|'
    r'max_\w+|times|num_\w+|\w*channels|interval|\w*timeout\w*))\b'
)


class Fodder(NamedTuple):
    """Whole files, of which trials spoil copies.

    Attributes:
        data: the data set.
        config: of a UPSNet on it.
        checkpoint: of two iterations.
        results: panoptic results of its validation images, as ``infer`` writes them.
    """

    data: Path
    config: Path
    checkpoint: Path
    results: Path


Case = tuple[str, list[object]]  # a tool and its arguments


class HostileText:
    """Makes a folder when it is read as a pickle."""

    def __reduce__(self) -> Any:
        return os.mkdir, (_MARK,)


def misfeed(
    spoil: Callable[[Fodder, Path, random.Random], Case],
) -> Callable[[Fodder, Nursery, Path, random.Random], Finding]:
    """A kind of trials: ``spoil`` writes into a folder and returns what is to be run there."""

    def run(fodder: Fodder, nursery: Nursery, folder: Path, rng: random.Random) -> Finding:
        tool, arguments = spoil(fodder, folder, rng)
        program = nursery.start(folder, tool, *arguments)
        program.end(_LIMIT_S)
        (folder / 'command.txt').write_text(' '.join(program.argv))
        finding = Finding()
        finding.add(faults_of(program, (0, 2)))
        errors = len(re.findall(r'^(?:error|\S+\.py: error): ', program.output, re.MULTILINE))
        if program.code == 2 and errors != 1:
            finding.add({'wrong': [f'{program.log}: {errors} lines say what is wrong']})
        if (folder / _MARK).exists():
            finding.add({'wrong': [f'{program.log}: the code in a file was run']})
        return finding

    return run


def spoiled_checkpoint(fodder: Fodder, folder: Path, rng: random.Random) -> Case:
    """A checkpoint whose bytes or one of whose entries is wrong, given to any program."""
    spoiled = folder / 'spoiled.pth'
    if rng.random() < 0.4:
        spoiled.write_bytes(spoil_bytes(fodder.checkpoint.read_bytes(), rng))
    else:
        content = torch.load(fodder.checkpoint, map_location='cpu', weights_only=False)
        if rng.random() < 0.1:
            content['meta']['note'] = HostileText()
            what = 'code'
        elif rng.random() < 0.3:
            content['meta'], what = spoil_tree(content['meta'], rng)
        else:
            content, what = spoil_tree({**content}, rng)
        (folder / 'what.txt').write_text(what)
        torch.save(content, spoiled)
    return _on_checkpoint(fodder, folder, spoiled, rng)


def _on_checkpoint(fodder: Fodder, folder: Path, file: Path, rng: random.Random) -> Case:
    photo = next((fodder.data / 'val2017').iterdir())
    load = [f'load_from={file}', 'train_cfg.max_iters=1']
    ways: list[Case] = [
        ('test', [fodder.config, file, '--work-dir', folder / 'w', '--mlflow', 'off']),
        ('infer', [photo, '--checkpoint', file, '--out', folder / 'o']),
        ('infer', [photo, '--checkpoint', file, '--config', fodder.config, '--out', folder / 'o']),
        ('train', [*_training(fodder, folder), '--resume', file]),
        ('train', [*_training(fodder, folder), '--cfg-options', *load]),
        ('check_data', [fodder.config, '--checkpoint', file, '--samples', 0, '--no-photos']),
        ('mlflow_model', [file, '--tracking-uri', f'sqlite:///{folder}/x.db']),
        ('convert_checkpoint', ['upsnet', file, '--config', fodder.config, '--out',
                                folder / 'c.pth']),
    ]  # fmt: skip
    return rng.choice(ways)


def _training(fodder: Fodder, folder: Path) -> list[object]:
    return [fodder.config, '--work-dir', folder / 'w', '--mlflow', 'off']


def spoiled_annotations(fodder: Fodder, folder: Path, rng: random.Random) -> Case:
    """An annotation file that is wrong in its bytes or in one value."""
    copied = _copy_of_data(fodder, folder)
    files = sorted((copied / 'annotations').glob('*.json'))
    (folder / 'what.txt').write_text(spoil_json(rng.choice(files), rng))
    return _on_data(fodder, folder, copied, rng)


def spoiled_pictures(fodder: Fodder, folder: Path, rng: random.Random) -> Case:
    """A photo, a panoptic PNG or a video that is none any more."""
    copied = _copy_of_data(fodder, folder)
    kind = rng.choice(('*/*.jpg', '*/*/*.png', '*.avi'))
    file = rng.choice(sorted(copied.glob(kind)))
    file.write_bytes(spoil_bytes(file.read_bytes(), rng))
    (folder / 'what.txt').write_text(str(file))
    source = file if file.suffix == '.avi' or rng.random() < 0.3 else file.parent
    if kind != '*/*/*.png' and (file.suffix == '.avi' or rng.random() < 0.5):
        return 'infer', [source, '--checkpoint', fodder.checkpoint, '--out', folder / 'o']
    return _on_data(fodder, folder, copied, rng)


def _copy_of_data(fodder: Fodder, folder: Path) -> Path:
    copied = folder / 'data'
    shutil.copytree(fodder.data, copied)
    return copied


def _on_data(fodder: Fodder, folder: Path, data: Path, rng: random.Random) -> Case:
    options = ['--cfg-options', f'data_root={data}/']
    truth = data / 'annotations' / 'panoptic_val2017.json'
    ways: list[Case] = [
        ('train', [*_training(fodder, folder), *options]),
        ('train', [*_training(fodder, folder), *options]),
        ('test', [*(fodder.config, fodder.checkpoint, '--work-dir', folder / 'w'),
                  *('--mlflow', 'off', *options)]),
        ('check_data', [fodder.config, '--out', folder / 'report', *options]),
        ('evaluate_panoptic', [fodder.results, '--truth', truth, '--out', folder / 'e.json']),
    ]  # fmt: skip
    return rng.choice(ways)


def spoiled_results(fodder: Fodder, folder: Path, rng: random.Random) -> Case:
    """Results that are wrong, given to the evaluation."""
    results = folder / fodder.results.name
    shutil.copytree(fodder.results.with_suffix(''), results.with_suffix(''))
    shutil.copy(fodder.results, results)
    pictures = sorted(results.with_suffix('').iterdir())
    if rng.random() < 0.2 and pictures:
        file = rng.choice(pictures)
        file.write_bytes(spoil_bytes(file.read_bytes(), rng))
    else:
        (folder / 'what.txt').write_text(spoil_json(results, rng))
    truth = fodder.data / 'annotations' / 'panoptic_val2017.json'
    return 'evaluate_panoptic', [results, '--truth', truth, '--classwise']


def odd_value(fodder: Fodder, folder: Path, rng: random.Random) -> Case:
    """A config in which one value is odd."""
    tree = dict(Config.fromfile(fodder.config).to_dict())
    while True:
        spoiled, what = spoil_tree(tree, rng)
        if not _LEFT_ALONE.match(what):
            break
    (folder / 'what.txt').write_text(what)
    spoiled['train_cfg'] = {**tree['train_cfg'], 'max_iters': 1}
    config = folder / 'odd.py'
    lines = [f'{key} = {_code(value)}' for key, value in spoiled.items() if str(key).isidentifier()]
    config.write_text('\n'.join(lines).replace('\0', ''))
    work = ['--work-dir', folder / 'w', '--mlflow', 'off']
    if rng.random() < 0.7:
        return 'train', [config, *work]
    return 'test', [config, fodder.checkpoint, *work]


def _code(value: Any) -> str:
    """A value as Python; NaN and infinity have no literal."""
    return re.sub(r"(?<![\w'])(nan|inf)(?![\w'])", r"float('\1')", repr(value))


def spoiled_work_folder(fodder: Fodder, folder: Path, rng: random.Random) -> Case:
    """A work folder to resume in, in which something is wrong."""
    work = folder / 'w'
    shutil.copytree(fodder.checkpoint.parent, work)
    (work / 'last_checkpoint').write_text(str(work / fodder.checkpoint.name))
    files = [work / 'last_checkpoint', *sorted(work.glob('*.pth'))]
    files += [file for file in work.rglob('*.json*') if file.is_file()]
    for file in rng.sample(files, rng.randint(1, min(2, len(files)))):
        if rng.random() < 0.3:
            file.unlink()
            if rng.random() < 0.5:
                file.mkdir()
        else:
            file.write_bytes(spoil_bytes(file.read_bytes(), rng))
    if rng.random() < 0.4:
        return 'mlflow_replay', [work]
    options = ['--cfg-options', 'train_cfg.max_iters=3']
    return 'train', [fodder.config, '--work-dir', work, '--resume', *options]


KINDS = {
    'checkpoints': misfeed(spoiled_checkpoint),
    'annotations': misfeed(spoiled_annotations),
    'pictures': misfeed(spoiled_pictures),
    'results': misfeed(spoiled_results),
    'values': misfeed(odd_value),
    'work folders': misfeed(spoiled_work_folder),
}
