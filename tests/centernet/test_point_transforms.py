import cv2
import numpy as np
import pytest
from mmcv.transforms import Compose
from mmdet.structures.bbox import HorizontalBoxes

from mmext.centernet.image_warp import flip_matrix
from mmext.registry import TRANSFORMS


def blob_image(points: np.ndarray, height: int = 120, width: int = 200) -> np.ndarray:
    """Black with a bright spot around each point."""
    image = np.zeros((height, width, 3), np.uint8)
    for x, y in points:
        cv2.circle(image, (int(x), int(y)), 3, (255, 255, 255), -1)
    return image


def spot_center(image: np.ndarray) -> np.ndarray:
    ys, xs = np.nonzero(image[..., 0] > 127)
    return np.array([xs.mean(), ys.mean()])


def results_of(image: np.ndarray, boxes: np.ndarray) -> dict:
    return dict(
        img=image,
        img_shape=image.shape[:2],
        ori_shape=image.shape[:2],
        img_id=0,
        img_path='x.jpg',
        gt_bboxes=HorizontalBoxes(boxes.astype(np.float32)),
        gt_bboxes_labels=np.arange(len(boxes)),
        gt_ignore_flags=np.zeros(len(boxes), bool),
        instances=[dict(keypoints=[*(b[:2] + b[2:]) / 2, 2, 90.0, 60.0, 1]) for b in boxes],
    )


class TestRandomCenterWarp:
    def test_boxes_go_where_the_image_goes(self) -> None:
        transform = TRANSFORMS.build(dict(type='mmext.RandomCenterWarp', size=(96, 96)))
        mirrored = 0
        for seed in range(25):
            np.random.seed(seed)
            point = np.array([100.0, 60.0])
            box = np.array([[*(point - 6), *(point + 6)]])
            out = transform(results_of(blob_image([point]), box))
            assert out['img'].shape == (96, 96, 3)
            assert out['img_shape'] == (96, 96)
            found = out['gt_bboxes'].numpy()
            if len(found) and (found > 1).all() and (found < 95).all():
                middle = (found[0, :2] + found[0, 2:]) / 2
                assert np.abs(spot_center(out['img']) - middle).max() < 0.6
                mirrored += out['flip']
        assert 0 < mirrored < 25

    def test_what_is_cut_away_is_dropped_with_all_that_belongs_to_it(self) -> None:
        np.random.seed(0)
        transform = TRANSFORMS.build(
            dict(type='mmext.RandomCenterWarp', size=(64, 64), scales=(0.3, 0.3), flip_prob=0.0)
        )
        boxes = np.stack([np.array([x, 50, x + 8, 58]) for x in range(0, 190, 10)])
        out = transform(results_of(blob_image([]), boxes))
        left = len(out['gt_bboxes'])
        assert 0 < left < len(boxes)
        assert len(out['gt_bboxes_labels']) == len(out['gt_ignore_flags']) == left
        corners = out['gt_bboxes'].numpy()
        assert (corners >= 0).all()
        assert (corners <= 64).all()
        assert (corners[:, 2:] > corners[:, :2]).all()
        x_of_label = (np.linalg.inv(out['homography_matrix']) @ [*corners[1, :2], 1])[0]
        assert x_of_label == pytest.approx(10 * out['gt_bboxes_labels'][1])

    def test_no_boxes(self) -> None:
        transform = TRANSFORMS.build(dict(type='mmext.RandomCenterWarp', size=(64, 64)))
        assert len(transform(results_of(blob_image([]), np.zeros((0, 4))))['gt_bboxes']) == 0
        assert 'gt_bboxes' not in transform(dict(img=blob_image([])))

    def test_masks_are_refused(self) -> None:
        transform = TRANSFORMS.build(dict(type='mmext.RandomCenterWarp', size=(64, 64)))
        results = results_of(blob_image([]), np.zeros((0, 4))) | dict(gt_masks=[])
        with pytest.raises(ValueError, match='gt_masks: do not follow the image'):
            transform(results)

    def test_key_points_follow(self) -> None:
        pipeline = Compose(
            [
                dict(type='mmext.LoadKeypoints', num_keypoints=2, flip_pairs=[(0, 1)]),
                dict(type='mmext.RandomCenterWarp', size=(96, 96), flip_prob=1.0),
                dict(type='mmext.PackKeypointInputs', outside='keep'),
            ]
        )
        np.random.seed(1)
        results = results_of(blob_image([]), np.array([[80.0, 40, 110, 70]]))
        packed = pipeline(results)['data_samples']
        matrix = results['homography_matrix']
        assert np.linalg.det(matrix) < 0
        first, second = packed.gt_instances.keypoints[0].numpy()
        assert first == pytest.approx((matrix @ [90, 60, 1])[:2], abs=1e-3)
        assert second == pytest.approx((matrix @ [95, 55, 1])[:2], abs=1e-3)
        assert packed.gt_instances.keypoints_visible.tolist() == [[1, 2]]

    def test_arguments(self) -> None:
        with pytest.raises(ValueError, match='expected size > 0'):
            TRANSFORMS.build(dict(type='mmext.RandomCenterWarp', scales=(1.3, 0.6)))


