"""Every class against all else: no class is normalized against another.

Source: Zhou et al. 2022 (Detic): binary cross entropy summed over the classes, divided by the
number of regions; the background has no column of its own.

Shape legend: n regions, C classes.
"""

from typing import Any

import torch
from mmdet.models.losses import accuracy
from torch import Tensor, nn
from torch.nn import functional

from mmext.registry import MODELS


@MODELS.register_module()
class SigmoidClassLoss(nn.Module):
    """For ``loss_cls`` of a box head with ``background='zero'`` of :class:`.EmbeddingClassifier`.

    Args:
        loss_weight: of it.
    """

    use_sigmoid = True
    custom_cls_channels = custom_activation = custom_accuracy = True

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(
        self,
        cls_score: Tensor,
        labels: Tensor,
        label_weights: Tensor | None = None,
        avg_factor: float | None = None,
        reduction_override: Any = None,
    ) -> Tensor:
        """The loss, ``[]``.

        Args:
            cls_score: logits ``[n, C + 1]``; the last column is not looked at.
            labels: ``[n]``, C is the background.
            label_weights: ``[n]``.
            avg_factor: the number of regions.
            reduction_override: of the host; not used.
        """
        logits = cls_score[:, :-1]
        wanted = functional.one_hot(labels, logits.shape[1] + 1)[:, :-1].to(logits)
        each = functional.binary_cross_entropy_with_logits(logits, wanted, reduction='none').sum(1)
        if label_weights is not None:
            each = each * label_weights
        return self.loss_weight * each.sum() / (avg_factor or max(len(each), 1))

    def get_cls_channels(self, num_classes: int) -> int:
        """Columns of the classifier."""
        return num_classes + 1

    def get_activation(self, cls_score: Tensor) -> Tensor:
        """Scores ``[n, C + 1]`` of logits ``[n, C + 1]``; the background: what the best leaves."""
        scores = cls_score[:, :-1].sigmoid()
        best = scores.amax(1, keepdim=True) if scores.shape[1] else scores.new_zeros(len(scores), 1)
        return torch.cat([scores, 1 - best], 1)

    def get_accuracy(self, cls_score: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Share of right regions, in percent, of logits ``[n, C + 1]``."""
        return {'acc': accuracy(self.get_activation(cls_score), labels)}
