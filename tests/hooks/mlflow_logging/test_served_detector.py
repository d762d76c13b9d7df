"""What goes into a served model and what comes out, without a net (test_model.py has one)."""

import base64
import struct
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mlflow.exceptions import MlflowException
from mmcv.transforms import Compose
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from pycocotools import mask as rle

from mmext.hooks.mlflow_logging.delivery.served_answer import describe
from mmext.hooks.mlflow_logging.delivery.served_config import (
    image_pipeline,
    load_detector,
    read_config,
)
from mmext.hooks.mlflow_logging.delivery.served_detector import ServedDetector
from mmext.hooks.mlflow_logging.delivery.served_request import LIMITS, decoded, opened

META = {'classes': ('car', 'dog', 'sky'), 'thing_classes': ('car', 'dog')}


def read_image(item: Any, allow_paths: bool = True) -> np.ndarray:
    (form,) = opened([item], allow_paths, LIMITS)
    return decoded(form)


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (7, 5, 3), dtype=np.uint8)


def test_every_form_of_an_image_is_the_same_image(tmp_path: Path, image: np.ndarray) -> None:
    png = cv2.imencode('.png', image[..., ::-1])[1].tobytes()
    path = tmp_path / 'a.png'
    path.write_bytes(png)
    text = base64.b64encode(png).decode()
    lines = '\n'.join(text[i : i + 60] for i in range(0, len(text), 60))
    forms: list[Any] = [
        image, image.tolist(), image.astype(int), str(path), png, text, text.encode(), lines,
        f'data:image/png;base64,{text}',
    ]  # fmt: skip
    for form in forms:
        assert np.array_equal(read_image(form), image)
        assert read_image(form).dtype == np.uint8


def test_no_annotation_is_asked_for(image: np.ndarray) -> None:
    folder = Path(__file__).parents[3] / 'configs'
    for file in ('centernet_pose_demo.py', 'retinaface_demo.py', 'upsnet_demo.py'):
        config = Config.fromfile(folder / file)
        init_default_scope(config.default_scope)
        packed = Compose(image_pipeline(config))(dict(img=image, img_id=0))
        assert packed['data_samples'].ori_shape == image.shape[:2]


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (np.zeros((4, 4), np.uint8), r'expected an array \[H, W, 3\], got shape \[4, 4\]'),
        (np.zeros((4, 4, 3)), 'expected uint8 values, got float64'),
        (np.full((4, 4, 3), 256), 'expected uint8 values, got int64'),
        ([[[1, 2, 3]], [[1, 2]]], 'lists of unequal length'),
        ('nowhere/a.jpg', "'nowhere/a.jpg', which is no file"),
        ('not base64!', 'expected a picture in base64'),
        (b'\x00\x01', 'bytes that are none'),
        (None, 'got shape'),
        ('', 'bytes that are none'),
    ],
)
def test_what_is_no_image_is_named(wrong: Any, message: str) -> None:
    with pytest.raises(MlflowException, match=message) as caught:
        read_image(wrong)
    assert caught.value.get_http_status_code() == 400


def test_a_server_reads_no_files_for_strangers(tmp_path: Path, image: np.ndarray) -> None:
    cv2.imwrite(str(tmp_path / 'a.png'), image)
    with pytest.raises(MlflowException, match='base64'):
        read_image(str(tmp_path / 'a.png'), allow_paths=False)


def _png_header(width: int, height: int) -> bytes:
    """A PNG that says how large it is, and has nothing else."""
    fields = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    chunk = b'IHDR' + fields
    data = b'IDAT' + zlib.compress(b'')
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(part) - 4) + part + struct.pack('>I', zlib.crc32(part))
        for part in (chunk, data, b'IEND')
    )


@pytest.mark.parametrize(
    ('items', 'message'),
    [
        ([_png_header(30_000, 30_000)], r'at most 40 megapixels \(max_megapixels\), got 900'),
        ([_png_header(8_000, 8_000)], r'at most 40 megapixels \(max_megapixels\), got 64'),
        ([_png_header(5_000, 5_000)] * 2, r'at most 40 megapixels \(max_megapixels\), got 50'),
        ([np.zeros((7000, 6000, 3), np.uint8)], r'at most 32 megabytes \(max_megabytes\), got 126'),
        (['A' * 50_000_000], r'at most 32 megabytes \(max_megabytes\), got 50'),
        ([_png_header(9, 9)] * 17, r'at most 16 images \(max_images\), got 17'),
    ],
)
def test_a_request_beyond_a_limit_is_refused_before_it_is_decoded(
    items: list[Any], message: str
) -> None:
    with pytest.raises(MlflowException, match=message) as caught:
        opened(items, False, LIMITS)
    assert caught.value.get_http_status_code() == 400


