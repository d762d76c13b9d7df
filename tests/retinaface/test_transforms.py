"""Crops against a loop over candidates and faces; faces with all fields through a pipeline."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmdet.registry import TRANSFORMS
from mmengine.registry import DefaultScope

from mmext.retinaface.square_crops import choose_crop, draw_crops

LOAD = [dict(type='LoadAnnotations', with_bbox=True), dict(type='mmext.LoadFaceAnnotations')]
PACK = dict(type='mmext.PackKeypointInputs', outside='keep')


@pytest.fixture(autouse=True)
def scope() -> None:
    DefaultScope.get_instance('retinaface', scope_name='mmdet')


def faces(seed: int, count: int, height: int = 90, width: int = 130) -> dict[str, Any]:
    """An image that shows its own coordinates: red is x, green is y."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    instances = []
    for _ in range(count):
        corner = rng.uniform(0, (width - 20, height - 20))
        box = [*corner, *(corner + rng.uniform(4, 20, 2))]
        points = rng.uniform(box[:2], box[2:], (5, 2))
        instances.append(
            {
                'bbox': box,
                'bbox_label': 0,
                'ignore_flag': int(rng.random() < 0.2),
                'keypoints': np.column_stack([points, np.full(5, 2)]).ravel().tolist(),
                'attributes': rng.integers(-1, 3, 2).tolist(),
                'mesh': rng.uniform(0, 90, (4, 3)) if rng.random() < 0.7 else None,
            }
        )
    return {
        'img': np.dstack([np.zeros_like(x), y, x]).astype(np.uint8), 'img_id': 'a',
        'img_path': 'a.jpg', 'img_shape': (height, width), 'ori_shape': (height, width),
        'instances': instances, 'num_keypoints': 5, 'flip_pairs': ((0, 1), (3, 4)),
        'num_attributes': 2, 'num_mesh_vertices': 4, 'mesh_flip_pairs': ((0, 3),),
    }  # fmt: skip


def run(steps: list[dict[str, Any]], results: dict[str, Any]) -> Any:
    return Compose([TRANSFORMS.build(step) for step in steps])(results)


