"""Loading, augmenting and packing of key frames with their references."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmdet.datasets.transforms import PackDetInputs
from mmengine.structures import InstanceData

from mmext.errors import InputError
from mmext.pipelines.frame_pairs import REFERENCE
from mmext.pipelines.frame_pairs import BothFrames as BothFrames  # its place before
from mmext.registry import TRANSFORMS
from mmext.upsnet.transforms import LoadPanopticAnnotations

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
