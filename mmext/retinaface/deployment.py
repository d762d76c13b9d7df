"""The network as it is deployed: one tensor in, decoded faces of all priors out.

Preprocessing, softmax and decoding are inside; the score threshold and non-maximum suppression,
which every runtime has its own fast operation for, stay outside. Mesh, attributes and the
refinement stage are not part of it, because they see only the faces that suppression leaves.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmext.retinaface.encoding import decode_boxes, decode_points
from mmext.retinaface.priors import compute_priors

OUTPUTS = ('boxes', 'scores', 'landmarks')


class FaceNetwork(nn.Module):
    """A :class:`~mmext.retinaface.detector.RetinaFace` without everything that is not a tensor.

    Args:
        detector: the model.
        mean: of the data preprocessor, in the order of its channels.
        std: likewise.
        swap_channels: whether the preprocessor turns BGR into RGB.

    Attributes:
        output_names: of the graph, of those that it has.
        size_hw: height and width of the images, px; None: any.
        jumps: whether a last bit may move an output.
    """

    mean: Tensor
    std: Tensor
    output_names = OUTPUTS
    size_hw = None  # any
    jumps = False

    def __init__(
        self, detector: Any, mean: Sequence[float], std: Sequence[float], swap_channels: bool
    ) -> None:
        super().__init__()
        self.backbone = detector.backbone
        self.neck = detector.neck
        self.head = detector.bbox_head
        self.swap_channels = swap_channels
        self.register_buffer('mean', torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer('std', torch.tensor(std).view(-1, 1, 1))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Find faces.

        Args:
            image: ``[N, 3, H, W]`` float32, BGR, 0 to 255.

        Returns:
            ``boxes`` ``[N, P, 4]`` (x1, y1, x2, y2) px, ``scores`` ``[N, P]``, and, if the model
            has them, ``landmarks`` ``[N, P, K, 2]`` px.
        """
        image = image.flip(1) if self.swap_channels else image
        levels = self.neck(self.backbone((image - self.mean) / self.std))
        faces, boxes, landmarks = self.head(levels)
        rules = self.head.rules
        sizes = [(level.shape[2], level.shape[3]) for level in levels]
        priors = compute_priors(rules.priors, sizes, image.device)
        outputs = (
            decode_boxes(boxes, priors, rules.encoding),
            (faces[..., 1] - faces[..., 0]).sigmoid(),
        )
        if landmarks is None:
            return outputs
        return (*outputs, decode_points(landmarks, priors, rules.encoding))