@pytest.mark.parametrize('seed', range(30))
@pytest.mark.parametrize('require', ['whole', 'center', 'nothing'])
def test_choice_equals_a_loop(require: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = (int(v) for v in rng.integers(20, 120, 2))
    scales = [(0.1, 0.6), (0.3, 1.0), (0.3, 2.0)][seed % 3]
    crops = draw_crops(rng, (height, width), scales, False, 12)
    corners = rng.uniform(0, (width, height), (int(rng.integers(0, 4)), 2))
    boxes = np.concatenate([corners, corners + rng.uniform(1, 50, corners.shape)], axis=1)
    expected = [0, 0, max(height, width)]
    for left, top, side in crops.tolist():
        fits = require == 'nothing' or not len(boxes)
        for x1, y1, x2, y2 in boxes.tolist():
            whole = left <= x1 and top <= y1 and x2 <= left + side and y2 <= top + side
            x, y = (x1 + x2) / 2, (y1 + y2) / 2
            center = left <= x < left + side and top <= y < top + side
            fits |= whole if require == 'whole' else center
        if fits:
            expected = [left, top, side]
            break
    assert choose_crop(crops, boxes, require, (height, width)).tolist() == expected


@pytest.mark.parametrize('scales', [(0.3, 1.0), (1.2, 2.0)])
def test_candidates_fill_their_range(scales: tuple[float, float]) -> None:
    crops = draw_crops(np.random.default_rng(0), (40, 60), scales, False, 4000)
    left, top, side = crops.T
    assert (side.min(), side.max()) == (int(40 * scales[0]), int(40 * scales[1] - 1e-9))
    for place, length in ((left, 60), (top, 40)):
        room = length - side
        assert (place >= np.minimum(room, 0)).all()
        assert (place <= np.maximum(room, 0)).all()
        assert (place == np.minimum(room, 0)).any()
        assert (place == np.maximum(room, 0)).any()
        # uniform: the mean place is half the room
        assert abs((place - room / 2).mean()) < 0.5
    discrete = draw_crops(np.random.default_rng(0), (40, 60), (0.3, 0.45, 1.0), True, 500)
    assert set(discrete[:, 2].tolist()) == {12, 18, 40}


@pytest.mark.parametrize('seed', range(12))
def test_faces_keep_their_pixels(seed: int) -> None:
    np.random.seed(seed)
    raw = faces(seed, count=seed % 6)
    scales = [(0.3, 1.0), (0.8, 2.0)][seed % 2]
    crop = dict(type='mmext.RandomSquareCrop', scales=scales, require='center')
    packed = run([*LOAD, crop, PACK], copy.deepcopy(raw))
    image, sample = packed['inputs'].numpy(), packed['data_samples']
    assert image.shape[1] == image.shape[2]
    _, top, left = np.unravel_index(int((image[0] == 0).argmax()), image.shape)
    shift = image[[2, 1], top, left] - np.array([left, top])  # the pixels tell where they were
    ignored = torch.tensor([i['ignore_flag'] for i in raw['instances']], dtype=torch.bool)
    boxes = np.array([i['bbox'] for i in raw['instances']]).reshape(-1, 4)
    moved = boxes - np.tile(shift, 2)
    center, side = (moved[:, :2] + moved[:, 2:]) / 2, image.shape[1]
    kept = ((center >= 0) & (center < side)).all(axis=1) & ~ignored.numpy()
    found = sample.gt_instances
    assert len(found) == kept.sum()
    np.testing.assert_allclose(found.bboxes.tensor, moved[kept].clip(0, side), atol=1e-3)
    for row, number in enumerate(np.flatnonzero(kept)):
        instance = raw['instances'][number]
        points = np.reshape(instance['keypoints'], (5, 3))[:, :2] - shift
        np.testing.assert_allclose(found.keypoints[row], points, atol=1e-3)
        assert found.attributes[row].tolist() == instance['attributes']
        assert bool(found.mesh_valid[row]) == (instance['mesh'] is not None)
        if instance['mesh'] is not None:
            mesh = instance['mesh'] - [*shift, 0]
            np.testing.assert_allclose(found.mesh[row], mesh, atol=1e-3)


def test_no_candidate_fits() -> None:
    raw = faces(0, 0)
    raw['instances'] = [{'bbox': [0, 0, 130, 90], 'bbox_label': 0, 'ignore_flag': 0}]
    raw['num_attributes'] = raw['num_mesh_vertices'] = 0
    crop = dict(type='mmext.RandomSquareCrop', scales=(0.3, 0.5), pad_value=(1, 2, 3))
    packed = run([*LOAD, crop, PACK], raw)
    assert packed['inputs'].shape == (3, 130, 130)
    assert packed['inputs'][:, 100, 100].tolist() == [1, 2, 3]
    assert packed['data_samples'].gt_instances.bboxes.tensor.tolist() == [[0, 0, 130, 90]]


def test_a_whole_training_pipeline_and_its_mirror() -> None:
    raw = faces(4, 5)
    steps = [
        *LOAD,
        dict(type='mmext.RandomSquareCrop', scales=(0.9, 1.0)),
        dict(type='Resize', scale=(64, 64), keep_ratio=False),
        dict(type='PhotoMetricDistortion'),
    ]
    samples = []
    for prob in (0.0, 1.0):
        np.random.seed(3)
        flip = dict(type='RandomFlip', prob=prob)
        packed = run([*steps, flip, PACK], copy.deepcopy(raw))
        assert packed['inputs'].shape == (3, 64, 64)
        samples.append(packed['data_samples'].gt_instances)
    plain, mirrored = samples
    assert len(plain) > 1
    expected = plain.keypoints[:, [1, 0, 2, 4, 3]]
    torch.testing.assert_close(mirrored.keypoints[..., 0], 64 - expected[..., 0])
    torch.testing.assert_close(mirrored.keypoints[..., 1], expected[..., 1])
    mesh = plain.mesh[:, [3, 1, 2, 0]]
    torch.testing.assert_close(mirrored.mesh[..., 0], 64 - mesh[..., 0])
    torch.testing.assert_close(mirrored.mesh[..., 1:], mesh[..., 1:])
    torch.testing.assert_close(mirrored.attributes, plain.attributes)


@pytest.mark.parametrize('count', [0, 3])
def test_shapes_and_types(count: int) -> None:
    found = run([*LOAD, PACK], faces(11, count))['data_samples'].gt_instances
    count = len(found.bboxes)
    assert found.mesh.shape == (count, 4, 3)
    assert found.mesh.dtype == torch.float32
    assert found.mesh_valid.dtype == torch.bool
    assert (found.attributes.shape, found.attributes.dtype) == ((count, 2), torch.int64)


@pytest.mark.parametrize(
    ('field', 'value', 'message'),
    [
        ('attributes', [1, 2, 3], 'a.jpg, instance 1: attributes: expected 2, got 3'),
        ('mesh', np.zeros((5, 3)), 'a.jpg, instance 1: mesh: expected 4, got 5'),
    ],
)
def test_fields_of_the_wrong_size(field: str, value: Any, message: str) -> None:
    raw = faces(0, 2)
    raw['instances'][1][field] = value
    with pytest.raises(ValueError, match=message):
        run(LOAD, raw)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(scales=(0.5, 0.3)), 'scales: expected'),
        (dict(scales=(0.0, 0.3)), 'scales: expected'),
        (dict(require='some'), "require: expected 'whole', 'center' or 'nothing', got 'some'"),
        (dict(trials=0), 'trials: expected 1 or more'),
    ],
)
def test_bad_options(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TRANSFORMS.build(dict(type='mmext.RandomSquareCrop', **options))
