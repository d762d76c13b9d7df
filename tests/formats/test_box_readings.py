"""Boxes in another form than COCO's: found by the images they leave."""

import numpy as np
import pytest

from mmext.errors import InputError
from mmext.formats.box_readings import check_extents


def right_boxes(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes x, y, w, h inside of images of 640 x 480 px, and the sizes of these."""
    rng = np.random.default_rng(seed)
    size = np.array([640.0, 480.0])
    sides = rng.uniform(10, 0.8 * size, (count, 2))
    corners = rng.uniform(0, 1, (count, 2)) * (size - sides)
    return np.concatenate([corners, sides], axis=1), np.tile(size, (count, 1))


def written(xywh: np.ndarray, form: str) -> np.ndarray:
    x, y, w, h = xywh.T
    columns = {
        'right': (x, y, w, h),
        'corners': (x, y, x + w, y + h),
        'center': (x + w / 2, y + h / 2, w, h),
        'y, x': (y, x, h, w),
    }
    return np.stack(columns[form], axis=1)


def read(numbers: np.ndarray) -> np.ndarray:
    """As every reader of COCO files does."""
    return np.concatenate([numbers[:, :2], numbers[:, :2] + numbers[:, 2:]], axis=1)


@pytest.mark.parametrize('form', ['corners', 'center', 'y, x'])
@pytest.mark.parametrize('seed', range(5))
def test_other_forms_are_named(form: str, seed: int) -> None:
    boxes, sizes = right_boxes(40, seed)
    with pytest.raises(InputError, match=rf'of 40 boxes reach out .* read as {form}'):
        check_extents(read(written(boxes, form)), sizes, 'train')


@pytest.mark.parametrize('seed', range(5))
def test_right_and_careless_boxes_pass(seed: int) -> None:
    boxes, sizes = right_boxes(200, seed)
    check_extents(read(boxes), sizes, 'train')
    careless = boxes + np.random.default_rng(seed).normal(0, 6, boxes.shape)
    careless[:, 2:] += 20  # half of those at the border reach out
    check_extents(read(careless), sizes, 'train')
    huge = boxes * 3
    check_extents(read(huge), sizes, 'train')  # wrong, but in no form that is known


def test_too_little_to_tell() -> None:
    boxes, sizes = right_boxes(7, 0)
    corners = read(written(boxes, 'corners'))
    check_extents(corners, sizes, 'train')
    check_extents(np.tile(corners, (9, 1)), np.full((63, 2), np.nan), 'train')
    check_extents(np.zeros((0, 4)), np.zeros((0, 2)), 'train')


def test_numbers_of_the_message() -> None:
    boxes = np.array([[10.0, 20, 30, 40]] * 8 + [[300, 200, 200, 100]] * 8)
    sizes = np.tile([640.0, 480.0], (16, 1))
    with pytest.raises(InputError) as error:
        check_extents(read(written(boxes, 'corners')), sizes, 'train (a.json)')
    assert str(error.value).startswith(
        'train (a.json): 8 of 16 boxes reach out of their image, read as corners x1, y1, x2, y2 '
        'they would fit (first: bbox [300, 200, 500, 300], image 640x480)'
    )
