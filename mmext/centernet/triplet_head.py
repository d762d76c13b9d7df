"""The head of CenterNet with keypoint triplets: a box is two corners and a center.

Duan et al., "CenterNet: Keypoint Triplets for Object Detection", ICCV 2019. On each stack of the
hourglass: cascade corner pooling for the corners, center pooling for the center, and from
each heat-map, offsets and (corners) tags. Not to be taken for the other CenterNet, "Objects as
Points", which is :mod:`mmext.centernet.point_head`.

Deviations: in inference only the last stack is computed, whose results alone are used.

Shapes: B images, C classes, ``h x w`` cells, a quarter of the padded input.
"""

from collections.abc import Sequence
from typing import Any, get_args

import torch
from mmcv.cnn import ConvModule
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.structures import SampleList
from mmdet.structures.bbox import get_box_tensor
from mmdet.utils import ConfigType, InstanceList, OptConfigType, OptInstanceList, OptMultiConfig
from mmengine.model import BaseModule, ModuleList
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmext.centernet.corner_pooling import CascadeCornerPool, CenterPool
from mmext.centernet.triplet_decoding import (
    CornerPairs,
    Detections,
    ImageWindows,
    Keypoints,
    TripletMaps,
    TripletTestSettings,
    decode_maps,
    detect,
    to_image_frame,
)
from mmext.centernet.triplet_losses import Reduction, offset_loss, pull_push_loss
from mmext.centernet.triplet_targets import TripletTargets, triplet_targets
from mmext.errors import InputError
from mmext.functional.gaussian_focal_loss import gaussian_focal_loss
from mmext.functional.gaussian_targets import RadiusMode
from mmext.functional.heatmaps import gather_cells
from mmext.layers.hourglass import DEFAULT_NORM
from mmext.registry import MODELS

# log-odds of a probability of 0.1: at first nothing is a key point
HEAT_BIAS = -2.19
LOSSES = ('heatmap', 'pull', 'push', 'offset')
KINDS = ('top_left', 'bottom_right', 'center')


