"""VPSNet in parts that another runtime can run.

With a fuse neck, for which the size of the frames must be fixed, ``frame`` turns an image into
levels, and ``fused`` takes these, the maps of the reference frame and the flow between both. Flow,
memory, tracker and all that UPSNet has around its parts stay outside; see
:mod:`mmext.layers.network_parts`.

Shape legend: N frames, C channels, R RoIs, D values of an embedding.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmdet.structures.bbox import bbox2roi
from torch import Tensor, nn

from mmext.layers.network_parts import Backbone, ImageInput, NetworkPart, Runner, image_example
from mmext.layers.roi_pooling import PyramidPooling, roi_inputs, run_on_rois
from mmext.layers.two_stage_parts import (
    DenseHeads,
    Levels,
    roi_parts,
    two_stage_parts,
    use_dense_heads,
    use_roi_parts,
    use_two_stage_parts,
)


class FusedPart(nn.Module):
    """Levels of a frame fused with those of its reference, and what heads say of them.

    Args:
        detector: a VPSNet with a fuse neck.
        num_levels: of its pyramid.
    """

    def __init__(self, detector: Any, num_levels: int) -> None:
        super().__init__()
        self.fuse_neck, self.heads = detector.fuse_neck, DenseHeads(detector)
        self.num_levels = num_levels

    def forward(self, *maps: Tensor) -> tuple[Tensor, ...]:
        """The fused levels, then the heads' outputs.

        Args:
            maps: levels ``[N, C, h_i, w_i]``, maps of the reference, flow ``[N, 2, H, W]`` px.
        """
        levels, references, flow = maps[: self.num_levels], maps[self.num_levels : -1], maps[-1]
        fused = self.fuse_neck(levels, self.fuse_neck.gather(levels), references, flow)
        return (*fused, *self.heads(fused))


class TrackPart(nn.Module):
    """Embeddings of boxes.

    Args:
        detector: with a track head.
    """

    def __init__(self, detector: Any) -> None:
        super().__init__()
        self.pooling = PyramidPooling(detector.roi_head.bbox_roi_extractor)
        self.track_head = detector.track_head

    def forward(self, *levels_and_rois: Tensor) -> tuple[Tensor, ...]:
        """``[R, D]`` from levels ``[N, C, h_i, w_i]`` and RoIs ``[R, 5]``."""
        return (self.track_head(self.pooling(levels_and_rois[:-1], levels_and_rois[-1])),)


def network_parts(
    detector: Any, size_hw: tuple[int, int], meta: Mapping[str, Any]
) -> dict[str, NetworkPart]:
    """``dense``, or ``frame`` and ``fused``; ``boxes``, ``masks``; with a track head ``track``.

    Args:
        detector: the VPSNet.
        size_hw: of the example, px.
        meta: of its data; not used.
    """
    features, inputs = Backbone(detector), image_example(size_hw)
    levels = features(**inputs)
    if detector.fuse_neck is None:
        parts = two_stage_parts(detector, size_hw)
    else:
        names = tuple(f'level_{i}' for i in range(len(levels)))
        fused = FusedPart(detector, len(levels))
        parts = dict(
            frame=NetworkPart(features, inputs, names),
            fused=NetworkPart(
                fused,
                _fused_inputs(detector, levels, size_hw),
                (*(f'fused_{name}' for name in names), *fused.heads.names(len(levels))),
                opens=False,
            ),
            **roi_parts(detector, levels, size_hw),
        )
    if detector.track_head is not None:
        num_inputs = detector.roi_head.bbox_roi_extractor.num_inputs
        rois = roi_inputs(levels, num_inputs, size_hw)
        parts['track'] = NetworkPart(TrackPart(detector), rois, ('embeddings',))
    return parts


def use_parts(detector: Any, runners: Mapping[str, Runner]) -> None:
    """Let a VPSNet predict with its parts run elsewhere, in place."""
    if detector.fuse_neck is None:
        use_two_stage_parts(detector, runners)
    else:
        image_input, frame, fused = (
            ImageInput(detector.data_preprocessor),
            runners['frame'],
            runners['fused'],
        )

        def fuse(
            levels: Sequence[Tensor],
            gathered: Sequence[Tensor],
            references: Sequence[Tensor],
            flow: Tensor,
        ) -> Levels:
            outputs = [
                fused(*(maps[i : i + 1] for maps in (*levels, *references, flow)))
                for i in range(len(flow))  # the graph is of one frame
            ]
            joined = [torch.cat(maps) for maps in zip(*outputs, strict=True)]
            return Levels.of(fused.output_names, joined)

        detector.extract_feat = lambda inputs: frame(image_input.pixels(inputs))
        detector.fuse_neck.forward = fuse
        use_dense_heads(detector)
        use_roi_parts(detector.roi_head, runners)
    if 'track' in runners:
        num_inputs = detector.roi_head.bbox_roi_extractor.num_inputs

        def embed(levels: Sequence[Tensor], boxes: list[Tensor]) -> list[Tensor]:
            rois = bbox2roi(boxes)
            (embeddings,) = run_on_rois(runners['track'], levels[:num_inputs], rois)
            return list(embeddings.split([len(image) for image in boxes]))

        detector._embed = embed


def _fused_inputs(
    detector: Any, levels: Sequence[Tensor], size_hw: tuple[int, int]
) -> dict[str, Tensor]:
    """An example: of two frames one, with the other as its reference, that move a little."""
    references = [maps[1:] for maps in detector.fuse_neck.gather(levels)]
    return {
        **{f'level_{i}': level[:1] for i, level in enumerate(levels)},
        **{f'reference_{i}': maps for i, maps in enumerate(references)},
        'flow': torch.randn(1, 2, *size_hw) * 3,
    }