class TestCenterWarp:
    @pytest.mark.parametrize(
        'arguments',
        [
            dict(resolution='fixed', size=(128, 128)),
            dict(resolution='keep'),
            dict(resolution='keep', scale=1.5, divisor=128),
            dict(resolution='keep', scale=0.5),
        ],
    )
    def test_border_and_scale_find_back(self, arguments: dict) -> None:
        transform = TRANSFORMS.build(dict(type='mmext.CenterWarp', **arguments))
        point = np.array([60.0, 40.0])
        out = transform(dict(img=blob_image([point])))
        height, width = out['img'].shape[:2]
        top, bottom, left, right = out['border']
        scale_x, scale_y = out['scale_factor']
        found = (spot_center(out['img']) - [left, top]) / [scale_x, scale_y]
        assert np.abs(found - point).max() < 1.0
        assert right - left == pytest.approx(scale_x * 200)
        assert bottom - top == pytest.approx(scale_y * 120)
        assert left + right == pytest.approx(width, abs=1) and right <= width
        assert top + bottom == pytest.approx(height, abs=1) and bottom <= height
        if arguments['resolution'] == 'keep':
            divisor = arguments.get('divisor', 32)
            assert height % divisor == width % divisor == 0

    @pytest.mark.parametrize(
        'arguments', [dict(resolution='fixed', size=(64, 64)), dict(scale=1.7), dict(scale=0.4)]
    )
    def test_annotations_loaded_before_move(self, arguments: dict) -> None:
        transform = TRANSFORMS.build(dict(type='mmext.CenterWarp', **arguments))
        box = np.array([[54.0, 34, 66, 46]])
        out = transform(results_of(blob_image([[60, 40]]), box))
        moved = out['gt_bboxes'].numpy()[0]
        assert np.abs(spot_center(out['img']) - (moved[:2] + moved[2:]) / 2).max() < 1.0
        corner = out['homography_matrix'] @ [54, 34, 1]
        assert moved[:2] == pytest.approx(corner[:2], abs=1e-4)

    def test_published_sizes(self) -> None:
        """(side | 31) + 1 of a 640 x 427 photo; the canvas is larger than an even fit too."""
        transform = TRANSFORMS.build(dict(type='mmext.CenterWarp'))
        out = transform(dict(img=np.full((427, 640, 3), 7, np.uint8)))
        assert out['img'].shape[:2] == (448, 672)
        assert out['border'] == [11.0, 438.0, 16.0, 656.0]
        assert (out['img'][11:438, 16:656] == 7).all()
        assert out['img'].sum() == 7 * 3 * 427 * 640

    def test_arguments(self) -> None:
        with pytest.raises(ValueError, match='resolution: expected one of'):
            TRANSFORMS.build(dict(type='mmext.CenterWarp', resolution='best'))
        with pytest.raises(ValueError, match='expected scale > 0'):
            TRANSFORMS.build(dict(type='mmext.CenterWarp', resolution='fixed', scale=2.0))


def test_color_jitter_changes_colours_and_nothing_else() -> None:
    transform = TRANSFORMS.build(dict(type='mmext.CenterNetColorJitter'))
    image = np.random.RandomState(0).randint(0, 256, (20, 30, 3)).astype(np.uint8)
    np.random.seed(0)
    first = transform(dict(img=image.copy()))['img']
    second = transform(dict(img=image.copy()))['img']
    assert first.dtype == np.uint8
    assert first.shape == image.shape
    assert not np.array_equal(first, image)
    assert not np.array_equal(first, second)
    gray = TRANSFORMS.build(dict(type='mmext.CenterNetColorJitter', strength=0.0, lighting=0.0))
    assert np.array_equal(gray(dict(img=image.copy()))['img'], image)


def test_flip_counts_pixels_as_opencv_does() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    warped = cv2.warpAffine(image, flip_matrix(4)[:2], (4, 3))
    assert np.array_equal(warped, image[:, ::-1])
