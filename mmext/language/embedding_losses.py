"""Losses that bring matching images and texts together in one space.

Sources: Faghri et al. 2018 (hinges, sum and max), Vendrov et al. 2016 (order), van den Oord et al.
2018 and Khosla et al. 2020 (InfoNCE, several positives), Salvador et al. 2017 (cosine with margin,
semantic regularisation).

Pairs that have the same text are no negatives of each other: with tags, many have.

Shape legend: B pairs, D numbers; images and texts ``[B, D]`` of length 1; text_ids ``[B]``, equal
for equal texts.
"""

import torch
from torch import Tensor
from torch.nn import functional

ORDER_MARGIN = 0.05


def cosine_scores(images: Tensor, texts: Tensor) -> Tensor:
    """``[B, B]``, row i is image i with all texts."""
    return images @ texts.T


def order_scores(images: Tensor, texts: Tensor) -> Tensor:
    """``[B, B]``: minus the length of what a text has above its image, ``-|max(0, t - i)|``."""
    violation = (texts[None] - images[:, None]).clamp(min=0)  # [B, B, D]
    return -violation.square().sum(2).clamp(min=1e-24).sqrt()


def hinge_loss(
    scores: Tensor, text_ids: Tensor, margin: float = 0.2, hardest: bool = True
) -> Tensor:
    """Sum over the batch of how far wrong pairs come within a margin of the right one.

    Args:
        scores: ``[B, B]``, right pairs on the diagonal.
        text_ids: ``[B]``.
        margin: of the hinges.
        hardest: only the worst wrong pair of each row and column (VSE++), else all (VSE0).
    """
    right = scores.diagonal()
    same = text_ids[:, None] == text_ids
    by_text = (
        (margin + scores - right[:, None]).clamp(min=0).masked_fill(same, 0)
    )  # texts of an image
    by_image = (margin + scores - right[None]).clamp(min=0).masked_fill(same, 0)
    if hardest and len(scores):
        return by_text.amax(1).sum() + by_image.amax(0).sum()
    return by_text.sum() + by_image.sum()


def info_nce(scores: Tensor, text_ids: Tensor) -> Tensor:
    """Symmetric cross entropy of scores over a temperature, mean over rows and columns.

    Args:
        scores: ``[B, B]``, cosines over the temperature.
        text_ids: ``[B]``; all pairs of equal texts are right, each with an equal share.
    """
    if not len(scores):
        return scores.sum()
    same = (text_ids[:, None] == text_ids).to(scores.dtype)
    shares = same / same.sum(1, keepdim=True)
    by_rows = -(shares * scores.log_softmax(1)).sum(1).mean()
    by_columns = -(shares * scores.T.log_softmax(1)).sum(1).mean()
    return (by_rows + by_columns) / 2


def cosine_margin_loss(images: Tensor, texts: Tensor, matches: Tensor, margin: float) -> Tensor:
    """Mean of 1 - cos for pairs that match, of max(0, cos - margin) for the others.

    Args:
        images: ``[B, D]``.
        texts: ``[B, D]``.
        matches: ``[B]``, bool.
        margin: of what does not match.
    """
    if not len(images):
        return images.sum() + texts.sum()
    cosines = functional.cosine_similarity(images, texts, dim=1)
    return torch.where(matches, 1 - cosines, (cosines - margin).clamp(min=0)).mean()


def word_loss(cosines: Tensor, tags: Tensor, scale_bias: Tensor) -> Tensor:
    """Binary cross entropy of each word, summed over the words, mean over the regions.

    Args:
        cosines: ``[B, W]`` of regions with words.
        tags: ``[B, W]``, 1 for words that are said of a region.
        scale_bias: ``[2]``; the logit of a word is ``scale * cosine + bias``.
    """
    logits = scale_bias[0] * cosines + scale_bias[1]
    total = functional.binary_cross_entropy_with_logits(
        logits, tags.to(logits.dtype), reduction='sum'
    )
    return total / max(len(cosines), 1)


def mismatched_pairs(
    images: Tensor, texts: Tensor, text_ids: Tensor, rounds: int = 4
) -> tuple[Tensor, Tensor, Tensor]:
    """All right pairs and, for each image, the texts of the next ``rounds`` pairs.

    With 4 rounds 80 % of the pairs are wrong, as in Salvador et al.; pairs of equal texts count as
    right.

    Args:
        images: ``[B, D]``.
        texts: ``[B, D]``.
        text_ids: ``[B]``.
        rounds: wrong pairs for each right one.

    Returns:
        Images ``[n, D]``, texts ``[n, D]``, matches ``[n]``.
    """
    shifts = range(min(rounds + 1, max(len(images), 1)))
    matches = [text_ids == text_ids.roll(shift) for shift in shifts]
    return (
        images.repeat(len(shifts), 1),
        torch.cat([texts.roll(shift, 0) for shift in shifts]),
        torch.cat(matches),
    )
