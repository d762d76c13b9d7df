"""Maps between an image and the network's input, for objects as points; pure numpy.

Zhou et al., "Objects as Points", 2019, section 5; numbers of the released code. All
maps are affine, ``[3, 3]`` on columns (x, y, 1), pixels; (0, 0) is the *middle* of the
first pixel, as OpenCV counts.
"""

import numpy as np
from numpy.typing import NDArray

from mmext.errors import InputError

Matrix = NDArray[np.float64]
Size = tuple[int, int]


def centering_matrix(center_xy: tuple[float, float], side_px: float, size_wh: Size) -> Matrix:
    """The map ``[3, 3]`` that takes a point to the middle of the input, ``side_px`` to its width.

    Args:
        center_xy: in the image.
        side_px: of the square of the image that fills the input's width.
        size_wh: width and height of the input, px.

    Raises:
        InputError: a side of 0 or less.
    """
    if side_px <= 0:
        raise InputError(f'side_px: expected more than 0, got {side_px}')
    scale = size_wh[0] / side_px
    shift_x = size_wh[0] / 2 - scale * center_xy[0]
    shift_y = size_wh[1] / 2 - scale * center_xy[1]
    return np.array([[scale, 0, shift_x], [0, scale, shift_y], [0, 0, 1]], np.float64)


def flip_matrix(width_px: int) -> Matrix:
    """The map ``[3, 3]`` that flips an image horizontally: pixel x becomes ``width - 1 - x``."""
    return np.array([[-1, 0, width_px - 1], [0, 1, 0], [0, 0, 1]], np.float64)


def central_margin(size_px: int, margin_px: int = 128) -> int:
    """How far from the border of an image a random center stays.

    This is ``margin_px``, halved until two margins are less than the image.

    >>> central_margin(640), central_margin(200), central_margin(1)
    (128, 64, 0)
    """
    part = 1
    while size_px - margin_px // part <= margin_px // part and margin_px // part:
        part *= 2
    return margin_px // part


def random_warp(
    rng: np.random.RandomState, image_wh: Size, size_wh: Size, scales: NDArray[np.floating]
) -> Matrix:
    """A map ``[3, 3]`` that makes a random square of the image the input; the caller may flip it.

    Args:
        rng: source of randomness.
        image_wh: width and height of the image, px.
        size_wh: of the input, px.
        scales: ``[S]``; the side of the square is the longer side of the image times one of
            them.
    """
    center = [
        float(rng.randint(margin, max(margin + 1, size - margin)))
        for size, margin in ((size, central_margin(size)) for size in image_wh)
    ]
    side = max(image_wh) * float(rng.choice(scales))
    return centering_matrix((center[0], center[1]), side, size_wh)


def warp_boxes(boxes: NDArray[np.floating], matrix: Matrix) -> NDArray[np.float32]:
    """Boxes ``[N, 4]`` xyxy after a map that keeps the axes."""
    corners = boxes.reshape(-1, 2, 2).astype(np.float64)
    moved = corners @ matrix[:2, :2].T + matrix[:2, 2]
    return np.concatenate([moved.min(1), moved.max(1)], 1).astype(np.float32)


def color_matrix(
    rng: np.random.RandomState, mean_gray: float, strength: float = 0.4, lighting: float = 0.1
) -> Matrix:
    """Random brightness, contrast, saturation and lighting as one map of RGB colors.

    Each of the first three is linear in the colors of a pixel, of its gray value or of
    the mean gray value; so any order of them is one matrix, and an image is changed
    once instead of four times.

    Args:
        rng: source of randomness.
        mean_gray: of the image, 0..255.
        strength: each blends by a factor in ``1 - strength .. 1 + strength``.
        lighting: standard deviation of the shift along the principal color axes of
            ImageNet (Krizhevsky et al. 2012, section 4.1).

    Returns:
        ``[3, 4]``, acts on columns (r, g, b, 1).
    """
    change = np.eye(3, 4)
    towards = {
        'brightness': np.zeros((3, 4)),
        'contrast': np.pad(np.full((3, 1), mean_gray), ((0, 0), (3, 0))),
        'saturation': np.pad(np.tile(_GRAY_OF_RGB, (3, 1)), ((0, 0), (0, 1))),
    }
    for name in rng.permutation(list(towards)):
        factor = 1 + rng.uniform(-strength, strength)
        change = factor * change + (1 - factor) * towards[name]
    change[:, 3] += _COLOR_AXES @ (rng.normal(0, lighting, 3) * _COLOR_DEVIATIONS)
    return change


_GRAY_OF_RGB = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
# covariance of the RGB values (0..255) of ImageNet: roots of its eigenvalues, eigenvectors
_COLOR_DEVIATIONS = np.array([55.4625, 4.7940, 1.1475])
_COLOR_AXES = np.array(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
)
