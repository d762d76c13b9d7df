"""The network as it is deployed: one tensor in, decoded faces of all priors out.

Preprocessing, softmax and decoding are inside. The score threshold and non-maximum suppression,
which every runtime has its own fast operation for, stay outside, or are inside on wish. Mesh,
attributes and the refinement stage are not part of it, because they see only the faces that
suppression leaves.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmext.layers.graph_operators import kept_boxes
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
        test_cfg: with it only the faces that stay after its thresholds and suppression come out.

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
        self,
        detector: Any,
        mean: Sequence[float],
        std: Sequence[float],
        swap_channels: bool,
        test_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.test_cfg = test_cfg
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
            has them, ``landmarks`` ``[N, P, K, 2]`` px. With ``test_cfg`` P is its
            ``max_per_img``, best first, with scores of 0 where there are fewer faces.
        """
        image = image.flip(1) if self.swap_channels else image
        levels = self.neck(self.backbone((image - self.mean) / self.std))
        faces, boxes, landmarks = self.head(levels)
        rules = self.head.rules
        sizes = [(level.shape[2], level.shape[3]) for level in levels]
        priors = compute_priors(rules.priors, sizes, image.device)
        outputs: tuple[Tensor, ...] = (
            decode_boxes(boxes, priors, rules.encoding),
            (faces[..., 1] - faces[..., 0]).sigmoid(),
        )
        if landmarks is not None:
            outputs = (*outputs, decode_points(landmarks, priors, rules.encoding))
        return outputs if self.test_cfg is None else kept_faces(outputs, self.test_cfg)


def kept_faces(outputs: Sequence[Tensor], test_cfg: Mapping[str, Any]) -> tuple[Tensor, ...]:
    """What is left of all priors, as many as ``max_per_img`` of each image, best first.

    Args:
        outputs: boxes ``[N, P, 4]``, scores ``[N, P]`` and perhaps landmarks ``[N, P, K, 2]``.
        test_cfg: ``score_thr``, ``nms_pre``, ``nms``, ``max_per_img``.
    """
    boxes, scores, *points = _best(outputs, outputs[1], test_cfg['nms_pre'])
    limit = int(test_cfg['max_per_img'])
    overlap, threshold = float(test_cfg['nms']['iou_threshold']), float(test_cfg['score_thr'])
    scores = scores * kept_boxes(boxes, scores, overlap, threshold, limit)
    return _best((boxes, scores, *points), scores, limit)


def _best(outputs: Sequence[Tensor], ranks: Tensor, count: int) -> tuple[Tensor, ...]:
    """The faces ``[N, count, ...]`` of the highest ``ranks`` ``[N, P]``."""
    index = ranks.topk(torch.sym_min(count, ranks.shape[1]), dim=1).indices
    return tuple(
        values.gather(
            1, index.view(*index.shape, *[1] * (values.dim() - 2)).expand(-1, -1, *values.shape[2:])
        )
        for values in outputs
    )