def test_a_refusal_does_not_repeat_what_was_sent(image: np.ndarray) -> None:
    for item in ('secret words! ' * 9, b'secret words' * 9, _png_header(9, 9)):
        with pytest.raises(MlflowException) as caught:
            read_image(item, allow_paths=False)
        assert 'secret' not in str(caught.value) and len(str(caught.value)) < 200
    many = [cv2.imencode('.png', image)[1].tobytes()] * 40
    assert len(opened(many, True, {})) == 40, 'at home there is no limit'


def test_a_config_is_read_and_not_run(tmp_path: Path) -> None:
    content = {'a': (1, -2.5), 'b': [{'type': 'X', 'n': None}], 'c': {1: 'x', 'y z': True}}
    config = read_config(Config(content).pretty_text)
    assert config.to_dict() == Config(content).to_dict() and config.a == (1, -2.5)
    touched = tmp_path / 'touched'
    for text in (
        f'a = open({str(touched)!r}, "w")', f'a = dict(b=[open({str(touched)!r}, "w")])',
        'import os',
        'a = dict(**x)', 'a = {**x}', 'a = [x for x in y]', 'a = b',
    ):  # fmt: skip
        with pytest.raises(ValueError, match='config, line 1'):
            read_config(text)
    assert not touched.exists()


@pytest.mark.parametrize(
    'name',
    ['os.system', 'os', 'builtins.exec', 'torch.load', 'mmengine.fileio.load', "__import__('os')"],
)
def test_a_name_in_a_config_is_a_class_or_nothing(name: str) -> None:
    with pytest.raises(ValueError, match='is no class of the host'):
        read_config(f"model = dict(a=[dict(type={name!r}, command='true')])")
    kept = "a = [dict(type='mmdet.FCOS'), dict(type='torch.nn.ReLU'), dict(type='mmext.UPSNet')]"
    assert read_config(kept).a[0].type == 'mmdet.FCOS'


def test_modules_are_imported_only_by_a_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'own_module_of_a_user.py').write_text('')
    monkeypatch.syspath_prepend(str(tmp_path))
    text = "custom_imports = dict(imports=['own_module_of_a_user'])"
    with pytest.raises(ValueError, match='needs the setting custom_imports'):
        read_config(text)
    assert 'own_module_of_a_user' not in sys.modules
    read_config(text, allow_imports=True)
    assert sys.modules.pop('own_module_of_a_user')


class _Slow(ServedDetector):
    """Takes a while for each image; the net is left out."""

    def __init__(self, max_seconds: float) -> None:
        self._limits = {**LIMITS, 'max_seconds': max_seconds}
        self._lock = threading.Lock()
        self.entered = threading.Event()

    def _predict_one(self, form: Any, deadline: float) -> dict[str, Any]:
        self.entered.set()
        time.sleep(0.4)
        return super()._predict_one(form, deadline)


