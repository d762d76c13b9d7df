"""Key points on the regions of a two-stage detector: Keypoint R-CNN.

He et al., "Mask R-CNN", ICCV 2017, section 5, with the numbers of detectron2.

Shapes: R regions of all images, K points, S = 4 times the RoI's side of cells (56 for 14).
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from mmdet.models.task_modules.samplers import SamplingResult
from mmdet.structures.bbox import bbox2roi, get_box_tensor
from mmdet.utils import ConfigType, InstanceList
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from mmext.errors import InputError
from mmext.functional.roi_keypoints import (
    cell_cross_entropy,
    decode_roi_keypoints,
    keypoint_cells,
)
from mmext.registry import MODELS


@MODELS.register_module()
class KeypointRCNNTask(BaseModule):
    """A task of :class:`.TaskRoIHead`: one cell of a map for each point.

    Args:
        num_points: K.
        roi_extractor: config of mmdet's or of ours, with square RoIs.
        in_channels: of the levels.
        num_convs: 3x3 convolutions before the maps.
        conv_channels: of each.
        pixel_offset: added to annotated points, and taken off predicted ones: 0.5 where they are
            indices of pixels, as in COCO's own files; 0 where they are places.
        normalizer: None: the loss is divided by the number of points that count (detectron2's
            default); a number: of points an image would have at most, by it and the images.
        loss_weight: factor.
        init_cfg: of mmengine.

    Raises:
        InputError: a number is below 1.
    """

    def __init__(
        self,
        num_points: int,
        roi_extractor: ConfigType,
        in_channels: int = 256,
        num_convs: int = 8,
        conv_channels: int = 512,
        pixel_offset: float = 0.0,
        normalizer: float | None = None,
        loss_weight: float = 1.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if min(num_points, num_convs, conv_channels) < 1:
            raise InputError(
                'KeypointRCNNTask: expected num_points, num_convs and conv_channels from 1, got '
                f'{num_points}, {num_convs}, {conv_channels}'
            )
        self.num_points, self.pixel_offset = num_points, pixel_offset
        self.normalizer, self.loss_weight = normalizer, loss_weight
        self.roi_extractor = MODELS.build(roi_extractor)
        widths = (in_channels, *[conv_channels] * num_convs)
        self.convs = nn.ModuleList(
            nn.Conv2d(before, conv_channels, 3, padding=1) for before in widths[:-1]
        )
        self.deconv = nn.ConvTranspose2d(conv_channels, num_points, 4, stride=2, padding=1)
        for layer in (*self.convs, self.deconv):
            nn.init.kaiming_normal_(layer.weight, mode='fan_out', nonlinearity='relu')
            nn.init.zeros_(cast(Tensor, layer.bias))

    def forward(self, regions: Tensor) -> Tensor:
        """Features of regions ``[R, C, s, s]`` -> logits ``[R, K, S, S]``, S = 4 s."""
        for conv in self.convs:
            regions = F.relu(conv(regions))
        maps = self.deconv(regions)
        return F.interpolate(maps, scale_factor=2.0, mode='bilinear', align_corners=False)

    def loss(
        self,
        features: Sequence[Tensor],
        sampling_results: Sequence[SamplingResult],
        batch_gt_instances: InstanceList,
    ) -> dict[str, Tensor]:
        """``loss_keypoint`` of the positive regions.

        Args:
            features: levels ``[B, C, h, w]``.
            sampling_results: of each image.
            batch_gt_instances: with ``keypoints`` ``[n, K, 2]`` px of the input and
                ``keypoints_visible`` ``[n, K]``.

        Raises:
            InputError: no points, or of another number.
        """
        points, visible, boxes = [], [], []
        for sampled, gt in zip(sampling_results, batch_gt_instances, strict=True):
            shape = list(gt.keypoints.shape) if 'keypoints' in gt else 'none'
            if shape != [len(gt), self.num_points, 2]:
                raise InputError(
                    f'gt_instances.keypoints: expected [{len(gt)}, {self.num_points}, 2], got '
                    f'{shape} (pipeline: mmext.LoadKeypoints, mmext.PackKeypointInputs)'
                )
            index = sampled.pos_assigned_gt_inds
            points.append(gt.keypoints[index])
            visible.append(gt.keypoints_visible[index])
            boxes.append(get_box_tensor(sampled.pos_priors))
        logits = self._logits(features, boxes)
        loss = self._loss(logits, torch.cat(points), torch.cat(visible), torch.cat(boxes))
        if self.normalizer is not None:
            loss = loss / (self.normalizer * len(boxes))
        return dict(loss_keypoint=self.loss_weight * loss)

    def predict(
        self,
        features: Sequence[Tensor],
        boxes: Sequence[Tensor],
        batch_img_metas: Sequence[Mapping[str, Any]],
        rescale: bool = False,
    ) -> list[dict[str, Tensor]]:
        """``keypoints`` ``[n, K, 2]`` and ``keypoint_scores`` ``[n, K]`` of each image.

        Args:
            features: levels ``[B, C, h, w]``.
            boxes: ``[n, 4]`` of each image, px of the input.
            batch_img_metas: with ``scale_factor``.
            rescale: whether points are in px of the original images.
        """
        counts = [len(image_boxes) for image_boxes in boxes]
        logits = self._logits(features, boxes)
        with torch.autocast(logits.device.type, enabled=False):  # it multiplies matrices
            points, _, scores = decode_roi_keypoints(logits, torch.cat([*boxes]))
        found = []
        for image_points, image_scores, meta in zip(
            points.split(counts), scores.split(counts), batch_img_metas, strict=True
        ):
            if rescale:
                image_points = image_points / points.new_tensor(meta.get('scale_factor', (1, 1)))
            shifted = image_points - self.pixel_offset
            found.append(dict(keypoints=shifted, keypoint_scores=image_scores.clamp(max=1)))
        return found

    def _logits(self, features: Sequence[Tensor], boxes: Sequence[Tensor]) -> Tensor:
        """Maps of all regions, ``[R, K, S, S]``; one of nothing keeps all weights in the graph."""
        rois = bbox2roi(list(boxes))
        count = len(rois)
        if not count:
            rois = rois.new_tensor([[0.0, 0, 0, 16, 16]])
        levels = features[: self.roi_extractor.num_inputs]
        logits: Tensor = self(self.roi_extractor(levels, rois))
        return logits[:count] if count else logits[:0] + 0 * logits.sum()

    def _loss(self, logits: Tensor, points: Tensor, visible: Tensor, boxes: Tensor) -> Tensor:
        side = logits.shape[2]
        placed = points.float() + self.pixel_offset
        cells, counts = keypoint_cells(placed, visible, boxes.float(), side)
        loss = cell_cross_entropy(logits, cells, counts)
        return loss if self.normalizer is not None else loss / counts.sum().clamp(min=1)
