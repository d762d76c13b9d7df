"""The loss of regions and the texts that are said of them, as a part of a config."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmext.errors import InputError
from mmext.language.embedding_losses import (
    ORDER_MARGIN,
    cosine_margin_loss,
    cosine_scores,
    hinge_loss,
    info_nce,
    mismatched_pairs,
    order_scores,
    word_loss,
)
from mmext.registry import MODELS

WORD_SCALE_BIAS = (20.0, -5.0)
KINDS = ('infonce', 'max_hinge', 'sum_hinge', 'order', 'cosine')


@MODELS.register_module()
class JointEmbeddingLoss(nn.Module):
    """Brings regions and their texts together, and keeps those of a class together.

    Args:
        kind: of :data:`KINDS`.
        dim: D.
        num_classes: K of the semantic regularisation (Salvador et al. 2017): one linear layer
            tells the class of a region and of its text; 0: none.
        semantic_weight: of it.
        temperature: of InfoNCE at the start; learned.
        margin: None: 0.2 for hinges, 0.05 for order, 0.1 for cosine.
        word_weight: of telling each word of the vocabulary from what is said and what is not
            (:func:`.word_loss`); 0: without. Batches of few objects have few texts, thus few
            negatives; of words there are always all.
        loss_weight: of the whole.
    """

    def __init__(
        self,
        kind: str = 'infonce',
        dim: int = 64,
        num_classes: int = 0,
        semantic_weight: float = 0.1,
        temperature: float = 0.07,
        margin: float | None = None,
        word_weight: float = 0.0,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        if kind not in KINDS or temperature <= 0:
            raise InputError(
                f'JointEmbeddingLoss: kind {kind!r} (of {", ".join(KINDS)}), '
                f'temperature {temperature}'
            )
        self.kind, self.semantic_weight, self.loss_weight = kind, semantic_weight, loss_weight
        usual = {'order': ORDER_MARGIN, 'cosine': 0.1}.get(kind, 0.2)
        self.margin = usual if margin is None else margin
        self.log_scale = nn.Parameter(torch.tensor(1 / temperature).log())
        self.semantic = nn.Linear(dim, num_classes) if num_classes else None
        self.word_weight = word_weight
        if word_weight:
            self.word_scale_bias = nn.Parameter(torch.tensor(WORD_SCALE_BIAS))

    def forward(
        self,
        regions: Tensor,
        texts: Tensor,
        text_ids: Tensor,
        labels: Tensor,
        tags: Tensor,
        words: Tensor,
    ) -> dict[str, Tensor]:
        """Losses by name.

        Args:
            regions: ``[B, D]`` of length 1.
            texts: ``[B, D]`` of length 1, that of each region.
            text_ids: ``[B]``, equal for equal texts.
            labels: ``[B]``, classes of the regions.
            tags: ``[B, W]``, 1 for the words of each text.
            words: ``[W, D]`` of length 1.
        """
        # no region: the sum of nothing keeps all parameters in the graph, as ranks need it
        losses = {'loss_embedding': self.loss_weight * self._match(regions, texts, text_ids)}
        if self.semantic is not None:
            told = functional.cross_entropy(
                self.semantic(torch.cat([regions, texts])), labels.repeat(2), reduction='sum'
            )
            share = self.loss_weight * self.semantic_weight
            losses['loss_semantic'] = share * told / max(len(labels), 1)
        if self.word_weight:
            told = word_loss(cosine_scores(regions, words), tags, self.word_scale_bias)
            losses['loss_words'] = self.loss_weight * self.word_weight * told
        return losses

    def _match(self, regions: Tensor, texts: Tensor, text_ids: Tensor) -> Tensor:
        if self.kind == 'infonce':
            scale = self.log_scale.exp().clamp(max=100)
            return info_nce(scale * cosine_scores(regions, texts), text_ids)
        unused = 0 * self.log_scale
        if self.kind == 'cosine':
            pairs = mismatched_pairs(regions, texts, text_ids)
            return cosine_margin_loss(*pairs, self.margin) + unused
        if self.kind == 'order':
            scores = order_scores(regions.abs(), texts.abs())
        else:
            scores = cosine_scores(regions, texts)
        loss = hinge_loss(scores, text_ids, self.margin, self.kind != 'sum_hinge')
        return loss / max(len(scores), 1) + unused