def test_what_takes_or_waits_too_long_is_refused(
    image: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('_MLFLOW_IS_IN_SERVING_ENVIRONMENT', 'true')
    model = _Slow(max_seconds=0.1)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(model.predict, None, [image])
        assert model.entered.wait(10)
        second = pool.submit(model.predict, None, [image])
        with pytest.raises(MlflowException, match=r'at most 0.1 seconds \(max_seconds\)') as slow:
            first.result()
        with pytest.raises(MlflowException, match='is busy') as waiting:
            second.result()
    assert slow.value.get_http_status_code() == 400
    assert waiting.value.get_http_status_code() == 429


class _Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_weights_that_hold_code_are_not_loaded(tmp_path: Path) -> None:
    touched = tmp_path / 'touched'
    torch.save({'state_dict': {}, 'meta': _Evil(touched)}, tmp_path / 'w.pth')
    with pytest.raises(ValueError, match=r'w\.pth: expected tensors and plain values alone'):
        load_detector(Config({}), str(tmp_path / 'w.pth'), 'cpu')
    assert not touched.exists()


def test_objects_are_sorted_cut_and_plain() -> None:
    masks = torch.zeros(3, 4, 6, dtype=torch.bool)
    masks[1, 1:3, 2:5] = True
    sample = DetDataSample()
    sample.pred_instances = InstanceData(
        labels=torch.tensor([0, 1, 0]),
        scores=torch.tensor([0.5, 0.75, 0.25]),
        bboxes=torch.tensor([[0.0, 1, 2, 3], [4, 5, 6, 7], [0, 0, 1, 1]]),
        masks=masks,
        keypoints=torch.arange(12.0).reshape(3, 2, 2),
    )
    result = describe(sample, (4, 6), META, 0.3)

    assert result['size'] == [4, 6]
    first, second = result['objects']
    decoded = rle.decode(first.pop('mask'))
    assert np.array_equal(decoded.astype(bool), masks[1].numpy())
    assert first == {
        'label': 'dog',
        'label_id': 1,
        'score': 0.75,
        'box_xyxy': [4.0, 5.0, 6.0, 7.0],
        'keypoints': [[4.0, 5.0], [6.0, 7.0]],
    }
    assert second['label'] == 'car' and 'panoptic' not in result


def test_a_surface_stays_with_its_object_and_its_own_box() -> None:
    rng = np.random.default_rng(0)
    surfaces = [rng.integers(0, 256, (3, *size), np.uint8) for size in ((4, 6), (2, 1), (1, 3))]
    sample = DetDataSample()
    sample.pred_instances = InstanceData(
        labels=torch.tensor([0, 0, 0]),
        scores=torch.tensor([0.5, 0.25, 0.75]),
        bboxes=torch.tensor([[0.0, 1, 2, 3], [4, 5, 6, 7], [1, 1, 2, 2]]),
        surface=surfaces,
        surface_boxes=torch.tensor([[-2, -1, 6, 4], [4, 5, 1, 2], [5, 3, 3, 1]]),
    )
    best, second = describe(sample, (4, 6), META, 0.3)['objects']
    assert best['surface_box'] == [5, 3, 3, 1] and second['surface_box'] == [-2, -1, 6, 4]
    for found, surface in ((best, surfaces[2]), (second, surfaces[0])):
        data = np.frombuffer(base64.b64decode(found['surface']), np.uint8)
        bgr = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        assert np.array_equal(bgr[..., ::-1].transpose(2, 0, 1), surface)


@pytest.mark.parametrize('seed', range(3))
def test_panoptic_map_against_a_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ids = rng.choice([1000, 2001, 3001, 2, 3], (9, 8))  # two dogs, a car 0, sky, void
    sample = DetDataSample()
    sample.pred_panoptic_seg = PixelData(sem_seg=torch.from_numpy(ids)[None])
    panoptic = describe(sample, ids.shape, META, 0.3)['panoptic']

    png = cv2.imdecode(np.frombuffer(base64.b64decode(panoptic['png']), np.uint8), 1).astype(int)
    table = {segment['id']: segment for segment in panoptic['segments_info']}
    areas = dict.fromkeys(table, 0)
    numbers: dict[int, int] = {}
    for row in range(9):
        for column in range(8):
            blue, green, red = png[row, column]
            number = int(red + 256 * green + 65536 * blue)
            value = int(ids[row, column])
            assert numbers.setdefault(value, number) == number
            if value == 3:
                assert number == 0
                continue
            areas[number] += 1
            assert table[number]['label'] == META['classes'][value % 1000]
            assert table[number]['isthing'] == (value >= 1000)
    assert areas == {number: segment['area_px'] for number, segment in table.items()}
    assert len(table) == len(set(numbers.values()) - {0})


def test_nothing_found_is_empty_lists() -> None:
    sample = DetDataSample()
    sample.pred_instances = InstanceData(
        labels=torch.zeros(0, dtype=torch.long), scores=torch.zeros(0), bboxes=torch.zeros(0, 4)
    )
    sample.pred_panoptic_seg = PixelData(sem_seg=torch.full((1, 2, 2), 3))
    result = describe(sample, (2, 2), META, 0.3)
    assert result['objects'] == [] and result['panoptic']['segments_info'] == []
