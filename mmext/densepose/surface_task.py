"""The surface of persons on the regions of a two-stage detector: DensePose R-CNN.

Güler, Neverova, Kokkinos, "DensePose", CVPR 2018, with the numbers of detectron2's project.

Shapes: R regions of all images, P points, s cells of a region's side, S = 2 s of the network's
maps, 2 S of the maps that are read.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmdet.models.task_modules.samplers import SamplingResult
from mmdet.structures.bbox import get_box_tensor
from mmdet.utils import ConfigType, InstanceList
from mmengine.model import BaseModule
from torch import Tensor

from mmext.densepose.mirror import read_mirror
from mmext.densepose.point_losses import point_losses
from mmext.densepose.surface_decoding import certainty, decode_surface, quantized
from mmext.densepose.surface_losses import mask_loss, mask_targets
from mmext.densepose.surface_maps import SurfaceMaps, SurfacePredictor, doubled, doubled_logits
from mmext.densepose.surface_targets import SurfaceTargets, collect_targets
from mmext.errors import InputError
from mmext.registry import MODELS

LOSS_WEIGHTS = dict(mask=5.0, part=1.0, uv=0.01)
"""detectron2's; ``uv`` is of a sum over the points of 16 images."""

CONFIDENCES = (None, 'wc1', 'wc2')
_CHUNK = 16  # regions at once in a test: their enlarged maps take memory


