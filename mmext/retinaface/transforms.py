"""Loading of faces and the square crops they are trained on."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmcv.transforms.base import BaseTransform
from mmdet.structures.bbox import HorizontalBoxes

from mmext.errors import InputError
from mmext.functional.keypoints import flip_permutation
from mmext.pipelines.keypoint_following import Follower, add_followers, record_warp
from mmext.pipelines.keypoint_transforms import LoadKeypoints
from mmext.registry import TRANSFORMS
from mmext.retinaface.square_crops import centers_inside, choose_crop, draw_crops


@TRANSFORMS.register_module()
class LoadFaceAnnotations(LoadKeypoints):
    """Landmarks, attributes and meshes of the faces; put it after ``LoadAnnotations``.

    Adds what ``mmext.LoadKeypoints`` adds, and, as far as the data set has them:

    - ``gt_attributes`` ``[N, A]`` int64, -1 = unknown;
    - ``gt_mesh`` ``[N, V, 3]`` float32 in pixels, 0 where there is none, and ``gt_mesh_valid``
      ``[N]`` bool; in flipped images the pairs of ``mesh_flip_pairs`` swap.

    Raises:
        InputError: as there; attributes or a mesh of the wrong size.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Adds all fields that the data set has."""
        super().transform(results)
        if 'instances' not in results:  # an image alone, to be predicted
            return results
        instances, source = results['instances'], results.get('img_path', 'image')
        arrays: dict[str, Any] = {}
        how: dict[str, Follower] = {}
        if num_attributes := results.get('num_attributes', 0):
            unknown = [-1] * num_attributes
            rows = [instance.get('attributes', unknown) for instance in instances]
            _check_lengths('attributes', rows, num_attributes, source)
            arrays['gt_attributes'] = np.array(rows, np.int64).reshape(-1, num_attributes)
            how['gt_attributes'] = Follower('per_instance')
        if num_vertices := results.get('num_mesh_vertices', 0):
            meshes = [instance.get('mesh') for instance in instances]
            nothing = np.zeros((num_vertices, 3), np.float32)
            filled = [nothing if mesh is None else mesh for mesh in meshes]
            _check_lengths('mesh', filled, num_vertices, source)
            arrays['gt_mesh'] = np.array(filled, np.float32).reshape(-1, num_vertices, 3)
            arrays['gt_mesh_valid'] = np.array([mesh is not None for mesh in meshes], bool)
            permutation = flip_permutation(num_vertices, results.get('mesh_flip_pairs', ()))
            how['gt_mesh'] = Follower('points', permutation)
            how['gt_mesh_valid'] = Follower('per_instance')
        add_followers(results, arrays, how)
        return results


def _check_lengths(name: str, rows: Sequence[Any], expected: int, source: str) -> None:
    for number, row in enumerate(rows):
        if len(row) != expected:
            raise InputError(
                f'{source}, instance {number}: {name}: expected {expected}, got {len(row)}'
            )


@TRANSFORMS.register_module()
class RandomSquareCrop(BaseTransform):
    """A square part of the image; with ``Resize`` after it, the scale augmentation of face nets.

    All candidates are drawn at once and tested against all faces in a few tables. Faces whose
    center is inside the chosen square stay, their boxes are cut at its border, landmarks and
    meshes follow. A square larger than the image is filled up around it with ``pad_value``.

    Args:
        scales: sides, relative to the short edge of the image: a range (low, high), or with
            ``discrete`` the sides themselves. (0.3, 1.0) is the paper's; (0.3, 0.45, 0.6,
            0.8, 1.0) that of the PyTorch port; SCRFD's go up to 2.
        discrete: see ``scales``.
        require: what the square must have: ``'whole'``, a face all inside; ``'center'``, the center
            of a face; ``'nothing'``. An image without faces never has to.
        trials: number of candidates. If none has it, the whole image is taken, filled up below
            and to the right to a square.
        pad_value: for each channel of the image.

    Raises:
        InputError: an option is out of range.
    """

    def __init__(
        self,
        scales: Sequence[float] = (0.3, 1.0),
        discrete: bool = False,
        require: str = 'whole',
        trials: int = 250,
        pad_value: Sequence[float] = (104.0, 117.0, 123.0),
    ) -> None:
        if min(scales) <= 0 or (not discrete and (len(scales) != 2 or scales[0] > scales[1])):
            raise InputError(f'scales: expected (low, high), or sides if discrete, got {scales}')
        if require not in ('whole', 'center', 'nothing'):
            raise InputError(f"require: expected 'whole', 'center' or 'nothing', got {require!r}")
        if trials < 1:
            raise InputError(f'trials: expected 1 or more, got {trials}')
        self.scales, self.discrete, self.require = tuple(scales), discrete, require
        self.trials, self.pad_value = trials, tuple(pad_value)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replaces the image, its boxes and what belongs to them."""
        shape = results['img'].shape[:2]
        boxes = results['gt_bboxes'].tensor.numpy()
        counting = results.get('gt_ignore_flags', np.zeros(len(boxes), bool)) == 0
        rng = np.random.default_rng(np.random.randint(2**31, size=4))  # mmengine seeds np.random
        crops = draw_crops(rng, shape, self.scales, self.discrete, self.trials)
        crop = choose_crop(crops, boxes[counting], self.require, shape)
        left, top, side = (int(v) for v in crop)
        results['img'] = _cut(results['img'], left, top, side, self.pad_value)
        results['img_shape'] = (side, side)
        record_warp(results, np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]]))
        kept = centers_inside(boxes, crop[None])[0]
        results['gt_bboxes'] = HorizontalBoxes(boxes[kept] - (left, top, left, top))
        results['gt_bboxes'].clip_((side, side))
        for name in ('gt_bboxes_labels', 'gt_ignore_flags', 'gt_instances_ids'):
            if name in results:
                results[name] = results[name][kept]
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(scales={self.scales}, discrete={self.discrete}, '
            f'require={self.require!r}, trials={self.trials}, pad_value={self.pad_value})'
        )


def _cut(image: np.ndarray, left: int, top: int, side: int, value: Sequence[float]) -> np.ndarray:
    """A square of the image, filled up where it is larger."""
    part = image[max(top, 0) : top + side, max(left, 0) : left + side]
    above, before = max(-top, 0), max(-left, 0)
    below, after = side - above - part.shape[0], side - before - part.shape[1]
    if not (above or below or before or after):
        return part
    border = cv2.BORDER_CONSTANT
    return cv2.copyMakeBorder(part, above, below, before, after, border, value=tuple(value))
