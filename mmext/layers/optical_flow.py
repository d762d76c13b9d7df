"""Optical flow between frames: what the fuse neck aligns the reference by.

Source: VPSNet (Kim et al., CVPR 2020), section 3.2, takes a frozen FlowNet2. Here it is a module
by registry: derive from :class:`OpticalFlow` and name it, ``optical_flow=dict(type='my.Flow')``.
"""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from mmengine.model import BaseModule
from torch import Tensor
from torch.nn import functional as F

from mmext.errors import InputError, MissingPackageError
from mmext.formats.flow_files import read_flow
from mmext.registry import MODELS

_DIS_PRESETS = dict(
    ultrafast=cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    fast=cv2.DISOPTICAL_FLOW_PRESET_FAST,
    medium=cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
)
_DIS_SMALLEST_SIDE_PX = 12  # of the longer side


class OpticalFlow(BaseModule, ABC):
    """Estimates the flow between two images; without gradient, in float32 under mixed precision."""

    @abstractmethod
    def forward(self, targets: Tensor, references: Tensor, metas: Sequence[dict]) -> Tensor:
        """Flow from target to reference.

        Args:
            targets: ``[N, 3, H, W]``, RGB 0..255 of the network input, padding included.
            references: in the same shape.
            metas: one per pair, that of the target, with ``ref_frame_id``.

        Returns:
            ``[N, 2, H, W]``, float32, (x, y) in pixels: the content of target pixel p is at
            ``p + flow(p)`` in the reference.
        """


@MODELS.register_module()
class DISFlow(OpticalFlow):
    """OpenCV's dense inverse search (Kroeger et al., ECCV 2016): no weights, on the CPU.

    Args:
        preset: ``'ultrafast'``, ``'fast'`` or ``'medium'``, quality for time.
    """

    def __init__(self, preset: str = 'medium') -> None:
        super().__init__()
        if preset not in _DIS_PRESETS:
            raise InputError(f'preset: expected one of {sorted(_DIS_PRESETS)}, got {preset!r}')
        self.preset = preset

    @torch.no_grad()
    def forward(self, targets: Tensor, references: Tensor, metas: Sequence[dict]) -> Tensor:
        """Flow ``[N, 2, H, W]``, see :class:`OpticalFlow`."""
        if max(targets.shape[-2:]) < _DIS_SMALLEST_SIDE_PX:
            raise InputError(
                f'DIS flow needs a side of {_DIS_SMALLEST_SIDE_PX} px, '
                f'got images of {tuple(targets.shape[-2:])}'
            )
        # one per call: it keeps buffers, so cannot be shared by threads or copied
        method: Any = cv2.DISOpticalFlow.create(_DIS_PRESETS[self.preset])
        pairs = zip(_grey(targets), _grey(references), strict=True)
        flows = [method.calc(target, reference, None) for target, reference in pairs]
        flow = torch.from_numpy(np.stack(flows)).movedim(-1, 1)
        return flow.to(targets.device)


@MODELS.register_module()
class PrecomputedFlow(OpticalFlow):
    """Flow from files, one per pair of frames, for the images as they were before any transform.

    The flows follow the transforms of the images by the meta's ``homography_matrix``, which mmdet's
    transforms keep. Without it they follow ``scale_factor`` and ``flip``, which is enough for
    resizing and horizontal flips.

    Args:
        pattern: path of a ``.flo`` file (Middlebury) or of a ``.npz`` file with one array
            ``[H, W, 2]`` or one named ``flow``. It has fields of the target's meta in braces:
            ``'data/flow/{video_id}/{frame_id:04d}_{ref_frame_id:04d}.flo'``.
    """

    def __init__(self, pattern: str) -> None:
        super().__init__()
        if 'ref_frame_id' not in pattern:
            raise InputError(f'pattern: expected a path with {{ref_frame_id}} in it, got {pattern}')
        self.pattern = pattern

    @torch.no_grad()
    def forward(self, targets: Tensor, references: Tensor, metas: Sequence[dict]) -> Tensor:
        """Flow ``[N, 2, H, W]``, see :class:`OpticalFlow`.

        Raises:
            MissingFileError: naming the file that a pair lacks.
            InputError: a file that is no flow or is one of other images; a meta without a field
                of the pattern; a transform that a flow cannot follow.
        """
        flows = [self._of_pair(meta, targets.shape[-2:]) for meta in metas]
        return torch.stack(flows).to(targets.device)

    def _of_pair(self, meta: dict[str, Any], size_hw: Sequence[int]) -> Tensor:
        try:
            path = self.pattern.format(**meta)
        except KeyError as error:
            raise InputError(f'{self.pattern}: the meta of the frame has no {error}') from None
        flow = torch.from_numpy(read_flow(path)).movedim(-1, 0)
        if flow.shape[1:] != tuple(meta['ori_shape'][:2]):
            raise InputError(
                f'{path}: flow of {tuple(flow.shape[1:])}, the frame is {meta["ori_shape"][:2]}'
            )
        return in_frame_of_input(flow, meta, size_hw)


