"""Augmentation and test-time preparation of images, for objects as points.

Zhou et al., "Objects as Points", 2019, section 5. An image goes through one affine map
into the network's input; boxes go with it, and key points follow by what
:mod:`mmext.pipelines.keypoint_transforms` reads from the record.
"""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.structures.bbox import HorizontalBoxes

from mmext.centernet.image_warp import (
    Matrix,
    centering_matrix,
    color_matrix,
    flip_matrix,
    random_warp,
    warp_boxes,
)
from mmext.errors import InputError
from mmext.registry import TRANSFORMS

Results = dict[str, Any]
Resolution = Literal['fixed', 'keep']


@TRANSFORMS.register_module()
class RandomCenterWarp(BaseTransform):
    """A random square of the image, flipped or not, as the network's input.

    The square's side is the image's longer side times a random scale, its center
    anywhere but near the border; what lies outside of the image is black. Boxes are cut
    at the input's border, those that have no area left are dropped. Changes ``img``,
    ``img_shape``, ``gt_bboxes`` and what belongs to them, ``flip``.

    Args:
        size: width and height of the input, px.
        scales: lowest and highest, in steps of 0.1.
        flip_prob: probability that the image is flipped.
    """

    def __init__(
        self,
        size: tuple[int, int] = (512, 512),
        scales: tuple[float, float] = (0.6, 1.3),
        flip_prob: float = 0.5,
    ) -> None:
        if min(size) < 1 or not 0 < scales[0] <= scales[1] or not 0 <= flip_prob <= 1:
            raise InputError(
                'expected size > 0, 0 < scales[0] <= scales[1] and flip_prob in 0..1, '
                f'got {size}, {scales}, {flip_prob}'
            )
        self.size, self.scales, self.flip_prob = _pair(size), tuple(scales), flip_prob
        self._steps = np.arange(scales[0], scales[1] + 1e-6, 0.1)

    def transform(self, results: Results) -> Results:
        """Warp the image and what is on it."""
        rng = np.random.mtrand._rand
        height, width = results['img'].shape[:2]
        matrix = random_warp(rng, (width, height), self.size, self._steps)
        results['flip'] = bool(rng.uniform() < self.flip_prob)
        results['flip_direction'] = 'horizontal' if results['flip'] else None
        if results['flip']:
            matrix = matrix @ flip_matrix(width)
        _warp_image(results, matrix, self.size)
        _move_boxes(results, matrix, self.size)
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(size={self.size}, scales={self.scales}, '
            f'flip_prob={self.flip_prob})'
        )


