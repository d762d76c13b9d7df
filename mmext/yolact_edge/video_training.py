"""How the video model learns: motion first, then all that is used between key frames.

Liu et al., "YolactEdge", ICRA 2021, section 3.3, and the released code: an image model learns on
single frames (:class:`~mmext.yolact_edge.detector.YolactEdge`); then the flow network from pairs
with known motion; then, with a frozen backbone, everything behind it from pairs of a frame and an
earlier one. Each stage is a class; names of parameters are the same in all, so that a stage loads
the one before.

Deviation: the passes of an iteration share one step of the optimizer; the released code makes three
(and the third is of a batch of COCO's pictures, for which there is no place here).
"""

from collections.abc import Iterable, Mapping
from typing import Any, Self

import torch
from mmdet.structures import SampleList
from torch import Tensor, nn

from mmext.errors import InputError
from mmext.registry import MODELS
from mmext.yolact_edge.detector import canvas_of
from mmext.yolact_edge.flow_net import FINEST, flow_parameters
from mmext.yolact_edge.key_state import KeyState
from mmext.yolact_edge.video_detector import VideoYolactEdge
from mmext.yolact_edge.video_losses import (
    endpoint_error_loss,
    flow_targets,
    frozen_smoothing,
    matching_loss,
)

Pair = Mapping[str, Tensor]
_BETWEEN = '_between'


class _OnPairs(VideoYolactEdge):
    """A stage of the training that learns from pairs with a frozen backbone."""

    def _learn_only(self, parameters: Iterable[nn.Parameter]) -> None:
        self.requires_grad_(False)
        for parameter in parameters:
            parameter.requires_grad_(True)

    def train(self, mode: bool = True) -> Self:
        """Set the mode; the backbone's statistics stay."""
        super().train(mode)
        self.backbone.eval()
        return self


@MODELS.register_module()
class YolactEdgeFlowStage(_OnPairs):
    """Learns motion: the flow network and the encoder of the laterals, nothing else.

    Args:
        **kwargs: as for :class:`VideoYolactEdge`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        part = self.propagation
        self._learn_only([*part.encoder.parameters(), *flow_parameters(part.flow_net)])

    def loss(  # type: ignore[override]
        self, batch_inputs: Pair, batch_data_samples: SampleList
    ) -> dict[str, Tensor]:
        """The distance to the known motion, summed over three levels.

        Args:
            batch_inputs: ``img`` and ``ref_img`` ``[B, 3, H, W]``.
            batch_data_samples: with ``gt_flow`` ``[2, h, w]`` and ``flow_valid`` ``[h, w]`` of the
                image without padding, see :class:`~mmext.yolact_edge.transforms.PackFlowPair`.

        Returns:
            ``loss_flow``, and ``flow_error_px``, the mean error of the finest level.
        """
        frames, references = _pair(batch_inputs)
        with torch.no_grad():
            lateral, key_lateral = self.lateral_of(torch.cat((frames, references))).chunk(2)
        encoded_key = self.propagation.encoder(key_lateral)
        motions = self.propagation.motions(lateral, encoded_key, FINEST)
        flows = [motion.flow for motion in motions]
        flow_px, valid = _on_canvas(batch_data_samples, frames)
        sizes = [(flow.shape[2], flow.shape[3]) for flow in flows]
        targets, seen = flow_targets(flow_px, valid, sizes)
        with torch.no_grad():
            # a unit is an eighth of half of the outermost centers' distance
            cell_px = [frames.shape[3] / sizes[0][1], frames.shape[2] / sizes[0][0]]
            unit = [(sizes[0][1] - 1) / 16 * cell_px[0], (sizes[0][0] - 1) / 16 * cell_px[1]]
            off = (flows[0].float() - targets[0]) * flow_px.new_tensor(unit)[:, None, None]
            error = off.norm(dim=1)[seen[0]].sum() / seen[0].sum().clamp(min=1)
        return dict(loss_flow=endpoint_error_loss(flows, targets, seen), flow_error_px=error)


@MODELS.register_module()
class YolactEdgeJointStage(_OnPairs):
    """Learns to see on propagated levels as on those of the whole way.

    Backbone and laterals are frozen, and the level of the flow network that is not used in the end.

    Args:
        matching_weight: of the loss between propagated levels and those of the whole way.
        **kwargs: as for :class:`VideoYolactEdge`.
    """

    def __init__(self, *, matching_weight: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.matching_weight = matching_weight
        part = self.propagation
        learning: list[nn.Module] = [
            *(self.neck.phase_2, self.bbox_head, self.mask_head),
            *(part.encoder, part.flow_net, part.corrections),
        ]
        self._learn_only(p for module in learning for p in module.parameters())
        for unused in (part.flow_net.predictions, part.flow_net.raise_features):
            unused[0].requires_grad_(False)
        part.flow_net.raise_flows[0].requires_grad_(False)

    def loss(  # type: ignore[override]
        self, batch_inputs: Pair, batch_data_samples: SampleList
    ) -> dict[str, Tensor]:
        """The losses of both ways to see the frame.

        Args:
            batch_inputs: ``img`` and, some frames before it, ``ref_img`` ``[B, 3, H, W]``.
            batch_data_samples: of ``img``, as for an image model.

        Returns:
            Those of the image model on the whole way; with ``_between`` in their names those on the
            levels propagated from the reference; ``loss_matching``.
        """
        frames, references = _pair(batch_inputs)
        with torch.no_grad():
            merged, lateral = self.merged_of_key(frames)
            key_merged, key_lateral = self.merged_of_key(references)
        canvas = canvas_of(frames)
        whole = self.loss_of_levels(self.neck.phase_2(merged), batch_data_samples, canvas)
        key: KeyState = self.propagation.state_of(key_merged, key_lateral)
        propagated = self.propagation(lateral, key)
        levels = self.neck.phase_2(propagated)
        between = self.loss_of_levels(levels, batch_data_samples, canvas)
        smooth = [frozen_smoothing(conv) for conv in self.neck.phase_2.output_convs[1:]]
        matching = matching_loss(propagated[1:], merged[1:], smooth)
        named = {f'{name}{_BETWEEN}': value for name, value in between.items()}
        return whole | named | dict(loss_matching=self.matching_weight * matching)


def _pair(inputs: Any) -> tuple[Tensor, Tensor]:
    """Frames and references ``[B, 3, H, W]`` of a batch of pairs."""
    if not isinstance(inputs, Mapping):
        raise InputError(
            'inputs: this stage learns from pairs of frames, dict(img=…, ref_img=…); got single '
            "frames: take data_preprocessor=dict(type='mmext.VideoPairDataPreprocessor', ...) and "
            'a data set with reference_range'
        )
    return inputs['img'], inputs['ref_img']


def _on_canvas(samples: SampleList, like: Tensor) -> tuple[Tensor, Tensor]:
    """Flows ``[B, 2, H, W]`` and what is known of them ``[B, H, W]``, padding unknown."""
    height, width = like.shape[2:]
    flow = like.new_zeros((len(samples), 2, height, width), dtype=torch.float32)
    valid = torch.zeros((len(samples), height, width), dtype=torch.bool, device=like.device)
    for i, sample in enumerate(samples):
        h, w = sample.gt_flow.shape[1:]
        flow[i, :, :h, :w] = sample.gt_flow
        valid[i, :h, :w] = sample.flow_valid
    return flow, valid
