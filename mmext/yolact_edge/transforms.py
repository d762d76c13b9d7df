"""Packing of frames, pairs of frames, and pairs with their motion."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet.datasets.transforms import PackDetInputs
from torch import Tensor

from mmext.errors import InputError
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


@TRANSFORMS.register_module()
class ShiftedCrops(BaseTransform):
    """Cuts a window out of each image of a packed pair with motion, each at a place of its own.

    So all of a picture moves, as in FlyingChairs. Where a camera rests most cells teach that there
    is no motion, and a young network learns nothing else.

    Args:
        size: (height, width) px of the windows.
        max_shift: how far the second window may be from the first in x and in y, px, as far as the
            image goes.
    """

    def __init__(self, size: tuple[int, int], max_shift: int) -> None:
        if max_shift < 0:
            raise InputError(f'ShiftedCrops: max_shift: expected at least 0 px, got {max_shift}')
        self.size, self.max_shift = size, max_shift

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """The pair ``[3, h, w]``, its motion, and where that ends within the second window.

        Raises:
            InputError: the window is larger than the image.
        """
        images, sample = results['inputs'], results['data_samples']
        height, width = self.size
        own, other = self._places(images['img'].shape[1:])
        windows = [(..., slice(y, y + height), slice(x, x + width)) for x, y in (own, other)]
        inputs = {key: images[key][w] for key, w in zip(images, windows, strict=True)}
        shift = torch.tensor([own[0] - other[0], own[1] - other[1]])
        flow = sample.gt_flow[windows[0]] + shift[:, None, None]
        rows, columns = torch.arange(height)[:, None], torch.arange(width)
        x, y = flow[0] + columns, flow[1] + rows
        inside = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
        sample.flow_valid = sample.flow_valid[windows[0]] & inside
        sample.gt_flow = flow
        sample.set_metainfo(dict(img_shape=self.size))
        return dict(results, inputs=inputs)

    def _places(self, image_size: Sequence[int]) -> list[list[int]]:
        """The upper left corners (x, y) of both windows."""
        room = [image_size[axis] - self.size[axis] for axis in (1, 0)]
        if min(room) < 0:
            raise InputError(
                f'ShiftedCrops: a window of {self.size} px in an image of {tuple(image_size)}; '
                'take a smaller size'
            )
        first = np.random.randint(0, np.add(room, 1))
        shift = np.random.randint(-self.max_shift, self.max_shift + 1, 2)
        return [first.tolist(), np.clip(first + shift, 0, room).tolist()]


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