@MODELS.register_module()
class RAFTFlow(OpticalFlow):
    """RAFT (Teed and Deng, ECCV 2020) of torchvision, frozen, in float32.

    torchvision is not among the requirements: it is imported when this class is built.

    Args:
        variant: ``'small'`` or ``'large'``.
        checkpoint: file with torchvision's weights; None downloads its default ones.
        num_updates: refinements of the flow.

    Raises:
        MissingPackageError: torchvision is missing, with what to do.
    """

    def __init__(
        self, variant: str = 'small', checkpoint: str | None = None, num_updates: int = 12
    ) -> None:
        super().__init__()
        if variant not in ('small', 'large'):
            raise InputError(f"variant: expected 'small' or 'large', got {variant!r}")
        try:
            library: Any = importlib.import_module('torchvision.models.optical_flow')
        except (ImportError, RuntimeError) as error:  # one for another torch raises the latter
            raise MissingPackageError(
                f'mmext.RAFTFlow needs torchvision ({error}): install the build made for torch '
                f'{torch.__version__}, or use mmext.DISFlow, which needs nothing'
            ) from error
        create: Callable[..., Any] = getattr(library, f'raft_{variant}')
        self.num_updates = num_updates
        self.raft = create(weights=None if checkpoint else 'DEFAULT').requires_grad_(False)
        if checkpoint:
            self.raft.load_state_dict(torch.load(checkpoint, map_location='cpu', weights_only=True))

    def train(self, mode: bool = True) -> 'RAFTFlow':
        """Stays in evaluation mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, targets: Tensor, references: Tensor, metas: Sequence[dict]) -> Tensor:
        """Flow ``[N, 2, H, W]``, see :class:`OpticalFlow`."""
        height, width = targets.shape[-2:]
        # whole cells of 1/8, of which it compares at least 16 each way
        padding = (0, max(-width % 8, 128 - width), 0, max(-height % 8, 128 - height))
        pair = (
            F.pad(frames.float() / 127.5 - 1, padding, mode='replicate')
            for frames in (targets, references)
        )
        with torch.autocast(targets.device.type, enabled=False):
            flow: Tensor = self.raft(*pair, num_flow_updates=self.num_updates)[-1]
        return flow[..., :height, :width]


def _grey(frames: Tensor) -> list[npt.NDArray[np.uint8]]:
    """RGB ``[N, 3, H, W]`` as images of one channel."""
    images = frames.round().clamp(0, 255).byte().movedim(1, -1).contiguous().cpu().numpy()
    return [np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8) for image in images]


def in_frame_of_input(flow: Tensor, meta: dict[str, Any], size_hw: Sequence[int]) -> Tensor:
    """A flow ``[2, H, W]`` of the original image as one of the network input, 0 in its padding.

    Args:
        flow: (x, y) in pixels of the original image.
        meta: with ``img_shape``, and ``homography_matrix`` or ``scale_factor`` and ``flip``.
        size_hw: size of the network input, padding included.
    """
    matrix = torch.as_tensor(_matrix(meta), dtype=flow.dtype)
    height, width = meta['img_shape'][:2]
    columns, rows = torch.meshgrid(torch.arange(width), torch.arange(height), indexing='xy')
    centers = torch.stack((columns, rows, torch.zeros_like(rows)), dim=-1) + flow.new_tensor(
        [0.5, 0.5, 1.0]
    )
    original = centers @ matrix.inverse().T  # [h, w, 3], where the pixel was in the original
    size = flow.new_tensor([flow.shape[2], flow.shape[1]])
    grid = original[..., :2] / size * 2 - 1  # -1 and 1 are the borders
    read = F.grid_sample(flow[None], grid[None], padding_mode='border', align_corners=False)[0]
    moved = torch.einsum('ij,jhw->ihw', matrix[:2, :2], read)
    return F.pad(moved, (0, size_hw[1] - width, 0, size_hw[0] - height))


def _matrix(meta: dict[str, Any]) -> npt.NDArray[np.floating]:
    """Affine ``[3, 3]`` from points of the original image to the network input."""
    if meta.get('homography_matrix') is not None:
        return np.asarray(meta['homography_matrix'])
    height, width = meta['img_shape'][:2]
    scale_x, scale_y = meta.get('scale_factor', (1.0, 1.0))[:2]
    resized = (round(meta['ori_shape'][0] * scale_y), round(meta['ori_shape'][1] * scale_x))
    if resized != (height, width) or meta.get('flip_direction') not in (None, 'horizontal'):
        raise InputError(
            f'homography_matrix: not in the meta of an image of {resized} that was cropped to '
            f'{(height, width)} or flipped vertically; add it to the meta_keys of the pipeline'
        )
    matrix = np.diag([scale_x, scale_y, 1.0])
    if meta.get('flip', False):
        matrix = np.array([[-1.0, 0.0, width], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]) @ matrix
    return matrix
