"""Loading, augmenting and packing of key frames with their references."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform, Compose
from mmdet.datasets.transforms import PackDetInputs
from mmengine.structures import InstanceData

from mmext.errors import InputError
from mmext.registry import TRANSFORMS
from mmext.upsnet.transforms import LoadPanopticAnnotations

REFERENCE = 'reference'
_META_KEYS = (
    *('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction'),
    *('video_id', 'frame_id', 'video_length'),
    'homography_matrix',  # where pixels of the file went: flow read from files follows
    *('seg_map_path', 'segments_info'),  # the truth of VideoPanopticQualityMetric
)


@TRANSFORMS.register_module()
class LoadVideoPanopticAnnotations(LoadPanopticAnnotations):
    """Annotations of a frame with the ids of its objects.

    As :class:`~mmext.upsnet.transforms.LoadPanopticAnnotations`, and ``gt_instances_ids``, int64
    ``[n]``. A reference frame, which only offers objects to recognise, gets boxes,
    labels and ids: its PNG is not read.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Adds what the constructor has asked for, and the ids."""
        if results.get('is_reference'):
            self._load_bboxes(results)
            self._load_labels(results)
        else:
            results = super().transform(results)
        ids = [instance['instance_id'] for instance in results.get('instances', [])]
        results['gt_instances_ids'] = np.array(ids, dtype=np.int64)
        return results


@TRANSFORMS.register_module()
class BothFrames(BaseTransform):
    """Applies transforms to the key frame and, in the same way, to its reference.

    The reference sees the same random numbers: the generators of ``random``, numpy and torch are
    set back for it. (mmcv's cache of random decisions knows only transforms that declare
    them, and does not come back from one that tries until something fits.) A pair of which a
    transform drops one frame is dropped. Without a reference it is a plain sequence.

    Args:
        transforms: configs or callables.

    Raises:
        InputError: the frames differ in size afterwards or, as far as the transforms record it
            (``homography_matrix``), in geometry: a transform decides by what is in the frame.
    """

    def __init__(self, transforms: Sequence[Any]) -> None:
        self.transforms = Compose([
            TRANSFORMS.build(t) if isinstance(t, dict) else t for t in transforms
        ])  # fmt: skip

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """The pair after the transforms; None if one of them drops a frame."""
        reference = results.pop(REFERENCE, None)
        if reference is None:
            return self.transforms(results)
        reference['is_reference'] = True
        state = _random_state()
        results = self.transforms(results)
        _set_random_state(state)
        reference = self.transforms(reference)
        if results is None or reference is None:
            return None
        _check_alike(results, reference)
        results[REFERENCE] = reference
        return results

    def __repr__(self) -> str:
        """The transforms."""
        return f'{type(self).__name__}({self.transforms})'


@TRANSFORMS.register_module()
class PackVideoPanopticInputs(PackDetInputs):
    """Packs a frame, or a pair of frames, with the ids of the objects.

    A single frame: as mmdet's ``PackDetInputs``, with ``instances_ids`` (int64 ``[n]``) in
    ``gt_instances``. A pair: ``inputs`` is ``{'img': ..., 'ref_img': ...}``, two ``[3, H, W]`` of
    one shape; the data sample is that of the key frame and has ``ref_gt_instances`` (``bboxes``,
    ``labels``, ``instances_ids``) and, in its meta information, ``ref_frame_id`` and
    ``ref_img_path``.

    Args:
        meta_keys: what goes into the meta information, if it is there. The default has what
            :class:`~mmext.metrics.panoptic.video_quality_metric.VideoPanopticQualityMetric` needs.

    Raises:
        InputError: a transform has dropped boxes and not their ids.
    """

    mapping_table = {**PackDetInputs.mapping_table, 'gt_instances_ids': 'instances_ids'}

    def __init__(self, meta_keys: Sequence[str] = _META_KEYS) -> None:
        super().__init__(meta_keys)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """The packed frame or pair."""
        reference = results.pop(REFERENCE, None)
        packed = self._pack(results)
        if reference is None:
            return packed
        of_reference = self._pack(reference)
        truth = of_reference['data_samples'].gt_instances
        sample = packed['data_samples']
        sample.ref_gt_instances = InstanceData(
            **{key: truth[key] for key in ('bboxes', 'labels', 'instances_ids')}
        )
        sample.set_metainfo(
            {'ref_frame_id': reference['frame_id'], 'ref_img_path': reference['img_path']}
        )
        packed['inputs'] = {'img': packed['inputs'], 'ref_img': of_reference['inputs']}
        return packed

    def _pack(self, results: dict[str, Any]) -> dict[str, Any]:
        ids, boxes = results.get('gt_instances_ids'), results.get('gt_bboxes')
        if ids is not None and boxes is not None and len(ids) != len(boxes):
            raise InputError(
                f'{results["img_path"]}: {len(boxes)} boxes, {len(ids)} gt_instances_ids: a '
                'transform of the pipeline drops boxes and does not know ids; RandomCrop does'
            )
        return super().transform(results)


def _check_alike(results: dict[str, Any], reference: dict[str, Any]) -> None:
    key, other = (
        (frame['img'].shape, np.asarray(frame.get('homography_matrix', 0)).tolist())
        for frame in (results, reference)
    )
    if key != other:
        raise InputError(
            f'{results["img_path"]} became {key[0]}, its reference {reference["img_path"]} '
            f'{other[0]}, homographies {key[1]} and {other[1]}: the frames of a video must have '
            'one size, and transforms must not decide by what is in a frame'
        )


def _random_state() -> tuple[Any, ...]:
    return random.getstate(), np.random.get_state(), torch.get_rng_state()


def _set_random_state(state: tuple[Any, ...]) -> None:
    random.setstate(state[0])
    np.random.set_state(state[1])
    torch.set_rng_state(state[2])
