"""Semantic head of UPSNet: one deformable subnet shared by all pyramid levels.

Source: Xiong et al., "UPSNet: A Unified Panoptic Segmentation Network", CVPR
2019, section 3.1. The levels P2..P5 pass through the same deformable
convolutions, are brought to stride 4 and concatenated; a 1x1 convolution gives
one logit per class, things and stuff alike. Two losses: the pixel-wise cross
entropy at the resolution of the network input, and the RoI loss that repeats
it inside the ground truth boxes, so that small things are not drowned by stuff.

Deviations: channels are in data set order (things first, then stuff; the paper
has stuff first). The RoI loss samples the logits instead of the features
before the 1x1 convolution; both are linear, so the result is the same for a
fraction of the channels (samples beyond the map are 0 instead of the bias).

Shape legend: N images, C classes, G ground truth boxes; ``h x w`` is a quarter
of the padded network input ``H x W``.
"""

from itertools import pairwise

import torch
from mmcv.cnn import ConvModule
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox2roi, get_box_tensor
from mmdet.utils import OptConfigType, OptMultiConfig
from mmengine.model import BaseModule, normal_init
from torch import Tensor, nn
from torch.nn import functional as F

from mmext.errors import InputError
from mmext.functional.upsampled_cross_entropy import Normalization, upsampled_cross_entropy
from mmext.layers.roi_align import RoIAlign
from mmext.registry import MODELS
from mmext.renamed_keys import accept_old_keys
from mmext.upsnet.semantic_targets import crop_labels

STRIDE = 4  # of the logits, in pixels of the network input
IGNORE_LABEL = 255
ROI_SIZE = 28  # cells; section 1.4 of the released configuration, as the mask head's output


@MODELS.register_module()
class UPSNetSemanticHead(BaseModule):
    """Logits for every class at stride 4 from the pyramid levels P2..P5.

    Args:
        num_things_classes: number of thing classes T, labels ``0..T-1``.
        num_stuff_classes: number of stuff classes S, labels ``T..T+S-1``.
        in_channels: channels of each pyramid level.
        inner_channels: channels of each level after the subnet.
        num_layers: convolutions of the subnet (3 on COCO, 2 on Cityscapes in
            the released configurations); the last two have ``inner_channels``.
        num_levels: pyramid levels used, from the finest.
        conv_cfg: convolution of the subnet; ``None`` is a plain 3x3 one.
        norm_cfg: normalization after each convolution; the paper has none.
        loss_weight: weight of the pixel-wise cross entropy.
        roi_loss_weight: weight of the RoI loss; 0 switches it off.
        roi_loss_normalization: ``'valid'`` divides the RoI loss by the labelled
            cells, ``'all_pixels'`` by all cells as the released code does.
        init_cfg: as for every mmengine module.
    """

    @accept_old_keys(roi_loss_normalisation='roi_loss_normalization')
    def __init__(
        self,
        num_things_classes: int,
        num_stuff_classes: int,
        in_channels: int = 256,
        inner_channels: int = 128,
        num_layers: int = 3,
        num_levels: int = 4,
        conv_cfg: OptConfigType = dict(type='mmext.DeformConv2dPack'),  # noqa: B006 - read only
        norm_cfg: OptConfigType = None,
        loss_weight: float = 1.0,
        roi_loss_weight: float = 0.0,
        roi_loss_normalization: Normalization = 'valid',
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if num_layers < 1:
            raise InputError(f'num_layers must be at least 1, got {num_layers}')
        self.num_classes = num_things_classes + num_stuff_classes
        self.num_levels = num_levels
        self.loss_weight = loss_weight
        self.roi_loss_weight = roi_loss_weight
        self.roi_loss_normalization = roi_loss_normalization
        # the last two layers are `inner_channels` wide, e.g. 256 -> 256 -> 128 -> 128
        widths = [in_channels] * max(num_layers - 1, 1) + [inner_channels] * min(num_layers, 2)
        self.subnet = nn.Sequential(
            *(
                ConvModule(
                    width_in,
                    width_out,
                    3,
                    padding=1,
                    bias='auto' if norm_cfg else True,
                    conv_cfg=conv_cfg,
                    norm_cfg=norm_cfg,
                )
                for width_in, width_out in pairwise(widths)
            )
        )
        self.roi_align = RoIAlign(ROI_SIZE, 1 / STRIDE, sampling_ratio=2)
        self.conv_logits = nn.Conv2d(inner_channels * num_levels, self.num_classes, 1)

    def init_weights(self) -> None:
        """Kaiming-normal subnet (as built), near-zero classifier."""
        super().init_weights()
        normal_init(self.conv_logits, std=0.01)

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        """Class logits ``[N, C, h, w]`` from the pyramid levels P2, P3, ..., finest first."""
        levels = [self.subnet(level) for level in features[: self.num_levels]]
        size = levels[0].shape[-2:]
        levels[1:] = [
            F.interpolate(level, size=size, mode='bilinear', align_corners=False)
            for level in levels[1:]
        ]
        return self.conv_logits(torch.cat(levels, dim=1))  # [N, C, h, w]

    def loss(self, logits: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Cross entropy over the image and, if weighted, inside the ground truth boxes.

        Args:
            logits: ``[N, C, h, w]`` from :meth:`forward`.
            batch_data_samples: with ``gt_sem_seg`` (``[1, H, W]``, 255 ignored)
                and, for the RoI loss, ``gt_instances.bboxes`` in network pixels.

        Returns:
            ``loss_seg`` and, when its weight is not 0, ``loss_seg_roi``;
            each the mean over images, so two images weigh as two batches of one.
        """
        losses = dict(loss_seg=self.loss_weight * self._pixel_loss(logits, batch_data_samples))
        if self.roi_loss_weight:
            losses['loss_seg_roi'] = self.roi_loss_weight * self._roi_loss(
                logits, batch_data_samples
            )
        return losses

    def _pixel_loss(self, logits: Tensor, batch_data_samples: SampleList) -> Tensor:
        losses = [
            upsampled_cross_entropy(
                image_logits[None], sample.gt_sem_seg.sem_seg.long(), STRIDE, IGNORE_LABEL
            )
            for image_logits, sample in zip(logits, batch_data_samples, strict=True)
        ]
        return torch.stack(losses).mean()

    def _roi_loss(self, logits: Tensor, batch_data_samples: SampleList) -> Tensor:
        boxes = [get_box_tensor(sample.gt_instances.bboxes) for sample in batch_data_samples]
        roi_logits = self.roi_align(logits.float(), bbox2roi(boxes))
        per_image = roi_logits.split([len(image_boxes) for image_boxes in boxes])
        # at scale 1 this is the plain cross entropy with the two ways to normalize it
        losses = [
            upsampled_cross_entropy(
                image_logits,
                crop_labels(sample.gt_sem_seg.sem_seg[0].long(), image_boxes, ROI_SIZE),
                1,
                IGNORE_LABEL,
                self.roi_loss_normalization,
            )
            for image_logits, image_boxes, sample in zip(
                per_image, boxes, batch_data_samples, strict=True
            )
        ]
        return torch.stack(losses).mean()
