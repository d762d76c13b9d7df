"""A UPSNet trained for two iterations: logged, found again, loaded, served over HTTP."""

import base64
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest
import torch
from mmengine.config import Config

import mmext
from mmext.configuration import rebase_data_root
from mmext.demo.panoptic import write_panoptic_dataset
from mmext.errors import InputError
from mmext.hooks.mlflow_logging.content.model_record import is_servable, model_record
from mmext.hooks.mlflow_logging.delivery.answers import Outage
from mmext.hooks.mlflow_logging.delivery.replay import replay
from mmext.hooks.mlflow_logging.delivery.shipper import Shipper
from mmext.hooks.mlflow_logging.delivery.spool import Spool
from mmext.hooks.mlflow_logging.delivery.store import Store
from mmext.inference.prediction import load_predictor, panoptic_map

_ROOT = Path(__file__).parents[3]
_NAME, _ALIAS = 'street', 'champion'


@pytest.fixture(scope='module')
def trained(
    tmp_path_factory: pytest.TempPathFactory, empty_store: Path, run_to_end: Callable[..., Any]
) -> Path:
    """The work folder of the demo's UPSNet, after two iterations on eight pictures."""
    folder = tmp_path_factory.mktemp('upsnet')
    write_panoptic_dataset(folder / 'data', num_train=6, num_val=2, image_size=(64, 64))
    config = Config.fromfile(_ROOT / 'configs/upsnet_demo.py')
    rebase_data_root(config, str(folder / 'data'))
    registration = {'registered_name': _NAME, 'alias': _ALIAS}
    config.merge_from_dict(
        {
            'train_cfg.max_iters': 2,
            'train_cfg.val_interval': 2,
            'train_dataloader.batch_size': 2,
            'default_hooks.checkpoint': {
                'type': 'CheckpointHook', 'by_epoch': False, 'interval': 2,
                'save_best': 'coco_panoptic/PQ', 'rule': 'greater',
            },
            'default_hooks.mlflow': {'model': registration, 'api_key': 'hunter2-hunter2'},
            # an untrained net is unsure of everything: take all it says
            'model.test_cfg.panoptic.score_thr': 0.0,
            'model.test_cfg.panoptic.stuff_area_limit': 0,
            'model.test_cfg.rcnn.score_thr': 0.0,
        }
    )  # fmt: skip
    config.default_hooks.mlflow.pop('api_key')
    config.secret_token = 'hunter2-hunter2'
    for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    config.dump(folder / 'tiny.py')
    (folder / 'work').mkdir()
    shutil.copy(empty_store, folder / 'work' / 'mlflow.db')
    tool = _ROOT / 'tools/train.py'
    done = run_to_end([sys.executable, tool, folder / 'tiny.py', '--work-dir', folder / 'work'])
    assert done.returncode == 0, done.stdout + done.stderr
    assert '\x1b[' not in done.stderr and 'UserWarning' not in done.stderr, done.stderr
    return folder / 'work'