@MODELS.register_module()
class DensePoseTask(BaseModule):
    """A task of :class:`.TaskRoIHead`: part, U and V of the pixels of each region.

    Args:
        roi_extractor: config of mmdet's or of ours, with square RoIs; of one level with a decoder.
        trunk: config of ``mmext.SurfaceConvTrunk``, ``mmext.SurfaceDeepLabTrunk`` or
            ``mmext.SurfaceHourglassTrunk``.
        decoder: config of ``mmext.PyramidDecoder``; None looks at the levels themselves.
        num_coarse: 2, body or not, or 15, the 14 coarse parts.
        confidence: None, ``'wc1'`` or ``'wc2'``: how sure U and V are, learned from their errors.
        mask_confidence: whether the scores of parts and body are weighted by a learned confidence.
        loss_weights: of ``mask``, ``part`` and ``uv``; what is not named is detectron2's.
        average_uv: the mean over points instead of their sum, which depends on the batch.
        min_overlap: IoU with its person above which a proposal is trained on.
        mirror: the file or folder that ``mmext.LoadSurface`` takes; in a detector that looks at
            mirrored images too (``mmext.MirrorRCNN``) both views are averaged.
        nested: background, coarse parts and parts are one tree (``num_coarse`` 15): logits of a
            part stand on those of its coarse part, and a pixel is of the body where the coarse
            parts together are likelier than the background. As released, parts know nothing of
            coarse ones, and one of these alone has to be likelier.
        init_cfg: of mmengine.

    Raises:
        InputError: an option is unknown.
    """

    maps_type = SurfaceMaps  # of `forward`, for who runs it elsewhere
    reads_images = False  # features are levels
    aligned = False  # as released, cells are trained at their corners, but read at their centers
    scores_surfaces = False  # as released, surfaces rank by their boxes

    def __init__(
        self,
        roi_extractor: ConfigType,
        trunk: ConfigType,
        decoder: ConfigType | None = None,
        num_coarse: int = 2,
        confidence: str | None = None,
        mask_confidence: bool = False,
        loss_weights: Mapping[str, float] | None = None,
        average_uv: bool = False,
        min_overlap: float = 0.7,
        mirror: str | Path | None = None,
        nested: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        weights = LOSS_WEIGHTS | dict(loss_weights or {})
        if num_coarse not in (2, 15) or confidence not in CONFIDENCES or len(weights) > 3:
            raise InputError(
                'DensePoseTask: expected num_coarse 2 or 15, confidence one of '
                f'{CONFIDENCES}, loss_weights of {tuple(LOSS_WEIGHTS)}, got {num_coarse}, '
                f'{confidence!r}, {tuple(weights)}'
            )
        if nested and num_coarse == 2:
            raise InputError('DensePoseTask: nested=True is of num_coarse=15, got 2')
        self.roi_extractor = MODELS.build(roi_extractor)
        self.decoder = MODELS.build(decoder) if decoder is not None else None
        self.trunk = MODELS.build(trunk)
        self.predictor = SurfacePredictor(
            self.trunk.out_channels, num_coarse, confidence, mask_confidence, nested
        )
        self.loss_weights, self.average_uv = weights, average_uv
        self.min_overlap, self.nested = min_overlap, nested
        self.mirror = read_mirror(mirror) if mirror is not None else None

    def forward(self, regions: Tensor) -> SurfaceMaps:
        """Features of regions ``[R, C, s, s]`` -> maps ``[R, ., S, S]``."""
        maps: SurfaceMaps = self.predictor(self.trunk(regions))
        return maps

    def loss(
        self,
        features: Sequence[Tensor],
        sampling_results: Sequence[SamplingResult],
        batch_gt_instances: InstanceList,
    ) -> dict[str, Tensor]:
        """``loss_densepose_mask``, ``_part`` and ``_u``, ``_v`` or, with confidences, ``_uv``.

        Args:
            features: levels ``[B, C, h, w]``.
            sampling_results: of each image.
            batch_gt_instances: with the fields of ``mmext.LoadSurface``.

        Raises:
            InputError: a field is missing.
        """
        targets = collect_targets(
            [get_box_tensor(sampled.pos_priors) for sampled in sampling_results],
            [sampled.pos_assigned_gt_inds for sampled in sampling_results],
            batch_gt_instances,
            self.min_overlap,
        )
        looked_at = self.regions_of(targets.regions[:, 1:])
        targets = targets._replace(regions=torch.cat([targets.regions[:, :1], looked_at], dim=1))
        maps = self._maps(self._decoded_levels(features), targets.regions)
        with torch.autocast(maps.u.device.type, enabled=False):
            losses = point_losses(maps, targets, self.average_uv, self.aligned)
            losses['mask'] = _body_loss(maps, targets, self.aligned)
        found = {}
        for name, loss in losses.items():
            weight = self.loss_weights['uv' if name in ('u', 'v', 'uv') else name]
            found[f'loss_densepose_{name}'] = weight * loss
        return found

    def predict(
        self,
        features: Sequence[Tensor],
        boxes: Sequence[Tensor],
        batch_img_metas: Sequence[Mapping[str, Any]],
        rescale: bool = False,
        mirrored: Sequence[Tensor] | None = None,
    ) -> list[dict[str, Any]]:
        """What the pixels of each box are.

        Args:
            features: levels ``[B, C, h, w]``.
            boxes: ``[n, 4]`` of each image, px of the input.
            batch_img_metas: with ``scale_factor``.
            rescale: whether results are in px of the original images.
            mirrored: levels of the mirrored images, with ``batch_input_shape`` in the metas.

        Returns:
            Of each image ``surface``, a list of n arrays ``[3, h, w]`` uint8 (part, and U and V
            times 255), and ``surface_boxes`` ``[n, 4]`` int64: x, y, w, h of each in whole px; of
            a task that scores them also ``surface_scores`` ``[n]``, see :func:`.certainty`.
        """
        found = []
        views = [self._decoded_levels(view) for view in (features, mirrored) if view is not None]
        for number, (own, meta) in enumerate(zip(boxes, batch_img_metas, strict=True)):
            regions, placed = self.framed(own, meta, rescale)
            rois = torch.cat([own.new_full((len(own), 1), number), regions], dim=1)
            width = float(meta['batch_input_shape'][1]) if len(views) > 1 else 0.0
            surfaces, scores = [], [own.new_zeros(0, dtype=torch.float32)]
            for chunk, sizes in zip(rois.split(_CHUNK), placed[:, 2:].split(_CHUNK), strict=True):
                if len(chunk):
                    maps = self._averaged(views, chunk, width)
                    if self.nested:
                        maps[0] = summed(maps[0])
                    surfaces += _pixels(maps, sizes.tolist())
                    if self.scores_surfaces:
                        scores.append(certainty(*maps[:2]))
            fields = dict(surface=surfaces, surface_boxes=placed)
            scored = dict(surface_scores=torch.cat(scores)) if self.scores_surfaces else {}
            found.append(fields | scored)
        return found

    def regions_of(self, boxes: Tensor) -> Tensor:
        """What is looked at for boxes ``[n, 4]``, px of the input."""
        return boxes

    def framed(
        self, boxes: Tensor, meta: Mapping[str, Any], rescale: bool
    ) -> tuple[Tensor, Tensor]:
        """Of boxes ``[n, 4]``, px of the input, regions ``[n, 4]`` and where surfaces lie.

        Returns:
            The second are x, y, w, h in whole px of the result, int64.
        """
        return boxes, whole_boxes(boxes / scale_of(boxes, meta) if rescale else boxes)

    def _decoded_levels(self, features: Sequence[Tensor]) -> Sequence[Tensor]:
        """The levels that regions are taken from."""
        if self.decoder is not None:
            return [self.decoder(features)]
        return features[: self.roi_extractor.num_inputs]

    def _averaged(
        self, views: Sequence[Sequence[Tensor]], rois: Tensor, width: float
    ) -> list[Tensor]:
        """Body, parts, U and V of regions ``[R, 5]`` at the size that is read, over all views."""
        maps = _enlarged(self._maps(views[0], rois))
        if len(views) == 1 or self.mirror is None:
            return maps
        turned = rois.clone()
        turned[:, 1], turned[:, 3] = width - rois[:, 3], width - rois[:, 1]
        coarse, parts, u, v = _enlarged(self._maps(views[1], turned))
        others = self.mirror.maps(coarse, parts, (u, v))
        return [(one + other) / 2 for one, other in zip(maps, others, strict=True)]

    def _maps(self, levels: Sequence[Tensor], rois: Tensor) -> SurfaceMaps:
        """Maps of regions ``[R, 5]``; one of nothing keeps all weights in the graph."""
        count = len(rois)
        if not count:
            rois = rois.new_tensor([[0.0, 0, 0, 16, 16]])
        learning = [] if count else [m for m in self.trunk.modules() if m.training]
        for module in learning:  # nothing has no statistics
            module.training = False
        maps: SurfaceMaps = self(self.roi_extractor(levels, rois))
        for module in learning:
            module.training = True
        return maps.first(count)


def whole_boxes(boxes_xyxy: Tensor) -> Tensor:
    """x, y, w, h of boxes ``[n, 4]``, each cut off to whole px, w and h at least 1; int64."""
    low, size = boxes_xyxy[:, :2], boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    return torch.cat([low.long(), size.long().clamp(min=1)], dim=1)


def scale_of(boxes: Tensor, meta: Mapping[str, Any]) -> Tensor:
    """Sides of the input per side of the original image, for both corners ``[4]``."""
    return boxes.new_tensor(meta.get('scale_factor', (1.0, 1.0))).repeat(2)


def summed(coarse: Tensor) -> Tensor:
    """Logits of background and coarse parts ``[R, 15, S, S]`` -> of background and body."""
    return torch.cat([coarse[:, :1], coarse[:, 1:].logsumexp(1, keepdim=True)], dim=1)


def _body_loss(maps: SurfaceMaps, targets: SurfaceTargets, aligned: bool) -> Tensor:
    """Of the coarse parts, over all cells of the regions that have masks."""
    logits = doubled_logits(maps.coarse, maps.coarse_confidence)
    cells = mask_targets(
        targets.canvases,
        targets.frames,
        targets.regions[:, 1:],
        targets.object_index,
        logits.shape[3],
        aligned,
    )
    return mask_loss(logits, cells)


def _enlarged(maps: SurfaceMaps) -> list[Tensor]:
    """Body, parts, U and V at twice the size, weighted by their confidence."""
    return [
        doubled_logits(maps.coarse, maps.coarse_confidence),
        doubled_logits(maps.parts, maps.part_confidence),
        doubled(maps.u),
        doubled(maps.v),
    ]


def _pixels(maps: Sequence[Tensor], sizes_wh: Sequence[Sequence[int]]) -> list[Any]:
    """Part, U and V of the pixels of regions, arrays ``[3, h, w]`` uint8."""
    return [
        quantized(decode_surface(s, i, u, v, (height, width))).cpu().numpy()
        for s, i, u, v, (width, height) in zip(*maps, sizes_wh, strict=True)
    ]
