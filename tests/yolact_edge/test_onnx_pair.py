"""The video model as two graphs: in onnxruntime and OpenVINO what it is in torch."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from mmdet.structures import DetDataSample
from small_yolact import small_video_model

from mmext.errors import InputError
from mmext.yolact_edge.deployment import BetweenKeysNetwork, KeyFrameNetwork
from mmext.yolact_edge.onnx_pair import export_pair, file_names, quantize_pair
from mmext.yolact_edge.stream import Objects, open_stream

SIZE = (64, 96)
EASY = dict(score_thr=0.3, nms=dict(type='fast', iou_threshold=0.5, top_k=20), max_per_img=8)
Frames = list[npt.NDArray[np.uint8]]


def video_model(**changes: Any) -> Any:
    options = dict(test_cfg=EASY, tracker=None, key_interval=3)
    return small_video_model(**(options | changes)).eval()


@pytest.fixture(scope='module')
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A model whose propagation is not neutral, and its two files."""
    model = video_model()
    torch.manual_seed(0)
    for name, parameter in model.propagation.named_parameters():
        if 'flow' in name or 'corrections' in name:
            torch.nn.init.normal_(parameter, std=0.1)
    out = tmp_path_factory.mktemp('onnx') / 'walks.onnx'
    assert export_pair(model, out, SIZE, ['person']) < 1e-4
    return model, out


def frames(count: int) -> Frames:
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 255, (SIZE[0], SIZE[1] + 4 * count, 3), np.uint8)
    return [wide[:, 4 * i : 4 * i + SIZE[1]] for i in range(count)]


@torch.no_grad()
def in_torch(model: Any, images: Frames, places: list[tuple[int, int]]) -> list[DetDataSample]:
    found = []
    for image, (video, number) in zip(images, places, strict=True):
        meta = dict(
            img_shape=SIZE, ori_shape=SIZE, scale_factor=(1.0, 1.0), video_id=video, frame_id=number
        )
        tensor = torch.from_numpy(image.transpose(2, 0, 1).copy())
        batch = dict(inputs=[tensor], data_samples=[DetDataSample(metainfo=meta)])
        found += model.test_step(batch)
    return found


def assert_alike(ours: Objects, theirs: DetDataSample) -> None:
    wanted = theirs.pred_instances
    assert len(ours.scores) == len(wanted) > 0 and ours.key_age == theirs.key_age
    torch.testing.assert_close(ours.scores, wanted.scores, rtol=0, atol=1e-4)
    torch.testing.assert_close(ours.boxes_xyxy, wanted.bboxes, rtol=0, atol=1e-2)
    assert (ours.masks != wanted.masks).float().mean() < 1e-3


@pytest.mark.parametrize('backend', ['onnxruntime', 'openvino'])
def test_a_stream_of_two_videos(exported: tuple[Any, Path], backend: str) -> None:
    if backend == 'openvino' and find_spec('openvino') is None:
        pytest.skip('openvino is not installed')
    model, out = exported
    images = frames(7)
    places = [(0, n) for n in range(5)] + [(1, n) for n in range(2)]
    wanted = in_torch(model, images, places)
    stream = open_stream(out, backend)
    found = [stream(image, *place) for image, place in zip(images, places, strict=True)]
    assert [objects.key_age for objects in found] == [0, 1, 2, 0, 1, 0, 1]
    for ours, theirs in zip(found, wanted, strict=True):
        assert_alike(ours, theirs)


def test_a_picture_of_another_size_is_stretched(exported: tuple[Any, Path]) -> None:
    stream = open_stream(exported[1])
    image = frames(1)[0]
    large = np.asarray(image.repeat(2, axis=0).repeat(2, axis=1), np.uint8)
    found = stream(large, None)
    assert found.key_age == 0 and found.masks.shape[1:] == (2 * SIZE[0], 2 * SIZE[1])
    small = stream(image, None)
    torch.testing.assert_close(found.boxes_xyxy, 2 * small.boxes_xyxy, rtol=0.02, atol=1.0)


@torch.no_grad()
def test_graphs_keep_nothing(exported: tuple[Any, Path]) -> None:
    model, _ = exported
    key, between = (kind(model, SIZE).eval() for kind in (KeyFrameNetwork, BetweenKeysNetwork))
    image = torch.rand(1, 3, *SIZE) * 255
    *_, middle, coarse, encoded = key(image)
    first = between(image, middle, coarse, encoded)
    key(torch.rand(1, 3, *SIZE) * 255)
    again = between(image, middle, coarse, encoded)
    assert all(a.equal(b) for a, b in zip(first, again, strict=True))


def test_int8_of_frames(exported: tuple[Any, Path], tmp_path: Path) -> None:
    """Coarser than float32, and not another network."""
    _, out = exported
    images, target = frames(6), tmp_path / 'small.onnx'
    quantize_pair(out, images, target)
    assert all(
        small.stat().st_size < whole.stat().st_size
        for small, whole in zip(file_names(target), file_names(out), strict=True)
    )
    low, high = open_stream(target), open_stream(out)
    for number, image in enumerate(images):
        ours, theirs = low(image, 0, number), high(image, 0, number)
        assert ours.key_age == theirs.key_age
        assert ours.scores[0].item() == pytest.approx(theirs.scores[0].item(), abs=0.1)
    with pytest.raises(InputError, match='at least 2 frames'):
        quantize_pair(out, images[:1], target)


def test_what_cannot_be_exported_or_opened(tmp_path: Path) -> None:
    greedy = video_model(test_cfg=dict(nms=dict(type='nms', iou_threshold=0.5)))
    with pytest.raises(InputError, match='fast NMS'):
        export_pair(greedy, tmp_path / 'x.onnx', SIZE, ['person'])
    with pytest.raises(InputError, match=r'none\.key\.onnx'):
        open_stream(tmp_path / 'none.onnx')
