"""Track head: an embedding per RoI by which the same object is known again.

Source: VPSNet (Kim et al., CVPR 2020), section 3.3: the track branch of MaskTrack R-CNN (Yang et
al., ICCV 2019). Two fully connected layers (13,895,680 parameters at 256 channels), the dot
product as affinity, and a cross entropy over the objects of the reference frame and "new".

Deviation: any number of images per batch; the loss is the mean over images, 0 for an image
without a positive RoI.

Shape legend: R RoIs, P positive RoIs and m reference objects of an image, D embedding channels.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from mmext.errors import InputError
from mmext.registry import MODELS
from mmext.vpsnet.association import affinity
from mmext.vpsnet.track_targets import match_targets


@MODELS.register_module()
class TrackHead(BaseModule):
    """Embeds RoI features and learns to match them with those of another frame.

    Args:
        in_channels: channels of the RoI features.
        roi_size: their side, in cells.
        fc_channels: D, channels of every layer.
        num_fcs: layers; all but the last are followed by a ReLU.
        loss_weight: weight of the match loss.
        init_cfg: as for every mmengine module.
    """

    def __init__(
        self,
        in_channels: int = 256,
        roi_size: int = 7,
        fc_channels: int = 1024,
        num_fcs: int = 2,
        loss_weight: float = 1.0,
        init_cfg: dict | None = dict(type='Normal', layer='Linear', std=0.01),  # noqa: B006
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if num_fcs < 1:
            raise InputError(f'num_fcs: expected at least 1, got {num_fcs}')
        self.loss_weight = loss_weight
        widths = [in_channels * roi_size**2] + [fc_channels] * num_fcs
        self.fcs = nn.ModuleList(nn.Linear(i, o) for i, o in pairwise(widths))

    def forward(self, roi_features: Tensor) -> Tensor:
        """Embeddings ``[R, D]`` of RoI features ``[R, C, s, s]``."""
        embeddings = roi_features.flatten(1)
        for fc in self.fcs[:-1]:
            embeddings = fc(embeddings).relu()
        return self.fcs[-1](embeddings)

    def loss_by_feat(
        self,
        embeddings: Sequence[Tensor],
        ref_embeddings: Sequence[Tensor],
        instances_ids: Sequence[Tensor],
        ref_instances_ids: Sequence[Tensor],
    ) -> dict[str, Tensor]:
        """Cross entropy of the affinities; each argument has one entry per image.

        Args:
            embeddings: ``[P, D]``, of the positive RoIs of the key frame.
            ref_embeddings: ``[m, D]``, of the objects of the reference frame.
            instances_ids: ``[P]``, the object each RoI was sampled for.
            ref_instances_ids: ``[m]``.

        Returns:
            ``loss_match``, and ``match_accuracy``, the share of RoIs (in percent) whose
            highest affinity is the right one.
        """
        losses, hits = [], []
        for positives, references, ids, ref_ids in zip(
            embeddings, ref_embeddings, instances_ids, ref_instances_ids, strict=True
        ):
            scores = affinity(positives, references)  # [P, m + 1]
            targets = match_targets(ids, ref_ids)
            # a sum, because the mean over no RoI is not a number; it reaches every parameter
            total = F.cross_entropy(scores, targets, reduction='sum') + 0 * references.sum()
            losses.append(total / max(len(targets), 1))
            hits.append(scores.argmax(dim=1) == targets)
        hit = torch.cat(hits)
        return dict(
            loss_match=self.loss_weight * torch.stack(losses).mean(),
            match_accuracy=100 * hit.sum() / max(len(hit), 1),
        )
