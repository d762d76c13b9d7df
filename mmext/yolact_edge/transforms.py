"""Packing of frames, pairs of frames, and pairs with their motion."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmdet.datasets.transforms import PackDetInputs
from torch import Tensor

from mmext.formats.flow_files import read_flow, read_hidden
from mmext.functional.flow_warping import warp
from mmext.layers.optical_flow import in_frame_of_input
from mmext.pipelines.frame_pairs import REFERENCE
from mmext.registry import TRANSFORMS

_META_KEYS = (
    *('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction'),
    *('video_id', 'frame_id', 'video_length', 'is_annotated', 'key_frame'),
)


@TRANSFORMS.register_module()
class PackVideoInstances(PackDetInputs):
    """Packs a frame as mmdet's ``PackDetInputs`` does, or a pair.

    Of a pair ``inputs`` is ``{'img': ..., 'ref_img': ...}``, two ``[3, H, W]`` of one shape; the
    data sample is that of the frame, its reference shows nothing but itself.

    Args:
        meta_keys: what goes into the meta information, if it is there; ``'instances'`` brings the
            ground truth for an evaluator without ``ann_file``.
    """

    def __init__(self, meta_keys: Sequence[str] = _META_KEYS) -> None:
        super().__init__(meta_keys)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """The packed frame or pair."""
        reference = results.pop(REFERENCE, None)
        packed: dict[str, Any] = super().transform(results)
        if reference is not None:
            other = super().transform(reference)
            packed['inputs'] = {'img': packed['inputs'], 'ref_img': other['inputs']}
        return packed


@TRANSFORMS.register_module()
class PackFlowPair(PackVideoInstances):
    """Packs a pair with the motion between its images, which follows their transforms.

    The data sample gets ``gt_flow`` ``[2, H, W]``, float32, (x, y) in pixels of the network input:
    what is at p in the first image is at ``p + flow(p)`` in the second; and ``flow_valid``
    ``[H, W]`` bool, false where it is hidden on the way.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """The packed pair."""
        flow, valid = joined_flow(results['flow_paths'])
        size = results['img_shape'][:2]
        packed = super().transform(results)
        sample = packed['data_samples']
        sample.gt_flow = in_frame_of_input(flow, results, size)
        # a mask in the place of a motion is scaled as a motion is
        ones = torch.ones_like(flow)
        share, whole = (in_frame_of_input(x, results, size)[0].abs() for x in (ones * valid, ones))
        sample.flow_valid = share > 0.5 * whole
        return packed


def joined_flow(paths: Sequence[str]) -> tuple[Tensor, Tensor]:
    """The motion through several frames.

    Args:
        paths: files of the flow from each frame to the next.

    Returns:
        ``[2, H, W]`` from the first frame to the last, px, and where it is known ``[H, W]``: what
        is hidden in a frame on the way cannot be followed.
    """
    flow, valid = _read(paths[0])
    for path in paths[1:]:
        onward, seen = _read(path)
        moved = warp(torch.cat((onward, seen[None].float()))[None], flow[None])[0]  # [3, H, W]
        flow, valid = flow + moved[:2], valid & (moved[2] > 0.5)
    return flow, valid


def _read(path: str) -> tuple[Tensor, Tensor]:
    flow = torch.from_numpy(read_flow(path)).movedim(-1, 0).contiguous()
    hidden = read_hidden(path)
    valid = np.ones(flow.shape[1:], bool) if hidden is None else ~hidden
    return flow, torch.from_numpy(valid)
