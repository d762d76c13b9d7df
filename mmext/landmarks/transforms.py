"""The data pipeline of crops: an image becomes the crop of one of its objects.

The crop is sampled by the operation that the estimator uses in tests, so that training and test see
the same pixels.
"""

import math
from typing import Any

import numpy as np
import torch
from mmcv.ops import roi_align_rotated
from mmcv.transforms import BaseTransform
from mmdet.structures.bbox import HorizontalBoxes

from mmext.errors import InputError
from mmext.functional.crops import crop_matrices, crops_around, jittered
from mmext.functional.keypoints import warp_points
from mmext.pipelines.keypoint_following import follow, record_warp
from mmext.registry import TRANSFORMS

_BORDER_PX = 2  # the outermost samples see their neighbors, and what is outside is black from 1 px
_PER_OBJECT = ('gt_bboxes_labels', 'gt_ignore_flags', 'gt_instances_ids')


@TRANSFORMS.register_module()
class CropInstance(BaseTransform):
    """The crop of one object, a random one of those with annotated points; for training.

    Put it after ``LoadAnnotations``, ``LoadKeypoints`` and what changes the whole image
    (``RandomFlip``). Pixels outside of the image are black. Changes ``img`` (float32),
    ``img_shape`` and ``gt_bboxes``; all that follows the boxes comes along. An image without such
    an object gives None: mmdet's data sets then take another one.

    Args:
        size: width and height of the crop, px; that of the estimator.
        margin: sides of the crop relative to the box.
        shift: random shift, standard deviation in sides.
        scale: random scale, standard deviation of its logarithm.
        rotation: random rotation, standard deviation in degrees.

    Raises:
        InputError: a number is out of range, or the image has no boxes or points.
    """

    def __init__(
        self,
        size: tuple[int, int],
        margin: float = 1.25,
        shift: float = 0.05,
        scale: float = 0.15,
        rotation: float = 15.0,
    ) -> None:
        if min(size) < 1 or margin <= 0 or min(shift, scale, rotation) < 0:
            raise InputError(
                'CropInstance: expected size and margin above 0 and shift, scale, rotation of at '
                f'least 0, got {size}, {margin}, {shift}, {scale}, {rotation}'
            )
        self.size, self.margin = (int(size[0]), int(size[1])), margin
        self.shift, self.scale, self.rotation = shift, scale, rotation

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Crop the image and all that is on it."""
        for key in ('gt_bboxes', 'gt_keypoints'):
            if key not in results:
                raise InputError(
                    f'CropInstance: no {key}; the pipeline needs LoadAnnotations(with_bbox=True) '
                    'and mmext.LoadKeypoints before it'
                )
        if 'gt_masks' in results:
            raise InputError('CropInstance: masks do not follow, load annotations without them')
        follow(results)
        usable = (results['gt_keypoints_visible'] > 0).any(1)
        usable &= ~np.asarray(results.get('gt_ignore_flags', np.zeros(len(usable))), bool)
        if not usable.any():
            return None
        chosen = int(np.random.choice(np.flatnonzero(usable)))
        boxes = results['gt_bboxes']
        box = torch.as_tensor(getattr(boxes, 'tensor', boxes))[chosen : chosen + 1].float()
        width, height = self.size
        crop = crops_around(box, torch.zeros(1), self.margin, width / height)
        crop = jittered(crop, self.shift, self.scale, np.deg2rad(self.rotation))
        results['img'] = _pixels(results['img'], crop, self.size)
        results['img_shape'] = (height, width)
        matrix = crop_matrices(crop.double(), self.size)[0].numpy()
        corners = box.double().numpy()[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]
        moved = warp_points(corners, matrix)
        around = np.concatenate([moved.min(1), moved.max(1)], 1).astype(np.float32)
        results['gt_bboxes'] = HorizontalBoxes(around)
        for key in _PER_OBJECT:
            if key in results:
                results[key] = results[key][[chosen]]
        record_warp(results, matrix)
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(size={self.size}, margin={self.margin}, shift={self.shift}, '
            f'scale={self.scale}, rotation={self.rotation})'
        )


def _pixels(image: np.ndarray, crop: torch.Tensor, size_wh: tuple[int, int]) -> np.ndarray:
    """The pixels ``[height, width, 3]`` of a crop ``[1, 6]`` of an image ``[H, W, 3]``.

    Only the part of the image around the crop is touched: photos may have many million pixels.
    """
    height, width = image.shape[:2]
    index, x, y, *sides, angle = crop[0].tolist()
    reach = math.hypot(*sides) / 2 + _BORDER_PX
    left = min(max(math.floor(x - reach), 0), width - 1)
    top = min(max(math.floor(y - reach), 0), height - 1)
    right, bottom = max(math.ceil(x + reach), left + 1), max(math.ceil(y + reach), top + 1)
    part = image[top:bottom, left:right]
    moved = crop.new_tensor([[index, x - left, y - top, *sides, angle]])
    planes = torch.from_numpy(np.ascontiguousarray(part, np.float32)).permute(2, 0, 1)
    return sample_crops(planes[None], moved, size_wh)[0].permute(1, 2, 0).numpy()


def sample_crops(
    images: torch.Tensor, crops: torch.Tensor, size_wh: tuple[int, int]
) -> torch.Tensor:
    """The pixels of crops of a batch of images, black outside.

    A pixel of the crop is the mean over as many samples as it covers pixels of the image.

    Args:
        images: ``[B, C, H, W]``.
        crops: ``[M, 6]``, see :mod:`mmext.functional.crops`.
        size_wh: width and height of the result.

    Returns:
        float32 ``[M, C, height, width]``.
    """
    size = size_wh[1], size_wh[0]
    if not len(crops):
        return images.new_zeros((0, images.shape[1], *size), dtype=torch.float32)
    plain = images.float().contiguous()  # mmcv's kernel takes its memory for that
    sampled: torch.Tensor = roi_align_rotated(plain, crops.float(), size, 1.0, 0, True, False)
    return sampled
