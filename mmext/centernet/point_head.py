"""The head of CenterNet, objects as points.

Zhou et al., "Objects as Points", 2019. Of a map at stride 4 it predicts, per cell:
for each class whether an object's center lies in it, the object's size and where in
the cell the center is. No anchors, no assignment, no suppression of overlaps.

Not to be confused with ``CenterNetTripletHead`` (Duan et al. 2019).

Shapes: B images, C classes, ``H x W`` cells, S stacks of an hourglass (else 1).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmcv.ops import batched_nms
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.structures.bbox import get_box_tensor
from mmdet.utils import InstanceList, OptConfigType, OptInstanceList, OptMultiConfig
from mmengine.model import bias_init_with_prob, normal_init
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmext.centernet.point_decoding import (
    PointDetections,
    average_flipped,
    decode_points,
    merge_flipped_scores,
    to_pixels,
)
from mmext.centernet.point_targets import mean_absolute_error, point_targets, values_at
from mmext.errors import InputError
from mmext.functional.gaussian_focal_loss import gaussian_focal_loss
from mmext.functional.gaussian_targets import RadiusMode
from mmext.functional.heatmaps import halves
from mmext.registry import MODELS

Maps = dict[str, Tensor]
"""Output of one stack: branch -> ``[B, channels, H, W]``."""

PLACES = ('bboxes', 'centers', 'keypoints')
"""Fields of detections that are places: in cells, or in pixels."""

_PRIOR = 0.1  # of a center, in each cell at the start: bias -2.19 (section 3)


@MODELS.register_module()
class CenterNetPointHead(BaseDenseHead):
    """Centers, sizes and offsets.

    Args:
        num_classes: C.
        in_channels: of the features.
        feat_channels: width of the branches: 64 on a ResNet, 256 on DLA and hourglass.
        num_stacks: features that are trained on; the last one predicts.
        size_weight: of the size loss (section 3: 0.1).
        offset_weight: of the offset loss.
        radius_mode: 'official' as trained by the authors, 'exact' is the solved
            equation (:func:`~mmext.functional.gaussian_targets.gaussian_radii`).
        min_overlap: IoU that a center off by the radius may cost at most. mmdet's
            head is ``radius_mode='exact', min_overlap=0.3``.
        train_cfg: not used; the host hands it over.
        test_cfg: ``topk`` (100), ``local_maximum_kernel`` (3), ``max_per_img`` (100; 0
            or less: no limit below ``topk``) and ``nms`` (none), as mmdet's head.
        init_cfg: as for every mmengine module.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        feat_channels: int,
        num_stacks: int = 1,
        size_weight: float = 0.1,
        offset_weight: float = 1.0,
        radius_mode: RadiusMode = 'official',
        min_overlap: float = 0.7,
        train_cfg: OptConfigType = None,
        test_cfg: OptConfigType = None,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.num_classes = num_classes
        self.size_weight, self.offset_weight = size_weight, offset_weight
        self.radius_mode, self.min_overlap = radius_mode, min_overlap
        self.train_cfg, self.test_cfg = train_cfg, test_cfg or {}
        self.stacks = nn.ModuleList(
            nn.ModuleDict(
                {
                    name: _branch(in_channels, feat_channels, channels)
                    for name, channels in self.branch_channels().items()
                }
            )
            for _ in range(num_stacks)
        )

    def branch_channels(self) -> dict[str, int]:
        """Name and channels of each output."""
        return dict(center=self.num_classes, size=2, offset=2)

    def init_weights(self) -> None:
        """Centers are rare at the start; sizes and offsets near 0."""
        super().init_weights()
        for name, module in self.stacks.named_modules():
            stack_and_branch = name.split('.')
            if len(stack_and_branch) != 2:
                continue
            last = module.get_submodule('2')
            if stack_and_branch[1] in ('center', 'joint_center'):
                nn.init.constant_(last.bias, bias_init_with_prob(_PRIOR))
            else:
                normal_init(last, std=0.001)

    def forward(self, features: Sequence[Tensor]) -> tuple[list[Maps]]:
        """The maps of each stack; in inference those of the last stack alone.

        Args:
            features: S maps ``[B, in_channels, H, W]``.

        Raises:
            InputError: another number of features than stacks.
        """
        if len(features) != len(self.stacks):
            raise InputError(
                f'features: expected one for each of {len(self.stacks)} stacks, got {len(features)}'
            )
        first = 0 if self.training else len(self.stacks) - 1
        stacks: list[Any] = list(self.stacks)[first:]
        return (
            [
                {name: branch(feature) for name, branch in stack.items()}
                for stack, feature in zip(stacks, features[first:], strict=True)
            ],
        )

    def loss_by_feat(
        self,
        stack_maps: list[Maps],
        batch_gt_instances: InstanceList,
        batch_img_metas: list[dict],
        batch_gt_instances_ignore: OptInstanceList = None,
    ) -> dict[str, Tensor]:
        """``loss_heatmap``, ``loss_size`` and ``loss_offset``, the means over the stacks.

        Args:
            stack_maps: the maps of each stack, ``[B, channels, H, W]`` by branch.
            batch_gt_instances: ``bboxes`` ``[n, 4]`` in network pixels and ``labels`` ``[n]``.
            batch_img_metas: with ``batch_input_shape``.
            batch_gt_instances_ignore: not used, as by the authors.
        """
        map_shape = _map_shape(stack_maps[-1])
        targets = self.get_targets(batch_gt_instances, map_shape, batch_img_metas)
        losses = [self.stack_loss(maps, targets) for maps in stack_maps]
        return {name: torch.stack([stack[name] for stack in losses]).mean() for name in losses[0]}

    def get_targets(
        self,
        batch_gt_instances: InstanceList,
        map_shape: tuple[int, int],
        batch_img_metas: list[dict],
    ) -> Any:
        """``PointTargets`` of the batch, or whatever :meth:`stack_loss` takes instead."""
        return point_targets(
            [get_box_tensor(gt.bboxes) for gt in batch_gt_instances],
            [gt.labels for gt in batch_gt_instances],
            self.num_classes,
            map_shape,
            batch_img_metas[0]['batch_input_shape'],
            self.radius_mode,
            self.min_overlap,
        )

    def stack_loss(self, maps: Maps, targets: Any) -> dict[str, Tensor]:
        """Weighted losses of one stack.

        Args:
            maps: its maps, ``[B, channels, H, W]`` by branch.
            targets: of :meth:`get_targets`.
        """
        image_index, centers = targets.image_index, targets.centers
        sizes = values_at(maps['size'], image_index, centers)  # [N, 2]
        offsets = values_at(maps['offset'], image_index, centers)  # [N, 2]
        return dict(
            loss_heatmap=gaussian_focal_loss(maps['center'], targets.heatmap),
            loss_size=self.size_weight
            * mean_absolute_error(sizes.float(), targets.sizes, targets.weights),
            loss_offset=self.offset_weight
            * mean_absolute_error(offsets.float(), targets.offsets, targets.weights),
        )

    def merge_flipped(self, maps: Maps, batch_img_metas: list[dict]) -> Maps:
        """Merge the maps of each image with those of its flipped image.

        As released: probabilities and sizes are averaged, the offsets are those of the
        plain image.

        Args:
            maps: ``[2B, ...]``, those of the flipped images in the second half.
            batch_img_metas: of the B images.
        """
        return dict(
            center=merge_flipped_scores(maps['center']),
            size=average_flipped(maps['size']),
            offset=halves(maps['offset'])[0],
        )

    def predict_by_feat(
        self, stack_maps: list[Maps], batch_img_metas: list[dict], rescale: bool = True
    ) -> InstanceList:
        """Detections of each image, best first.

        Args:
            stack_maps: of :meth:`forward`. They may be of twice as many images as there are metas:
                then the second half are the flipped images.
            batch_img_metas: ``batch_input_shape`` and, if there are, ``border`` and
                ``scale_factor``.
            rescale: to the original image.

        Returns:
            Per image ``bboxes`` ``[n, 4]``, ``scores`` ``[n]``, ``labels`` ``[n]`` and ``centers``
            ``[n, 2]``.
        """
        maps = stack_maps[-1]
        if not batch_img_metas:
            return []
        if len(maps['center']) == 2 * len(batch_img_metas):
            maps = self.merge_flipped(maps, batch_img_metas)
        fields = {
            name: to_pixels(values, batch_img_metas, _map_shape(maps), rescale)
            if name in PLACES
            else values
            for name, values in self.fields_in_cells(maps).items()
        }
        results = [
            InstanceData(**{name: values[i] for name, values in fields.items()})
            for i in range(len(batch_img_metas))
        ]
        return [self.limit(image_results) for image_results in results]

    def fields_in_cells(self, maps: Maps) -> dict[str, Tensor]:
        """The fields of the K best objects, ``[B, K, ...]`` by name; ``PLACES`` are in cells.

        Args:
            maps: of B images, ``[B, channels, H, W]`` by branch.
        """
        decoded = decode_points(
            maps['center'],
            maps['size'].float(),
            maps['offset'].float(),
            self.test_cfg.get('topk', 100),
            self.test_cfg.get('local_maximum_kernel', 3),
        )
        return self.detection_fields(maps, decoded)

    def detection_fields(self, maps: Maps, decoded: PointDetections) -> dict[str, Tensor]:
        """What the maps say of the decoded objects, ``[B, K, ...]`` by name, in cells."""
        return dict(
            bboxes=decoded.boxes,
            scores=decoded.scores,
            labels=decoded.labels,
            centers=decoded.centers,
        )

    def limit(self, results: InstanceData) -> InstanceData:
        """The detections of one image after suppression, at most ``max_per_img``."""
        if self.test_cfg.get('nms') and len(results):
            # the host keeps classes apart by an offset, right for coordinates above 0 alone
            boxes = results.bboxes - results.bboxes.min()
            scored, kept = batched_nms(boxes, results.scores, results.labels, self.test_cfg['nms'])
            results = results[kept]
            results.scores = scored[:, -1]  # soft-NMS lowers them
        limit = self.test_cfg.get('max_per_img', 100)
        return results[:limit] if 0 < limit < len(results) else results


def _branch(in_channels: int, feat_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, feat_channels, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(feat_channels, out_channels, 1),
    )


def _map_shape(maps: Mapping[str, Tensor]) -> tuple[int, int]:
    height, width = maps['center'].shape[2:]
    return height, width