class TripletBranches(BaseModule):
    """Poolings and predictions on one stack of the hourglass."""

    def __init__(
        self, num_classes: int, channels: int, pool_channels: int, norm_cfg: ConfigType
    ) -> None:
        super().__init__()

        def branch(out_channels: int) -> nn.Sequential:
            conv = ConvModule(channels, channels, 3, padding=1)
            return nn.Sequential(conv, nn.Conv2d(channels, out_channels, 1))

        self.top_left_pool = CascadeCornerPool('top_left', channels, pool_channels, norm_cfg)
        self.bottom_right_pool = CascadeCornerPool(
            'bottom_right', channels, pool_channels, norm_cfg
        )
        self.center_pool = CenterPool(channels, pool_channels, norm_cfg)
        # the names decide that heat-maps stay in float32 under mixed precision
        self.top_left_heat = branch(num_classes)
        self.bottom_right_heat = branch(num_classes)
        self.center_heat = branch(num_classes)
        self.top_left_tag, self.bottom_right_tag = branch(1), branch(1)
        self.top_left_offset, self.bottom_right_offset = branch(2), branch(2)
        self.center_offset = branch(2)

    def init_weights(self) -> None:
        """As released: PyTorch's own initialization, and no key points at first."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                module.reset_parameters()
        for kind in KINDS:
            nn.init.constant_(getattr(self, f'{kind}_heat')[-1].bias, HEAT_BIAS)

    def forward(self, features: Tensor) -> TripletMaps:
        """All maps from features ``[B, channels, h, w]``."""
        top_left = self.top_left_pool(features)
        bottom_right = self.bottom_right_pool(features)
        center = self.center_pool(features)
        return TripletMaps(
            self.top_left_heat(top_left),
            self.bottom_right_heat(bottom_right),
            self.center_heat(center),
            self.top_left_tag(top_left),
            self.bottom_right_tag(bottom_right),
            self.top_left_offset(top_left),
            self.bottom_right_offset(bottom_right),
            self.center_offset(center),
        )


@MODELS.register_module()
class CenterNetTripletHead(BaseDenseHead):
    """Corners, centers, and the boxes they agree on.

    Args:
        num_classes: C.
        in_channels: width of the backbone's outputs.
        num_stacks: how many outputs it has; all are trained.
        pool_channels: width inside the poolings.
        norm_cfg: of the poolings.
        radius_mode: size of the Gaussians in the heat-maps: 'official' as trained by the
            paper's authors, 'exact' as its formula says; see
            :func:`mmext.functional.gaussian_targets.gaussian_radii`.
        loss_weights: of ``heatmap``, ``pull``, ``push`` and ``offset``; section 3.3.
        tag_reduction: 'sum' over the images of a batch as released, or 'mean'; see
            :func:`mmext.centernet.triplet_losses.pull_push_loss`.
        train_cfg: not used; the host hands it to every head.
        test_cfg: the fields of :class:`TripletTestSettings` to change.
        init_cfg: as for every mmengine module.

    Raises:
        InputError: for an unknown loss or test setting.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 256,
        num_stacks: int = 2,
        pool_channels: int = 128,
        norm_cfg: ConfigType = DEFAULT_NORM,
        radius_mode: RadiusMode = 'official',
        loss_weights: ConfigType = dict(heatmap=1.0, pull=0.1, push=0.1, offset=1.0),  # noqa: B006
        tag_reduction: Reduction = 'sum',
        train_cfg: OptConfigType = None,
        test_cfg: OptConfigType = None,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(init_cfg)
        if set(loss_weights) != set(LOSSES):
            raise InputError(f'loss_weights: expected {LOSSES}, got {tuple(loss_weights)}')
        if radius_mode not in get_args(RadiusMode):
            raise InputError(
                f'radius_mode: expected one of {get_args(RadiusMode)}, got {radius_mode!r}'
            )
        self.num_classes = num_classes
        self.radius_mode: RadiusMode = radius_mode
        self.loss_weights = dict(loss_weights)
        self.tag_reduction: Reduction = tag_reduction
        self.settings = _settings(test_cfg or {})
        self.stacks = ModuleList(
            TripletBranches(num_classes, in_channels, pool_channels, norm_cfg)
            for _ in range(num_stacks)
        )

    def forward(self, features: Sequence[Tensor]) -> tuple[list[TripletMaps]]:
        """The maps of all stacks.

        Args:
            features: the output of each stack ``[B, in_channels, h, w]``.
        """
        if len(features) != len(self.stacks):
            raise InputError(
                f'features: expected one map for each of {len(self.stacks)} stacks, '
                f'got {len(features)}'
            )
        return ([stack(f) for stack, f in zip(self.stacks, features, strict=True)],)

    def loss_by_feat(
        self,
        stacks: list[TripletMaps],
        batch_gt_instances: InstanceList,
        batch_img_metas: list[dict[str, Any]],
        batch_gt_instances_ignore: OptInstanceList = None,
    ) -> dict[str, Tensor]:
        """Means of the losses of all stacks.

        Args:
            stacks: the maps of each stack, ``[B, channels, h, w]``.
            batch_gt_instances: ``bboxes`` ``[n, 4]`` in pixels of the network's input, ``labels``
                ``[n]``.
            batch_img_metas: with ``batch_input_shape``.
            batch_gt_instances_ignore: not used.
        """
        shape = tuple(stacks[0].center_heat.shape[2:])
        targets = self.get_targets(batch_gt_instances, batch_img_metas, shape)
        by_stack = torch.stack([self._stack_losses(maps, targets) for maps in stacks])
        return {
            f'loss_{name}': self.loss_weights[name] * value
            for name, value in zip(LOSSES, by_stack.mean(0), strict=True)
        }

    def get_targets(
        self,
        batch_gt_instances: InstanceList,
        batch_img_metas: list[dict[str, Any]],
        map_shape: tuple[int, ...],
    ) -> TripletTargets:
        """Targets of a batch; see :func:`mmext.centernet.triplet_targets.triplet_targets`."""
        return triplet_targets(
            [get_box_tensor(instances.bboxes) for instances in batch_gt_instances],
            [instances.labels for instances in batch_gt_instances],
            self.num_classes,
            (map_shape[0], map_shape[1]),
            batch_img_metas[0]['batch_input_shape'],
            self.radius_mode,
        )

    def _stack_losses(self, maps: TripletMaps, targets: TripletTargets) -> Tensor:
        """The four losses of one stack, in the order of ``LOSSES``."""
        kinds = (targets.top_left, targets.bottom_right, targets.center)
        heats = (maps.top_left_heat, maps.bottom_right_heat, maps.center_heat)
        offsets = (maps.top_left_offset, maps.bottom_right_offset, maps.center_offset)
        heatmap = [gaussian_focal_loss(h, k.heatmap) for h, k in zip(heats, kinds, strict=True)]
        offset = [
            offset_loss(gather_cells(o, k.cells).float(), k.offsets, targets.is_object)
            for o, k in zip(offsets, kinds, strict=True)
        ]
        pull, push = pull_push_loss(
            gather_cells(maps.top_left_tag, targets.top_left.cells)[..., 0].float(),
            gather_cells(maps.bottom_right_tag, targets.bottom_right.cells)[..., 0].float(),
            targets.is_object,
            self.tag_reduction,
        )
        return torch.stack((torch.stack(heatmap).sum(), pull, push, torch.stack(offset).sum()))

    def predict(
        self, x: Sequence[Tensor], batch_data_samples: SampleList, rescale: bool = False
    ) -> InstanceList:
        """Detections of a batch; see :meth:`predict_by_feat`.

        Args:
            x: outputs of the backbone ``[B, C, h, w]``, or ``[2B, C, h, w]`` of the images followed
                by their flipped images.
            batch_data_samples: one for each image.
            rescale: whether boxes are in pixels of the original images.
        """
        metas = [sample.metainfo for sample in batch_data_samples]
        return self.predict_by_feat([self.last_maps(x)], metas, rescale=rescale)

    def last_maps(self, features: Sequence[Tensor]) -> TripletMaps:
        """The maps of the last stack from features ``[B, C, h, w]``; the others serve training."""
        maps: TripletMaps = self.stacks[-1](features[-1])
        return maps

    def predict_by_feat(
        self,
        stacks: list[TripletMaps],
        batch_img_metas: list[dict[str, Any]],
        rescale: bool = False,
    ) -> InstanceList:
        """Detections from the maps of the last stack.

        Args:
            stacks: maps of each stack, or of the last alone.
            batch_img_metas: with ``img_shape`` and, where the pipeline set them,
                ``border`` and ``scale_factor``.
            rescale: whether boxes are in pixels of the original images.

        Returns:
            For each image ``bboxes``, ``scores``, ``labels`` and ``centers``, the key point
            ``[n, 2]`` in the middle of each box.
        """
        pairs, centers = self.candidates(stacks[-1], batch_img_metas)
        detections = detect(pairs, centers, self.settings)
        if not rescale:
            windows = image_windows(batch_img_metas, detections.boxes)
            detections = _to_input_frame(detections, windows)
        return as_instances(detections)

    def candidates(
        self, maps: TripletMaps, batch_img_metas: list[dict[str, Any]]
    ) -> tuple[CornerPairs, Keypoints]:
        """Boxes and centers in pixels of the original images, before the triplet check."""
        flipped = len(maps.center_heat) == 2 * len(batch_img_metas)
        pairs, centers = decode_maps(maps, self.settings, flipped)
        height_px, width_px = batch_img_metas[0]['batch_input_shape']
        height, width = maps.center_heat.shape[2:]
        windows = image_windows(batch_img_metas, pairs.boxes)
        return to_image_frame(pairs, centers, windows, (width_px / width, height_px / height))


