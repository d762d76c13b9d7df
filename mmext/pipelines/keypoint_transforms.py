"""Loading and packing of keypoints; in between they follow mmdet's own transforms."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmcv.transforms import to_tensor
from mmcv.transforms.base import BaseTransform
from mmdet.datasets.transforms import PackDetInputs

from mmext.errors import InputError
from mmext.functional.keypoints import UNKNOWN, clamp_points, flip_permutation, hide_outside
from mmext.pipelines.keypoint_following import Follower, add_followers, follow, follower_image_shape
from mmext.registry import TRANSFORMS

_OUTSIDE = ('keep', 'hide', 'clamp')


@TRANSFORMS.register_module()
class LoadKeypoints(BaseTransform):
    """Keypoints of the instances, beside their boxes; put it after ``LoadAnnotations``.

    Takes of each of ``instances`` the entry ``keypoints``: K times x, y and visibility (0 = not
    annotated, 1 = occluded, 2 = visible), flat as in COCO or ``[K, 3]``; no entry means no point
    is annotated. Adds ``gt_keypoints`` ``[N, K, 2]`` and ``gt_keypoints_visible`` ``[N, K]``,
    float32, which from then on follow ``Resize``, ``RandomFlip``, ``RandomCrop`` and whatever
    else records ``homography_matrix``. Points that are not annotated are (0, 0) when loaded.

    Args:
        num_keypoints: K; None takes it from ``results['num_keypoints']``.
        flip_pairs: points that swap in mirror images; None takes ``results['flip_pairs']``.
            Data sets put both into their data from ``metainfo``.

    Raises:
        InputError: no K, a wrong number of values, a value that is not finite, an unknown
            visibility, or wrong pairs.
    """

    def __init__(
        self, num_keypoints: int | None = None, flip_pairs: Sequence[Sequence[int]] | None = None
    ) -> None:
        self.num_keypoints, self.flip_pairs = num_keypoints, flip_pairs

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Adds ``gt_keypoints`` and ``gt_keypoints_visible``; nothing to an image alone."""
        if 'instances' not in results:
            return results
        num = self.num_keypoints or results.get('num_keypoints')
        if not num:
            raise InputError('num_keypoints: state it in LoadKeypoints or in the data set')
        pairs = self.flip_pairs if self.flip_pairs is not None else results.get('flip_pairs', ())
        flip = flip_permutation(num, pairs)
        values = _keypoint_values(results, num)
        visible = np.ascontiguousarray(values[..., 2])
        points = np.where(visible[..., None] > UNKNOWN, values[..., :2], np.float32(0))
        add_followers(
            results,
            {'gt_keypoints': points, 'gt_keypoints_visible': visible},
            {
                'gt_keypoints': Follower('points', flip),
                'gt_keypoints_visible': Follower('per_point', flip),
            },
        )
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(num_keypoints={self.num_keypoints}, '
            f'flip_pairs={self.flip_pairs})'
        )


def _keypoint_values(results: Mapping[str, Any], num: int) -> np.ndarray:
    """x, y and visibility of all instances, float32 ``[N, K, 3]``."""
    nothing = np.zeros(3 * num, np.float32)
    rows = [
        np.asarray(instance.get('keypoints', nothing), np.float32).ravel()
        for instance in results['instances']
    ]
    source = results.get('img_path', 'image')
    for number, row in enumerate(rows):
        if len(row) != 3 * num:
            raise InputError(
                f'{source}, instance {number}: keypoints: expected {num} times x, y, visibility, '
                f'got {len(row)} numbers'
            )
    values = np.stack(rows).reshape(-1, num, 3) if rows else np.zeros((0, num, 3), np.float32)
    flags = values[..., 2]
    is_known = (flags == 0) | (flags == 1) | (flags == 2)
    wrong = ~(np.isfinite(values).all(axis=2) & is_known).all(axis=1)
    if wrong.any():
        number = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f'{source}, instance {number}: keypoints: expected finite x, y and visibility 0, 1 '
            f'or 2, got {rows[number].tolist()}'
        )
    return values


@TRANSFORMS.register_module()
class PackKeypointInputs(PackDetInputs):
    """``PackDetInputs`` that also packs what follows the boxes.

    ``gt_keypoints`` becomes ``gt_instances.keypoints`` ``[N, K, 2]``, ``gt_keypoints_visible``
    ``.keypoints_visible`` ``[N, K]``, and so every follower (``keypoint_following.py``)
    by its name without ``gt_``; ignored instances have theirs in ``ignored_instances``.

    Args:
        outside: points outside of the image: ``'hide'`` makes them unknown (visibility 0),
            ``'clamp'`` moves them onto the border, ``'keep'`` leaves them.
        extra: more per-instance arrays ``[N, ...]``, key of the pipeline to field.
        meta_keys: of mmdet.

    Raises:
        InputError: an option is unknown; an array of ``extra`` is missing or of another length
            than the boxes; the boxes were moved in a way that keypoints cannot follow.
    """

    def __init__(
        self,
        outside: str = 'hide',
        extra: Mapping[str, str] | None = None,
        meta_keys: Sequence[str] = (
            *('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
            *('flip', 'flip_direction'),
        ),
    ) -> None:
        super().__init__(meta_keys=meta_keys)
        if outside not in _OUTSIDE:
            raise InputError(f'outside: expected one of {_OUTSIDE}, got {outside!r}')
        self.outside, self.extra = outside, dict(extra or {})

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Packs ``inputs`` and ``data_samples``."""
        follow(results)
        self._treat_outside(results)
        packed: dict[str, Any] = super().transform(results)
        sample = packed['data_samples']
        fields = {name: name.removeprefix('gt_') for name in results.get('followers', {})}
        for key, field in {**fields, **self.extra}.items():
            if key not in results:
                raise InputError(f'extra: the pipeline has no {key}')
            array = np.ascontiguousarray(results[key])
            ignored = np.asarray(results.get('gt_ignore_flags', np.zeros(len(array))), bool)
            if len(array) != len(ignored):
                raise InputError(f'{key}: expected {len(ignored)} instances, got {len(array)}')
            sample.gt_instances[field] = to_tensor(array[~ignored])
            sample.ignored_instances[field] = to_tensor(array[ignored])
        return packed

    def _treat_outside(self, results: dict[str, Any]) -> None:
        if self.outside == 'keep' or 'gt_keypoints' not in results.get('followers', {}):
            return
        shape, points = follower_image_shape(results), results['gt_keypoints']
        if self.outside == 'clamp':
            results['gt_keypoints'] = clamp_points(points, shape)
        else:
            visible = results['gt_keypoints_visible']
            results['gt_keypoints_visible'] = hide_outside(points, visible, shape)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(outside={self.outside!r}, extra={self.extra}, '
            f'meta_keys={tuple(self.meta_keys)})'
        )
