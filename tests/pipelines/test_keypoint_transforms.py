"""Keypoints through pipelines of mmdet's own transforms, against a loop over single points."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmdet.registry import TRANSFORMS
from mmengine.registry import DefaultScope

from mmext.pipelines.keypoint_following import Follower, add_followers, follow

HEIGHT, WIDTH = 120, 160
PAIRS = [(0, 1), (3, 4)]
SWAPPED = [1, 0, 2, 4, 3]


@pytest.fixture(autouse=True)
def scope() -> None:
    DefaultScope.get_instance('keypoints', scope_name='mmdet')


def annotated(seed: int, count: int) -> dict[str, Any]:
    """An image with ``count`` instances as a data set hands it to the pipeline."""
    rng = np.random.default_rng(seed)
    instances = []
    for number in range(count):
        x, y = rng.uniform(0, (WIDTH - 30, HEIGHT - 30))
        w, h = rng.uniform(8, 30, 2)
        points = rng.uniform((x, y), (x + w, y + h), (5, 2))
        visible = rng.integers(0, 3, 5)
        instances.append(
            {
                'bbox': [x, y, x + w, y + h],
                'bbox_label': 0,
                'ignore_flag': int(number % 4 == 3),
                'keypoints': np.column_stack([points, visible]).ravel().tolist(),
            }
        )
    image = rng.integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    return {
        'img': image, 'img_id': 1, 'img_path': 'a.jpg', 'height': HEIGHT, 'width': WIDTH,
        'img_shape': (HEIGHT, WIDTH), 'ori_shape': (HEIGHT, WIDTH), 'instances': instances,
        'num_keypoints': 5, 'flip_pairs': PAIRS,
    }  # fmt: skip


LOAD = [dict(type='LoadAnnotations', with_bbox=True), dict(type='mmext.LoadKeypoints')]


def run(steps: list[dict[str, Any]], results: dict[str, Any]) -> Any:
    return Compose([TRANSFORMS.build(step) for step in steps])(results)['data_samples']


class Trace:
    """Remembers what a chain of random mmdet transforms did, in words of single steps."""

    def __init__(self, results: dict[str, Any]) -> None:
        self.steps: list[tuple[str, Any]] = []
        self.results = results

    def flip(self, direction: str) -> None:
        TRANSFORMS.build(dict(type='RandomFlip', prob=1.0, direction=direction))(self.results)
        self.steps.append((direction, self.results['img_shape']))

    def resize(self, width: int, height: int) -> None:
        scale = (width / self.results['img_shape'][1], height / self.results['img_shape'][0])
        TRANSFORMS.build(dict(type='Resize', scale=(width, height), keep_ratio=False))(self.results)
        self.steps.append(('resize', scale))

    def crop(self, share: float) -> None:
        before = np.array(self.results.get('homography_matrix', np.eye(3)))
        crop = dict(
            type='RandomCrop', crop_size=(share, share), crop_type='relative',
            allow_negative_crop=True,
        )  # fmt: skip
        TRANSFORMS.build(crop)(self.results)
        shift = (self.results['homography_matrix'] @ np.linalg.inv(before))[:2, 2]
        self.steps.append(('crop', shift))

    def point(self, points: list[list[float]], index: int) -> tuple[list[float], int]:
        """Where point ``index`` of the result lies, and which of the file's points it is."""
        for step, _ in reversed(self.steps):
            if step in ('horizontal', 'vertical'):
                index = SWAPPED[index]
        x, y = points[index][:2]
        for step, value in self.steps:
            if step == 'horizontal':
                x = value[1] - x
            elif step == 'vertical':
                y = value[0] - y
            elif step == 'diagonal':
                x, y = value[1] - x, value[0] - y
            elif step == 'resize':
                x, y = x * value[0], y * value[1]
            else:
                x, y = x + value[0], y + value[1]
        return [x, y], index


