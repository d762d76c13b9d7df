"""The surface of persons from the pixels around them: a network for crops, within the detector.

Maps of stride 4 that are learned for boxes have lost what thin limbs and the sides of a body are
told by. So the regions are cut out of the image, as networks for key points on crops do it: Xiao et
al., "Simple Baselines for Human Pose Estimation", ECCV 2018.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmdet.utils import ConfigType
from torch import Tensor

from mmext.densepose.surface_task import DensePoseTask, scale_of
from mmext.errors import InputError
from mmext.registry import MODELS


@MODELS.register_module()
class SurfaceCropTask(DensePoseTask):
    """A :class:`.DensePoseTask` whose regions are of the normalized images, not of the levels.

    They reach beyond their boxes, so that limbs that a box cuts off are found, and are learned and
    read alike: at the centers of cells, in whole px of the image. Surfaces have scores of their
    own. Of a detector that shows its images, ``mmext.PixelRCNN``.

    Args:
        roi_extractor: of stride 1 and 3 channels.
        trunk: of 3 channels, as ``mmext.SurfaceHourglassTrunk`` with a stem.
        margin: share of the side, from 0 to 1, by which regions reach beyond each edge.
        options: of :class:`.DensePoseTask`, but for ``decoder``.

    Raises:
        InputError: an option is unknown, or the margin is none.
    """

    reads_images = True
    aligned = True
    scores_surfaces = True

    def __init__(
        self, roi_extractor: ConfigType, trunk: ConfigType, margin: float = 0.1, **options: Any
    ) -> None:
        if not 0 <= margin <= 1 or options.get('decoder') is not None:
            raise InputError(
                f'SurfaceCropTask: expected a margin from 0 to 1 and no decoder, got {margin} and '
                f'{options.get("decoder")}'
            )
        super().__init__(roi_extractor, trunk, **options)
        self.margin = margin

    def regions_of(self, boxes: Tensor) -> Tensor:
        """Boxes ``[n, 4]`` with their margin."""
        size = (boxes[:, 2:] - boxes[:, :2]) * self.margin
        return torch.cat([boxes[:, :2] - size, boxes[:, 2:] + size], dim=1)

    def framed(
        self, boxes: Tensor, meta: Mapping[str, Any], rescale: bool
    ) -> tuple[Tensor, Tensor]:
        """The smallest whole px that hold boxes ``[n, 4]`` with their margin, in the image.

        Args:
            boxes: px of the input.
            meta: with ``scale_factor``, ``ori_shape`` and ``img_shape``.
            rescale: whether whole px are of the original image, or of the input.

        Returns:
            Regions ``[n, 4]``, px of the input, and where surfaces lie: x, y, w, h, int64.
        """
        factor = scale_of(boxes, meta) if rescale else 1
        size_hw: Sequence[int] = meta['ori_shape' if rescale else 'img_shape'][:2]
        last = boxes.new_tensor([size_hw[1], size_hw[0]])
        grown = self.regions_of(boxes) / factor
        low = torch.minimum(grown[:, :2].floor().clamp(min=0), last - 1)
        high = torch.maximum(torch.minimum(grown[:, 2:].ceil(), last), low + 1)
        return torch.cat([low, high], dim=1) * factor, torch.cat([low, high - low], dim=1).long()
