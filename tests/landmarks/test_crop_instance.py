"""The crop of an object, and all that goes there with it."""

from typing import Any

import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.registry import init_default_scope

from mmext.landmarks.transforms import CropInstance, _pixels, sample_crops
from mmext.registry import TRANSFORMS

PAIRS = ((0, 1),)


def results(**changed: Any) -> dict[str, Any]:
    """A picture whose channels are x, y and x + y of its pixels, with two objects."""
    ys, xs = np.mgrid[0:60, 0:80].astype(np.float32) + 0.5
    made = dict(
        img=np.stack([xs, ys, xs + ys], 2),
        img_shape=(60, 80),
        ori_shape=(60, 80),
        img_path='p.png',
        gt_bboxes=HorizontalBoxes(np.array([[20, 10, 60, 50], [30, 20, 50, 40]], np.float32)),
        gt_bboxes_labels=np.array([0, 1]),
        gt_ignore_flags=np.array([False, False]),
        instances=[
            dict(keypoints=[30, 20, 2, 50, 25, 1, 0, 0, 0]),
            dict(keypoints=[40, 30, 2, 35, 25, 2, 45, 35, 2]),
        ],
    )
    return made | changed


def run(data: dict[str, Any], *steps: dict) -> Any:
    init_default_scope('mmdet')
    load = dict(type='mmext.LoadKeypoints', num_keypoints=3, flip_pairs=PAIRS)
    pack = dict(type='mmext.PackKeypointInputs', outside='keep', meta_keys=())
    built = [TRANSFORMS.build(step) for step in (load, *steps, pack)]
    return Compose(built)(data)


def test_points_lie_where_their_pixels_lie() -> None:
    np.random.seed(0)
    torch.manual_seed(0)
    step = dict(type='mmext.CropInstance', size=(48, 32), rotation=30.0)
    labels = set()
    for _ in range(12):
        packed = run(results(), step)
        sample, image = packed['data_samples'], packed['inputs']
        assert image.shape == (3, 32, 48)
        gt = sample.gt_instances
        assert len(gt) == 1
        labels.add(int(gt.labels))
        original = [[30, 20], [50, 25]] if gt.labels == 0 else [[40, 30], [35, 25], [45, 35]]
        for (x, y), (u, v), seen in zip(
            original, gt.keypoints[0].tolist(), gt.keypoints_visible[0], strict=False
        ):
            assert seen > 0
            column, row = round(u - 0.5), round(v - 0.5)
            if 1 <= column < 47 and 1 <= row < 31:
                step_px = 2.6  # a pixel of the crop covers up to so many of the image
                assert abs(image[0, row, column] - x) < step_px
                assert abs(image[1, row, column] - y) < step_px
        if gt.labels == 0:
            assert gt.keypoints_visible[0].tolist() == [2, 1, 0]
    assert labels == {0, 1}


def test_without_jitter_the_box_fills_its_share() -> None:
    step = dict(type='mmext.CropInstance', size=(40, 40), margin=2.0, shift=0, scale=0, rotation=0)
    data = results(gt_ignore_flags=np.array([True, False]))
    gt = run(data, step)['data_samples'].gt_instances
    assert gt.bboxes.tensor.tolist() == [[10, 10, 30, 30]]
    assert gt.keypoints[0].tolist() == [[20, 20], [15, 15], [25, 25]]


def test_flipped_before_names_swap() -> None:
    step = dict(type='mmext.CropInstance', size=(40, 40), margin=2.0, shift=0, scale=0, rotation=0)
    data = results(gt_ignore_flags=np.array([True, False]))
    gt = run(data, dict(type='RandomFlip', prob=1.0), step)['data_samples'].gt_instances
    assert gt.keypoints[0].tolist() == [[25, 15], [20, 20], [15, 25]]


def test_an_image_without_points_is_passed_over() -> None:
    step = dict(type='mmext.CropInstance', size=(40, 40))
    assert run(results(instances=[{}, {}]), step) is None
    assert run(results(gt_ignore_flags=np.array([True, True])), step) is None


def test_outside_is_black_and_no_crop_is_no_crop() -> None:
    image = torch.full((1, 3, 20, 20), 200.0)
    crop = torch.tensor([[0.0, 0.0, 10.0, 20.0, 20.0, 0.0]])
    pixels = sample_crops(image, crop, (20, 20))
    assert (pixels[..., :9] == 0).all()
    assert (pixels[..., 2:18, 12:] == 200).all()
    image = torch.rand(1, 20, 30, 3)
    channels_last = image.permute(0, 3, 1, 2)
    expected = sample_crops(channels_last.contiguous(), crop, (8, 8))
    assert torch.equal(sample_crops(channels_last, crop, (8, 8)), expected)
    assert sample_crops(image, crop[:0], (6, 4)).shape == (0, 20, 4, 6)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match='size and margin above 0'):
        CropInstance(size=(0, 4))
    with pytest.raises(ValueError, match='no gt_keypoints'):
        CropInstance(size=(4, 4))(results())
    with pytest.raises(ValueError, match='masks'):
        CropInstance(size=(4, 4))(results(gt_keypoints=1, gt_masks=1))


def test_the_part_around_a_crop_gives_the_same_pixels_as_the_whole_image() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (60, 90, 3), np.uint8)
    before = image.copy()
    whole = torch.from_numpy(image).permute(2, 0, 1)[None]
    crops = [[0, x, y, w, h, a] for x, y, w, h, a in zip(
        rng.uniform(-30, 120, 40), rng.uniform(-30, 90, 40), rng.uniform(0.5, 60, 40),
        rng.uniform(0.5, 60, 40), rng.uniform(-4, 4, 40), strict=True,
    )]  # fmt: skip
    edges = [
        [0, 0, 0, 2, 2, 0],
        [0, 90, 60, 3, 3, 0],
        [0, -1.5, 30, 2, 9, 0],
        [0, 45, 30, 300, 200, 1],
    ]
    seen = 0
    for values in crops + edges:
        crop = torch.tensor([values], dtype=torch.float32)
        expected = sample_crops(whole, crop, (12, 8))[0].permute(1, 2, 0).numpy()
        np.testing.assert_allclose(_pixels(image, crop, (12, 8)), expected, atol=0.02)
        seen += bool(expected.any())
    assert 20 < seen < len(crops) + len(edges)
    np.testing.assert_array_equal(image, before)
