"""Checkpoints are data: what trainings save is read, code is not run, changed bytes are found."""

import collections
import functools
import hashlib
import http.server
import os
import pickle
import random
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from mmengine.optim import OneCycleLR
from mmengine.runner.checkpoint import CheckpointLoader, load_from_http

from mmext.errors import InputError
from mmext.host_repairs import checkpoint_reading
from mmext.host_repairs.checkpoint_reading import (
    RefusedCheckpointError,
    read_checkpoint,
    trust_checkpoints,
)


class Hostile:
    """Makes a folder when it is read as a pickle."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.folder,)


class Attribute:
    """Takes an attribute of something when it is read as a pickle."""

    def __init__(self, owner: Any, name: str) -> None:
        self.arguments = owner, name

    def __reduce__(self) -> Any:
        return getattr, self.arguments


@pytest.fixture(autouse=True)
def _repaired() -> Iterator[None]:
    checkpoint_reading.repair()
    yield
    trust_checkpoints(False)


def saved(folder: Path, content: Any, name: str = 'x.pth') -> Path:
    """A file of torch.save."""
    torch.save(content, folder / name)
    return folder / name


def training_state() -> dict[str, Any]:
    """What trainings of mmengine save, in one dict."""
    scheduler = OneCycleLR(
        torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.1), eta_max=1.0, total_steps=9
    )
    return dict(
        meta=dict(
            cfg='a = 1\n',
            dataset_meta=dict(
                classes=('a', 'b'),
                palette=np.arange(6, dtype=np.uint8).reshape(2, 3),
                names=np.array(['a', 'bc']),
                sigmas=np.float32(0.5),
                flags={1, 2},
                frozen=frozenset({3}),
                nested=ConfigDict(x=dict(y=[1, 2])),
                order=collections.OrderedDict(a=1),
                counts=collections.Counter('aab'),
                numbers=(np.int64(3), np.bool_(True), 1 + 2j, slice(1, 2), None),
            ),
        ),
        state_dict=collections.OrderedDict(weight=torch.arange(3.0)),
        message_hub=dict(log_scalars=collections.OrderedDict(loss=HistoryBuffer([1.0], [1]))),
        statistics=Attribute(HistoryBuffer, 'mean'),
        param_schedulers=[scheduler.state_dict()],
    )


def test_states_of_trainings_are_data(tmp_path: Path) -> None:
    file = saved(tmp_path, training_state())
    found, reference = read_checkpoint(file), torch.load(file, weights_only=False)
    assert repr(found['meta']) == repr(reference['meta'])
    assert repr(found['param_schedulers']) == repr(reference['param_schedulers'])
    assert found['state_dict']['weight'].tolist() == [0, 1, 2]
    assert found['message_hub']['log_scalars']['loss'].mean() == 1
    assert found['statistics'] is HistoryBuffer.mean
    nested = found['meta']['dataset_meta']['nested']
    assert type(nested) is ConfigDict and nested.x.y == [1, 2]


def test_arrays_of_numpy_1_are_read(tmp_path: Path) -> None:
    """Its functions had another module."""
    file = saved(tmp_path, {'a': np.arange(3), 'b': np.float64(2)})
    old = tmp_path / 'old.pth'
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(old, 'w') as target:
        for item in source.namelist():
            content = source.read(item).replace(b'numpy._core.', b'numpy.core.')
            target.writestr(item, content)
    assert b'numpy.core.multiarray' in old.read_bytes()
    found = read_checkpoint(old)
    assert found['a'].tolist() == [0, 1, 2] and found['b'] == 2


@pytest.mark.parametrize('legacy', [False, True], ids=['zip', 'before torch 1.6'])
def test_code_is_refused_and_not_run(legacy: bool, tmp_path: Path) -> None:
    content = {'state_dict': {'w': torch.ones(1)}, 'meta': {'x': Hostile(tmp_path / 'run')}}
    file = tmp_path / 'x.pth'
    torch.save(content, file, _use_new_zipfile_serialization=not legacy)
    for read in (read_checkpoint, CheckpointLoader.load_checkpoint):
        with pytest.raises(RefusedCheckpointError) as raised:
            read(str(file))
        message = str(raised.value)
        assert 'mkdir' in message and str(file) in message and '--trust-checkpoint' in message
        assert '\n' not in message
    assert not (tmp_path / 'run').exists()


def test_trust_is_for_those_who_know(tmp_path: Path) -> None:
    file = saved(tmp_path, {'state_dict': {'w': torch.ones(1)}, 'x': Hostile(tmp_path / 'run')})
    trust_checkpoints(True)
    assert read_checkpoint(file)['state_dict']['w'].tolist() == [1]
    assert (tmp_path / 'run').is_dir()


@pytest.mark.parametrize(
    'content',
    [
        Attribute(HistoryBuffer, '__init__'),
        Attribute(np.ndarray, 'tofile'),
        Attribute(collections.Counter, '__class__'),
        collections.defaultdict(os.getpid),
        collections.defaultdict(list, a=[1]),
        torch.nn.Linear(1, 1),
        pickle.Pickler,
    ],
)
def test_other_attributes_functions_and_modules_are_refused(content: Any, tmp_path: Path) -> None:
    with pytest.raises(RefusedCheckpointError, match='--trust-checkpoint'):
        read_checkpoint(saved(tmp_path, {'x': content}))


def test_files_from_the_network_are_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the cache, where a download arrives; a plain one and one that torch 1.5 zipped."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    cache = tmp_path / 'hub' / 'checkpoints'
    cache.mkdir(parents=True)
    saved(cache, {'x': Hostile(tmp_path / 'run')})
    saved(cache, {'x': 3}, 'good.pth')
    with zipfile.ZipFile(cache / 'zipped.pth', 'w') as archive:
        archive.write(cache / 'x.pth', 'inner.pth')
    for name in ('x.pth', 'zipped.pth'):
        with pytest.raises(RefusedCheckpointError, match=rf'http://127.0.0.1:9/{name} .*mkdir'):
            load_from_http(f'http://127.0.0.1:9/{name}')
    assert load_from_http('http://127.0.0.1:9/good.pth') == {'x': 3}
    assert not (tmp_path / 'run').exists()


def test_a_download_of_weights_is_compared_with_the_checksum_in_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    content = saved(tmp_path, {'x': 3}).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    (tmp_path / f'net-{digest[:8]}.pth').write_bytes(content)
    (tmp_path / 'net-0123abcd.pth').write_bytes(content)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        url = f'http://127.0.0.1:{server.server_address[1]}'
        assert load_from_http(f'{url}/net-{digest[:8]}.pth') == {'x': 3}
        with pytest.raises(pickle.UnpicklingError, match=f'begins with {digest[:8]}, not with'):
            load_from_http(f'{url}/net-0123abcd.pth')
        with pytest.raises(OSError, match='404'):
            load_from_http(f'{url}/net-99999999.pth')
        server.shutdown()
    cached = {file.name for file in (tmp_path / 'hub' / 'checkpoints').iterdir()}
    assert cached == {f'net-{digest[:8]}.pth'}


def test_the_config_that_mmengine_would_run_to_resume_is_left_out(tmp_path: Path) -> None:
    content = {'meta': {'config': 'import os', 'epoch': 1}, 'state_dict': {}}
    assert read_checkpoint(saved(tmp_path, content))['meta'] == {'epoch': 1}


def test_every_changed_byte_that_matters_is_found(tmp_path: Path) -> None:
    """One bit in a hundred places: refused, or read as it was saved."""
    state = {f'w{i}': torch.rand(200) for i in range(5)}
    file = saved(tmp_path, {'state_dict': state})
    content, rng, refused = file.read_bytes(), random.Random(0), 0
    for attempt in range(100):
        place = rng.randrange(len(content))
        changed = bytearray(content)
        changed[place] ^= 1 << rng.randrange(8)
        other = tmp_path / f'{attempt}.pth'
        other.write_bytes(changed)
        try:
            found = read_checkpoint(other)['state_dict']
        except (pickle.UnpicklingError, InputError, RuntimeError, KeyError, OSError, ValueError):
            refused += 1
        else:
            assert all(torch.equal(found[key], state[key]) for key in state), place
    assert refused > 50


def test_a_changed_weight_is_named(tmp_path: Path) -> None:
    file = saved(tmp_path, {'state_dict': {'w': torch.full((100,), 1.5)}})
    content = file.read_bytes()
    file.write_bytes(content.replace(b'\x00\x00\xc0\x3f', b'\x01\x00\xc0\x3f', 1))
    with pytest.raises(pickle.UnpicklingError, match='bytes of the file have changed'):
        read_checkpoint(file)


def test_files_saved_without_checksums_are_read(tmp_path: Path) -> None:
    with torch.utils.serialization.config.patch('save.compute_crc32', False):
        file = saved(tmp_path, {'w': torch.ones(3)})
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is not None
    assert read_checkpoint(file)['w'].tolist() == [1, 1, 1]


@pytest.mark.parametrize('content', [b'', b'no checkpoint', pickle.dumps({'w': 1}, protocol=4)])
def test_what_is_no_checkpoint(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / 'x.pth'
    file.write_bytes(content)
    with pytest.raises((pickle.UnpicklingError, EOFError)):
        read_checkpoint(file)