@pytest.fixture
def store(trained: Path, reader: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The store of the training, also named in the environment as users have it."""
    logged = reader(f'sqlite:///{trained / "mlflow.db"}')
    monkeypatch.setenv('MLFLOW_TRACKING_URI', logged.uri)
    return logged


@pytest.fixture
def picture(trained: Path) -> Path:
    return next((trained.parent / 'data' / 'val2017').iterdir())


def _models(store: Any) -> list[Any]:
    experiment = store.only_run().info.experiment_id
    return list(store.client.search_logged_models([experiment]))


def _load(store: Any, **settings: Any) -> Any:
    import mlflow

    mlflow.set_tracking_uri(store.uri)
    try:
        return mlflow.pyfunc.load_model(
            f'models:/{_NAME}@{_ALIAS}', model_config={'device': 'cpu', **settings}
        )
    finally:
        mlflow.set_tracking_uri(None)


def test_model_is_complete(store: Any, trained: Path, tmp_path: Path) -> None:
    run = store.only_run()
    (model,) = _models(store)
    assert model.status == 'READY' and model.source_run_id == run.info.run_id
    assert model.name == 'UPSNet'
    assert run.data.tags['mmext.model'] == f'models:/{_NAME}@{_ALIAS}'
    assert [output.model_id for output in run.outputs.model_outputs] == [model.model_id]
    results = {m.key: m.value for m in model.metrics}
    assert results['val/coco_panoptic/PQ'] == run.data.metrics['val/coco_panoptic/PQ']

    folder = Path(model.artifact_location.removeprefix('file://'))
    assert 'is_signature_from_type_hint: true' in (folder / 'MLmodel').read_text()
    lines = (folder / 'requirements.txt').read_text().splitlines()
    assert f'torch=={torch.__version__.partition("+")[0]}' in {x.partition('+')[0] for x in lines}
    (example,) = json.loads((folder / 'input_example.json').read_text())
    assert len(example) < 50_000
    (weights,) = (folder / 'artifacts').glob('*.pth')
    assert set(torch.load(weights, weights_only=True)) == {'state_dict', 'meta'}
    assert not list(folder.rglob('*.pkl')) and not list(folder.rglob('*.pyc'))
    for path in folder.rglob('*'):
        assert path.is_dir() or b'hunter2' not in path.read_bytes(), path


def test_its_card_says_what_it_is(store: Any) -> None:
    (model,) = _models(store)
    card = (Path(model.artifact_location.removeprefix('file://')) / 'README.md').read_text()
    assert card.startswith('# UPSNet\n') and 'A detector with 10 classes' in card
    quality = store.only_run().data.metrics['val/coco_panoptic/PQ']
    assert f'| coco\\_panoptic/PQ | {quality:.4g} |' in card
    version = store.client.get_model_version_by_alias(_NAME, _ALIAS)
    assert card.startswith(version.description)
    note = store.only_run().data.tags['mlflow.note.content']
    assert '| model | mmext.UPSNet, ResNet-18 |' in note and f'| {quality:.4g} |' in note


def test_mmext_load_takes_its_uri(store: Any, trained: Path, picture: Path) -> None:
    model = mmext.load(f'models:/{_NAME}@{_ALIAS}', device='cpu', precision='fp32')
    result = model(picture)
    best = mmext.load(next(trained.glob('best_*.pth')), precision='fp32')(picture)
    assert np.array_equal(result.panoptic_map, best.panoptic_map)
    assert len(result) and np.array_equal(result.boxes_xyxy, best.boxes_xyxy)
    with pytest.raises(InputError, match=f'models:/{_NAME}/99: .*MLFLOW_TRACKING_URI'):
        mmext.load(f'models:/{_NAME}/99')


def test_predicts_arrays_paths_and_base64_as_the_detector_does(
    store: Any, trained: Path, picture: Path
) -> None:
    bgr = cv2.imread(str(picture))
    encoded = picture.read_bytes()
    model = _load(store, min_score=0.2, precision='fp32')
    forms = [bgr[..., ::-1], str(picture), base64.b64encode(encoded).decode(), encoded]
    results = model.predict(forms)

    assert all(result == results[0] for result in results[1:])
    best = next(trained.glob('best_*.pth'))
    predictor = load_predictor(None, str(best), 'cpu', precision='fp32')
    (sample,) = predictor([bgr])
    kept = sample.pred_instances[sample.pred_instances.scores >= 0.2]
    expected = kept.scores.sort(descending=True).values
    assert [found['score'] for found in results[0]['objects']] == pytest.approx(expected.tolist())
    ids = panoptic_map(sample)
    known = ids % 1000 < len(predictor.classes)
    panoptic = results[0]['panoptic']
    areas = sorted(segment['area_px'] for segment in panoptic['segments_info'])
    assert areas == sorted(np.unique(ids[known], return_counts=True)[1].tolist())


def test_sending_again_makes_no_second_model(store: Any, trained: Path) -> None:
    for state in (trained / 'mlflow_spool').glob('*.state.json'):
        state.unlink()
    assert [result.outcome for result in replay(trained)] == ['sent']
    assert len(_models(store)) == 1
    (version,) = store.client.search_model_versions(f"name='{_NAME}'")
    assert store.client.get_model_version_by_alias(_NAME, _ALIAS).version == version.version


def test_a_checkpoint_is_registered_in_its_run(
    trained: Path,
    picture: Path,
    tmp_path: Path,
    reader: Callable[[str], Any],
    run_to_end: Callable[..., Any],
) -> None:
    shutil.copytree(trained, tmp_path / 'work')
    store = reader(f'sqlite:///{tmp_path / "work" / "mlflow.db"}')
    tool = [sys.executable, _ROOT / 'tools/mlflow_model.py', tmp_path / 'work' / 'iter_2.pth']
    done = run_to_end([*tool, '--register', 'other', '--alias', 'new', '--example', picture])

    assert done.returncode == 0, done.stderr
    run = store.only_run()
    assert done.stdout.endswith(f'logged in run {run.info.run_id} as models:/other@new\n')
    assert run.info.status == 'FINISHED'
    (model,) = _models(store)  # the training has logged the same weights
    version = store.client.get_model_version_by_alias('other', 'new')
    assert version.source == model.artifact_location


def test_a_name_that_mlflow_refuses_is_said(
    trained: Path, tmp_path: Path, run_to_end: Callable[..., Any]
) -> None:
    shutil.copytree(trained, tmp_path / 'work')
    tool = [sys.executable, _ROOT / 'tools/mlflow_model.py', tmp_path / 'work' / 'iter_2.pth']
    done = run_to_end([*tool, '--register', 'street/cars'])

    assert done.returncode == 2 and 'logged in run' not in done.stdout
    assert 'iter_2.pth is not logged as a model: ' in done.stderr
    assert 'Traceback' not in done.stderr


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['nowhere.pth'], 'checkpoint not found'),
        (['x.pth', '--alias', 'a'], '--alias: needs --register NAME'),
    ],
)
def test_bad_input_is_one_line(
    words: list[str], message: str, tmp_path: Path, run_to_end: Callable[..., Any]
) -> None:
    done = run_to_end([sys.executable, _ROOT / 'tools/mlflow_model.py', *words], cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr and done.stderr.count('\n') == 1


@pytest.fixture(scope='module')
def server(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """``mlflow models serve`` of the registered model: its address and process id."""
    tmp_path = tmp_path_factory.mktemp('serve')
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, '-m', 'mlflow', 'models', 'serve', '--env-manager', 'local',
        '-m', f'models:/{_NAME}@{_ALIAS}', '--port', str(port),
    ]  # fmt: skip
    # it starts `uvicorn` by its name, as in an activated environment
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get('PATH', '')])
    store = {'MLFLOW_TRACKING_URI': f'sqlite:///{trained / "mlflow.db"}'}
    with open(tmp_path / 'serve.log', 'wb') as log:
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env={**os.environ, **store, 'PATH': path},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 120
        while not _answers(f'http://127.0.0.1:{port}/ping'):
            if process.poll() is not None or time.monotonic() > deadline:
                log_text = (tmp_path / 'serve.log').read_text()
                pytest.fail(f'the served model does not answer:\n{log_text}')
            time.sleep(0.2)
        yield f'http://127.0.0.1:{port}/invocations', process.pid
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
        process.wait(timeout=30)


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True


@pytest.fixture
def served(server: tuple[str, int]) -> str:
    """The address of the server."""
    return server[0]


def _ask(url: str, content: Any) -> Any:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    request = urllib.request.Request(url, body, {'Content-Type': 'application/json'})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_served_over_http(store: Any, served: str, picture: Path) -> None:
    rgb = np.ascontiguousarray(cv2.imread(str(picture))[..., ::-1])
    text = base64.b64encode(picture.read_bytes()).decode()
    answers = _ask(served, {'inputs': [text, rgb.tolist()]})['predictions']

    expected = _load(store).predict([rgb])[0]
    for answer in answers:
        assert answer['size'] == list(rgb.shape[:2])
        assert answer['panoptic'] == expected['panoptic']
        assert [o['label'] for o in answer['objects']] == [o['label'] for o in expected['objects']]
    with pytest.raises(urllib.error.HTTPError) as refused:
        _ask(served, {'inputs': [str(picture)]})
    assert refused.value.code == 400
    assert 'base64' in refused.value.read().decode()


def _one_bit_png(side_px: int) -> str:
    """A black square in base64: a byte of it is thousands of pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        framed = kind + content
        return struct.pack('>I', len(content)) + framed + struct.pack('>I', zlib.crc32(framed))

    head = struct.pack('>IIBBBBB', side_px, side_px, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side_px + 7) // 8 + 1) * side_px)
    png = b'\x89PNG\r\n\x1a\n' + b''.join(
        chunk(*part) for part in ((b'IHDR', head), (b'IDAT', rows), (b'IEND', b''))
    )
    return base64.b64encode(png).decode()


def _resident_mb(pid: int) -> float:
    """Of a process and all that it has started."""
    process = psutil.Process(pid)
    family = [process, *process.children(recursive=True)]
    return sum(each.memory_info().rss for each in family) / 1e6


_PLANTED = 'planted-words'


def _bad_requests(picture: Path) -> Iterator[tuple[str, Any, str]]:
    small = base64.b64encode(picture.read_bytes()).decode()
    yield 'bomb', {'inputs': [_one_bit_png(30_000)]}, r'at most 40 megapixels .* got 900'
    yield 'many pixels', {'inputs': [_one_bit_png(5_000)] * 2}, 'at most 40 megapixels'
    yield 'many pictures', {'inputs': [small] * 17}, 'at most 16 images .* got 17'
    yield 'many bytes', {'inputs': ['A' * 60_000_000]}, 'at most 32 megabytes'
    yield 'brackets', b'{"inputs": ' + b'[' * 100_000, ''
    for name, content in {
        'text': _PLANTED, 'null': None, 'number': 3, 'object': {_PLANTED: 1},
        'texts': [_PLANTED * 99], 'nulls': [None], 'ragged': [[_PLANTED], [[1]]], 'empty': [[]],
    }.items():  # fmt: skip
        yield name, {'inputs': content}, ''
    yield 'no JSON', _PLANTED.encode(), ''
    yield 'other form', {'dataframe_split': {'data': [[_PLANTED]], 'columns': ['a']}}, ''


def test_a_bad_request_is_refused_in_few_words_and_costs_no_memory(
    server: tuple[str, int], picture: Path
) -> None:
    url, pid = server
    good = {'inputs': [base64.b64encode(picture.read_bytes()).decode()]}
    _ask(url, good)
    _ask(url, {'inputs': [_one_bit_png(2_000)]})
    before_mb = _resident_mb(pid)
    for name, content, words in _bad_requests(picture):
        with pytest.raises(urllib.error.HTTPError) as refused:
            _ask(url, content)
        answer = refused.value.read().decode()
        assert 400 <= refused.value.code < 500, (name, refused.value.code)
        assert len(answer) < 400 and _PLANTED not in answer, (name, answer)
        assert 'stack_trace' not in answer and re.search(words, answer), (name, answer)
    for _ in range(3):
        _ask(url, {'inputs': [_one_bit_png(2_000)]})
    _ask(url, good)

    assert _resident_mb(pid) < before_mb + 150


# the way into the store, with weights that nothing is predicted with


@pytest.fixture
def left_behind(work_dir: Path, tmp_path: Path) -> Spool:
    """The spool of a session that could not send its model."""
    checkpoint = tmp_path / 'iter_3.pth'
    meta = {'iter': 3, 'dataset_meta': {'CLASSES': ('car',)}}
    state = {'a': torch.arange(3.0), 'b': torch.tensor(5)}
    torch.save({'state_dict': state, 'meta': meta, 'optimizer': 'large'}, checkpoint)
    spool = Spool(work_dir / 'mlflow_spool' / 'a.jsonl')
    spool.claim()
    run = {
        'key': 'k', 'session': 's', 'run_id': None, 'continues': False, 'experiment': 'e',
        'name': 'n', 'start_ms': 5, 'tags': {}, 'parent': None,
    }  # fmt: skip
    header = {
        'kind': 'open', 'mode': 'train', 'run': run,
        'artifact_location': (work_dir / 'mlartifacts').as_uri(),
        'tracking_uri': f'sqlite:///{work_dir / "mlflow.db"}',
    }  # fmt: skip
    config = {'model': {'type': 'mmdet.FCOS'}, 'val_dataloader': {'dataset': {'pipeline': []}}}
    record = model_record(str(checkpoint), config, spool.files_dir)
    spool.append([header, record])
    return spool


def test_a_model_outlives_an_outage(left_behind: Spool, logged: Any) -> None:
    with pytest.raises(Outage):
        Shipper(left_behind, store=Store('http://127.0.0.1:9', None)).ship()
    assert list(left_behind.files_dir.glob('*.pth'))
    Shipper(left_behind).ship()

    (model,) = _models(logged)
    assert model.status == 'READY' and model.name == 'FCOS'
    assert logged.only_run().data.tags['mmext.model'] == f'models:/{model.model_id}'
    assert not list(left_behind.files_dir.glob('*.pth')), 'sent weights must not stay behind'


def test_a_model_that_was_begun_is_finished(
    left_behind: Spool, logged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    def cut_off(*_: Any, **__: Any) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, 'finalize_logged_model', cut_off)
        shipper = Shipper(left_behind)
        shipper.ship()
    assert shipper.left == 1 and 'ConnectionError' in (shipper.hindrance or '')
    assert [model.status for model in _models(logged)] == ['PENDING']
    Shipper(left_behind).ship()
    assert [model.status for model in _models(logged)] == ['READY']


def test_what_a_killed_upload_has_left_is_no_obstacle(left_behind: Spool, logged: Any) -> None:
    half = left_behind.files_dir / 'model' / 'code'
    half.mkdir(parents=True)
    (half / 'x.py').touch()
    shipper = Shipper(left_behind)
    shipper.ship()
    assert shipper.rejected == 0
    assert [model.status for model in _models(logged)] == ['READY']


def test_other_models_are_left_out() -> None:
    loaders = {'val_dataloader': {'dataset': {}}}
    assert not is_servable(torch.nn.Linear(1, 1), loaders)