@pytest.mark.parametrize('seed', range(12))
def test_points_follow_random_chains(seed: int) -> None:
    np.random.seed(seed)  # mmdet draws from it
    rng = np.random.default_rng(seed)
    raw = annotated(seed, int(rng.integers(0, 9)))
    results = Compose([TRANSFORMS.build(step) for step in LOAD])(copy.deepcopy(raw))
    trace = Trace(results)
    original_boxes = results['gt_bboxes'].tensor.clone()
    for _ in range(int(rng.integers(0, 5))):
        step = rng.integers(3)
        if step == 0:
            trace.flip(str(rng.choice(['horizontal', 'vertical', 'diagonal'])))
        elif step == 1:
            trace.resize(*rng.integers(60, 220, 2).tolist())
        else:
            trace.crop(float(rng.uniform(0.6, 0.95)))
        if rng.random() < 0.5:
            follow(results)  # bringing them up to date in between changes nothing
    sample = run([dict(type='mmext.PackKeypointInputs', outside='keep')], results)
    assert len(original_boxes) >= len(sample.gt_instances) + len(sample.ignored_instances)
    check_against_loop(sample, raw, trace)


def check_against_loop(sample: Any, raw: dict[str, Any], trace: Trace) -> None:
    """Every packed instance is one of the file's, each of its points where the loop puts it."""
    for instances, flag in ((sample.gt_instances, 0), (sample.ignored_instances, 1)):
        assert instances.keypoints.dtype == instances.keypoints_visible.dtype == torch.float32
        candidates = [i for i in raw['instances'] if i['ignore_flag'] == flag]
        found = -1
        for row in range(len(instances)):
            for number in range(found + 1, len(candidates)):  # the order stays
                triples = np.reshape(candidates[number]['keypoints'], (5, 3)).tolist()
                if matches(instances, row, triples, trace):
                    found = number
                    break
            else:
                pytest.fail(f'instance {row} has the keypoints of none in the file')


def matches(instances: Any, row: int, triples: list[list[float]], trace: Trace) -> bool:
    for index in range(5):
        expected, source = trace.point(triples, index)
        visible = float(instances.keypoints_visible[row, index])
        if visible != triples[source][2]:
            return False
        # unknown points are (0, 0) in the file's frame: no promise
        if visible and not np.allclose(instances.keypoints[row, index], expected, atol=2e-3):
            return False
    return True


