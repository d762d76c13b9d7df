"""The video model as two graphs: one for key frames, one for the frames between them.

Preprocessing, softmax and decoding are inside. The state of the key frame goes out of the one and
into the other: a graph keeps nothing itself. Suppression and the assembly of masks stay outside,
see :mod:`.stream`. The size of the input is fixed.

Shapes: P anchors, C classes, K prototypes of h x w cells, H x W the input.
"""

import torch
from torch import Tensor, nn

from mmext.layers.network_parts import ImageInput
from mmext.yolact_edge.box_head import per_anchor
from mmext.yolact_edge.key_state import KeyState
from mmext.yolact_edge.video_detector import VideoYolactEdge

DETECTIONS = ('boxes', 'scores', 'coefficients', 'prototypes')
STATE = KeyState._fields


class _Network(nn.Module):
    """What both graphs share.

    Args:
        detector: the model; is used as it is.
        size_hw: (H, W) px.
    """

    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    anchors: Tensor

    def __init__(self, detector: VideoYolactEdge, size_hw: tuple[int, int]) -> None:
        super().__init__()
        self.detector, self.size_hw = detector, size_hw
        self.image_input = ImageInput(detector.data_preprocessor)
        device = self.image_input.mean.device
        with torch.no_grad():
            lateral = detector.lateral_of(torch.zeros(1, 3, *size_hw, device=device))
            sizes = [tuple(lateral.shape[2:])]
            for _ in range(len(detector.neck.phase_2.downsample_convs) + 2):
                sizes.append(tuple((side + 1) // 2 for side in sizes[-1]))
            anchors = detector.bbox_head.prior_generator.grid_priors(sizes, size_hw, device)
        self.register_buffer('anchors', anchors)  # [P, 4]

    def _detect(self, merged: list[Tensor]) -> tuple[Tensor, ...]:
        head = self.detector.bbox_head
        outputs = self.detector.outputs_of_levels(self.detector.neck.phase_2(merged))
        cls_scores, bbox_preds, coeff_preds, prototypes = outputs
        deltas = per_anchor(bbox_preds, 4)
        return (
            head.bbox_coder.decode(self.anchors, deltas[0])[None],
            per_anchor(cls_scores, head.cls_out_channels).softmax(-1)[..., :-1],
            per_anchor(coeff_preds, head.num_protos),
            prototypes,
        )


class KeyFrameNetwork(_Network):
    """A key frame: objects and state."""

    input_names = ('image',)
    output_names = (*DETECTIONS, *STATE)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """See a frame.

        Args:
            image: ``[1, 3, H, W]`` float32, BGR, 0 to 255.

        Returns:
            ``boxes`` ``[1, P, 4]`` (x1, y1, x2, y2) px of the input, ``scores`` ``[1, P, C]``,
            ``coefficients`` ``[1, P, K]``, ``prototypes`` ``[1, K, h, w]``, and the three maps of
            :class:`KeyState`.
        """
        merged, lateral = self.detector.merged_of_key(self.image_input(image))
        state = self.detector.propagation.state_of(merged, lateral)
        return (*self._detect(merged), *state)


class BetweenKeysNetwork(_Network):
    """A frame between key frames: objects out of the frame and the state of its key frame."""

    input_names = ('image', *STATE)
    output_names = DETECTIONS

    def forward(
        self, image: Tensor, middle: Tensor, coarse: Tensor, encoded: Tensor
    ) -> tuple[Tensor, ...]:
        """See a frame.

        Args:
            image: ``[1, 3, H, W]`` float32, BGR, 0 to 255.
            middle: of the state, as :class:`KeyFrameNetwork` returns it.
            coarse: likewise.
            encoded: likewise.

        Returns:
            The first four of what :class:`KeyFrameNetwork` returns.
        """
        lateral = self.detector.lateral_of(self.image_input(image))
        key = KeyState(middle, coarse, encoded)
        return self._detect(self.detector.propagation(lateral, key))