def image_windows(batch_img_metas: list[dict[str, Any]], like: Tensor) -> ImageWindows:
    """Where the images are in the network's input.

    Args:
        batch_img_metas: ``border`` is (top, bottom, left, right) of the image within the
            input, as ``RandomCenterCropPad`` writes it; without it an image begins in
            the upper left corner and has ``img_shape``.
        like: a tensor on the device of the results.

    Returns:
        Three tables ``[B, 2]``.
    """
    rows = []
    for meta in batch_img_metas:
        height, width = meta['img_shape'][:2]
        top, bottom, left, right = meta.get('border', (0, height, 0, width))
        rows.append([left, top, right - left, bottom - top, *meta.get('scale_factor', (1, 1))])
    table = torch.tensor(rows, dtype=torch.float32, device=like.device)
    return ImageWindows(*table.split(2, dim=1))


def as_instances(detections: Detections) -> InstanceList:
    """One ``InstanceData`` for each image."""
    results = []
    is_there = detections.scores > -torch.inf
    for boxes, scores, labels, centers, keep in zip(*detections, is_there, strict=True):
        results.append(
            InstanceData(
                bboxes=boxes[keep], scores=scores[keep], labels=labels[keep], centers=centers[keep]
            )
        )
    return results


def _to_input_frame(detections: Detections, windows: ImageWindows) -> Detections:
    origins, _, scales = (part[:, None] for part in windows)
    centers = detections.centers_xy * scales + origins
    boxes = detections.boxes.unflatten(2, (2, 2)) * scales[:, :, None] + origins[:, :, None]
    return detections._replace(boxes=boxes.flatten(2), centers_xy=centers)


def _settings(test_cfg: ConfigType) -> TripletTestSettings:
    try:
        return TripletTestSettings(**test_cfg)
    except TypeError:
        known = sorted(TripletTestSettings.__dataclass_fields__)
        unknown = sorted(set(test_cfg) - set(known))
        raise InputError(f'test_cfg: expected some of {known}, got {unknown}') from None