@TRANSFORMS.register_module()
class CenterWarp(BaseTransform):
    """The whole image in the middle of the network's input, for tests.

    Adds ``border``, where the image is in the input (top, bottom, left, right edge; px,
    may be fractions) as mmdet's RandomCenterCropPad says it, and ``scale_factor``: by them
    the heads, mmdet's too, find back; both must be among the ``meta_keys`` that are packed.
    Load annotations after this, as test pipelines do.

    Args:
        resolution: 'fixed': the longer side fills ``size``. 'keep': the image keeps its
            resolution times ``scale``, on a canvas of the next size that the strides
            divide, at least one pixel larger.
        size: width and height of the fixed input, px.
        scale: of 'keep', for multi-scale tests.
        divisor: of 'keep', 32, or 128 for an hourglass.
    """

    def __init__(
        self,
        resolution: Resolution = 'keep',
        size: tuple[int, int] = (512, 512),
        scale: float = 1.0,
        divisor: int = 32,
    ) -> None:
        if resolution not in get_args(Resolution):
            raise InputError(f'resolution: expected one of {get_args(Resolution)}: {resolution!r}')
        if scale <= 0 or divisor < 1 or (resolution == 'fixed' and scale != 1):
            raise InputError(
                "expected scale > 0 (1 for 'fixed') and divisor >= 1, "
                f'got {resolution!r}, {scale}, {divisor}'
            )
        self.resolution, self.size = resolution, _pair(size)
        self.scale, self.divisor = scale, divisor

    def transform(self, results: Results) -> Results:
        """Set the image into its canvas."""
        height, width = results['img'].shape[:2]
        if self.resolution == 'fixed':
            size = self.size
            matrix = centering_matrix((width / 2, height / 2), max(height, width), size)
        else:
            resized = max(1, int(width * self.scale)), max(1, int(height * self.scale))
            if resized != (width, height):
                results['img'] = cv2.resize(results['img'], resized)
            size = _pair([(side // self.divisor + 1) * self.divisor for side in resized])
            matrix = np.diag([resized[0] / width, resized[1] / height, 1.0])
            matrix[:2, 2] = [
                side / 2 - inner // 2 for side, inner in zip(size, resized, strict=True)
            ]
        _warp_image(results, matrix, size, is_resized=self.resolution == 'keep')
        _move_boxes(results, matrix, size)
        scale_factor, (left, top) = matrix.diagonal()[:2], matrix[:2, 2]
        right, bottom = left + scale_factor[0] * width, top + scale_factor[1] * height
        results['border'] = [float(v) for v in (top, bottom, left, right)]
        results['scale_factor'] = tuple(float(v) for v in scale_factor)
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(resolution={self.resolution!r}, size={self.size}, '
            f'scale={self.scale}, divisor={self.divisor})'
        )


@TRANSFORMS.register_module()
class CenterNetColorJitter(BaseTransform):
    """Random brightness, contrast, saturation and PCA lighting of a BGR image.

    The order of the first three is random (CornerNet, section 4.1, and after it both
    CenterNets). An image of bytes is cut at 0 and 255; the released code keeps floats.

    Args:
        strength: of the first three.
        lighting: of the last.
    """

    def __init__(self, strength: float = 0.4, lighting: float = 0.1) -> None:
        self.strength, self.lighting = strength, lighting

    def transform(self, results: Results) -> Results:
        """Change ``img``."""
        image = results['img']
        mean_gray = float(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).mean())
        of_rgb = color_matrix(np.random.mtrand._rand, mean_gray, self.strength, self.lighting)
        results['img'] = cv2.transform(image, of_rgb[[2, 1, 0]][:, [2, 1, 0, 3]])
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(strength={self.strength}, lighting={self.lighting})'


def _pair(values: Sequence[int]) -> tuple[int, int]:
    width, height = values
    return int(width), int(height)


def _warp_image(
    results: Results, matrix: Matrix, size_wh: Sequence[int], is_resized: bool = False
) -> None:
    """Warp the image, black around it; one that is resized already is only moved."""
    size = _pair(size_wh)
    remaining = matrix[:2].copy()
    if is_resized:
        remaining[:, :2] = np.eye(2)
    results['img'] = cv2.warpAffine(results['img'], remaining, size, flags=cv2.INTER_LINEAR)
    results['img_shape'] = size[::-1]
    # as the host's transforms record what they did
    results['homography_matrix'] = matrix @ results.get('homography_matrix', np.eye(3))


def _move_boxes(results: Results, matrix: Matrix, size_wh: Sequence[int]) -> None:
    if 'gt_masks' in results:
        raise InputError('gt_masks: do not follow the image here, load annotations without masks')
    if 'gt_bboxes' not in results:
        return
    boxes = warp_boxes(results['gt_bboxes'].numpy(), matrix)
    boxes = boxes.clip(0, np.array([*size_wh, *size_wh], np.float32))
    kept = (boxes[:, 2:] > boxes[:, :2]).all(1)
    results['gt_bboxes'] = HorizontalBoxes(boxes[kept])
    for key in ('gt_bboxes_labels', 'gt_ignore_flags', 'gt_instances_ids'):
        if key in results:
            results[key] = results[key][kept]