@pytest.mark.parametrize('count', [0, 1, 6])
def test_fields_and_types_with_ignored_instances(count: int) -> None:
    steps = [*LOAD, dict(type='mmext.PackKeypointInputs')]
    sample = run(steps, annotated(3, count))
    kept, ignored = sample.gt_instances, sample.ignored_instances
    assert kept.keypoints.shape == (count - count // 4, 5, 2)
    assert ignored.keypoints.shape == (count // 4, 5, 2)
    assert kept.keypoints_visible.shape == (len(kept.bboxes), 5)
    assert kept.keypoints.dtype == torch.float32
    assert len(kept.labels) == len(kept.keypoints)


def test_points_of_a_test_pipeline_stay_in_the_pixels_of_the_file() -> None:
    raw = annotated(5, 3)
    resize = dict(type='Resize', scale=(80, 60), keep_ratio=True)
    steps = [resize, *LOAD, dict(type='mmext.PackKeypointInputs')]
    sample = run(steps, copy.deepcopy(raw))
    plain = run([*LOAD, dict(type='mmext.PackKeypointInputs')], raw)
    torch.testing.assert_close(sample.gt_instances.keypoints, plain.gt_instances.keypoints)
    # none of them is hidden for lying outside of the small image
    torch.testing.assert_close(
        sample.gt_instances.keypoints_visible, plain.gt_instances.keypoints_visible
    )


@pytest.mark.parametrize('outside', ['keep', 'hide', 'clamp'])
def test_points_outside_of_the_image(outside: str) -> None:
    raw = annotated(0, 1)
    raw['instances'][0]['keypoints'] = [-4, 5, 2, 3, 130, 1, 5, 6, 2, 165, 125, 2, 7, 8, 0]
    pack = dict(type='mmext.PackKeypointInputs', outside=outside)
    faces = run([*LOAD, pack], raw).gt_instances
    visible = [2, 1, 2, 2, 0] if outside != 'hide' else [0, 0, 2, 0, 0]
    assert faces.keypoints_visible.tolist() == [visible]
    first = {'keep': [-4, 5], 'hide': [-4, 5], 'clamp': [0, 5]}[outside]
    fourth = {'keep': [165, 125], 'hide': [165, 125], 'clamp': [160, 120]}[outside]
    assert faces.keypoints[0, 0].tolist() == first
    assert faces.keypoints[0, 3].tolist() == fourth


def test_instances_without_keypoints_have_unknown_ones() -> None:
    raw = annotated(0, 2)
    del raw['instances'][0]['keypoints']
    faces = run([*LOAD, dict(type='mmext.PackKeypointInputs')], raw).gt_instances
    assert faces.keypoints_visible[0].tolist() == [0] * 5
    assert faces.keypoints_visible[1].any()


def test_other_arrays_follow_and_extra_ones_are_packed() -> None:
    results = Compose([TRANSFORMS.build(step) for step in LOAD])(annotated(1, 5))
    mesh = np.random.default_rng(0).uniform(20, 60, (5, 7, 3)).astype(np.float32)
    names = np.array([2, 1, 0, 3, 4, 5, 6])
    add_followers(
        results,
        {'gt_mesh': mesh.copy(), 'gt_attributes': np.arange(10).reshape(5, 2)},
        {'gt_mesh': Follower('points', names), 'gt_attributes': Follower('per_instance')},
    )
    results['gt_weight'] = np.arange(5.0)
    TRANSFORMS.build(dict(type='RandomFlip', prob=1.0))(results)
    TRANSFORMS.build(dict(type='Resize', scale_factor=2.0))(results)
    pack = dict(type='mmext.PackKeypointInputs', extra=dict(gt_weight='weight'))
    sample = run([pack], results)
    expected = mesh[:, names] * 2
    expected[..., 0] = 2 * WIDTH - expected[..., 0]
    np.testing.assert_allclose(sample.gt_instances.mesh, expected[[0, 1, 2, 4]], rtol=1e-5)
    np.testing.assert_allclose(sample.ignored_instances.mesh, expected[[3]], rtol=1e-5)
    assert sample.gt_instances.attributes.tolist() == [[0, 1], [2, 3], [4, 5], [8, 9]]
    assert sample.gt_instances.weight.tolist() == [0, 1, 2, 4]
    assert sample.gt_instances.keypoints.shape == (4, 5, 2)


@pytest.mark.parametrize(
    ('keypoints', 'message'),
    [
        ([1.0] * 14, 'a.jpg, instance 1: keypoints: expected 5 times x, y, visibility, got 14'),
        ([1.0, 2, 3] * 5, 'instance 1: keypoints: expected finite x, y and visibility 0, 1 or 2'),
        ([float('nan'), 2, 2] * 5, 'instance 1: keypoints: expected finite'),
    ],
)
def test_bad_keypoints_are_named(keypoints: list[float], message: str) -> None:
    raw = annotated(0, 2)
    raw['instances'][1]['keypoints'] = keypoints
    with pytest.raises(ValueError, match=message):
        run(LOAD, raw)


def test_missing_number_and_unknown_option() -> None:
    raw = annotated(0, 1)
    del raw['num_keypoints']
    with pytest.raises(ValueError, match='num_keypoints: state it'):
        run(LOAD, raw)
    with pytest.raises(ValueError, match=r"outside: expected one of .*, got 'drop'"):
        TRANSFORMS.build(dict(type='mmext.PackKeypointInputs', outside='drop'))
    pack = dict(type='mmext.PackKeypointInputs', extra=dict(gt_ages='ages'))
    with pytest.raises(ValueError, match='the pipeline has no gt_ages'):
        run([*LOAD, pack], annotated(0, 1))


@pytest.mark.parametrize(
    ('transform', 'message'),
    [
        (dict(type='Expand', prob=1.0, ratio_range=(2, 3)), 'cannot follow a transform'),
        (dict(type='RandomAffine', max_rotate_degree=0.0, scaling_ratio_range=(0.5, 0.6)),
         'keypoints are left|cannot follow a transform'),
        (dict(type='FilterAnnotations', min_gt_bbox_wh=(20, 20)), r'\d boxes, but 6 of their keyp'),
    ],
)  # fmt: skip
def test_transforms_without_a_record_are_refused(transform: dict, message: str) -> None:
    np.random.seed(1)
    with pytest.raises(ValueError, match=message):
        run([*LOAD, transform, dict(type='mmext.PackKeypointInputs')], annotated(2, 6))
