"""Losses of joint embeddings against double loops and values of the released functions."""

import numpy as np
import pytest
import torch

from mmext.language.embedding_losses import (
    cosine_margin_loss,
    cosine_scores,
    hinge_loss,
    info_nce,
    mismatched_pairs,
    order_scores,
    word_loss,
)
from mmext.registry import MODELS


def golden_pairs() -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    a = rng.standard_normal((6, 8)).astype(np.float32)
    b = a + np.float32(0.8) * rng.standard_normal((6, 8)).astype(np.float32)
    unit = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (a, b))
    return tuple(torch.from_numpy(v) for v in unit)


DIFFERENT = torch.arange(6)


def test_values_of_the_released_functions() -> None:
    images, texts = golden_pairs()
    scores = cosine_scores(images, texts)
    ordered = order_scores(images.abs(), texts.abs())
    matches = torch.arange(6) % 2 == 0
    assert float(hinge_loss(scores, DIFFERENT, 0.2, False)) == pytest.approx(1.165247, abs=1e-6)
    assert float(hinge_loss(scores, DIFFERENT, 0.2)) == pytest.approx(1.010422, abs=1e-6)
    assert float(hinge_loss(ordered, DIFFERENT, 0.05, False)) == pytest.approx(1.741382, abs=1e-6)
    assert float(info_nce(scores / 0.07, DIFFERENT)) == pytest.approx(0.431357, abs=1e-6)
    assert float(cosine_margin_loss(images, texts, matches, 0.1)) == pytest.approx(
        0.523692, abs=1e-6
    )


IDS = torch.tensor([0, 1, 0, 2, 3, 2])


@pytest.mark.parametrize('hardest', [True, False])
def test_hinges_equal_a_double_loop(hardest: bool) -> None:
    scores = cosine_scores(*golden_pairs())
    total = 0.0
    for turned in (scores, scores.T):
        for i in range(6):
            wrong = [
                max(0.0, 0.2 + float(turned[i, j]) - float(turned[i, i]))
                for j in range(6)
                if IDS[i] != IDS[j]
            ]
            total += max(wrong) if hardest else sum(wrong)
    assert float(hinge_loss(scores, IDS, 0.2, hardest)) == pytest.approx(total, abs=1e-5)


def test_several_positives_equal_a_double_loop() -> None:
    scores = cosine_scores(*golden_pairs()) / 0.07
    total = 0.0
    for turned in (scores.double(), scores.double().T):
        for i in range(6):
            same = [j for j in range(6) if IDS[i] == IDS[j]]
            total -= sum(
                float(turned[i, j] - turned[i].exp().sum().log()) / len(same) for j in same
            )
    assert float(info_nce(scores, IDS)) == pytest.approx(total / 12, rel=1e-5)


@pytest.mark.parametrize('loss', [info_nce, hinge_loss])
def test_order_of_the_batch_one_pair_and_none(loss: object) -> None:
    scores = cosine_scores(*golden_pairs())
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    assert float(loss(scores, IDS)) == pytest.approx(
        float(loss(scores[order][:, order], IDS[order])), rel=1e-5
    )
    assert float(loss(scores[:1, :1], IDS[:1])) == 0
    assert float(loss(scores[:0, :0], IDS[:0])) == 0


def test_equal_texts_are_no_negatives() -> None:
    images, texts = golden_pairs()
    same = texts[:1].expand(6, -1)
    assert float(hinge_loss(cosine_scores(images, same), torch.zeros(6))) == 0
    all_the_same = info_nce(cosine_scores(images[:1].expand(6, -1), same), torch.zeros(6))
    assert float(all_the_same) == pytest.approx(
        np.log(6)
    )  # nothing can be told apart, nothing pushed


def test_order_scores_equal_a_loop() -> None:
    images, texts = (v.abs() for v in golden_pairs())
    scores = order_scores(images, texts)
    for i in range(6):
        for j in range(6):
            above = [max(0.0, float(t - v)) for v, t in zip(images[i], texts[j], strict=True)]
            assert float(scores[i, j]) == pytest.approx(-np.linalg.norm(above), abs=1e-6)
    assert torch.isfinite(
        torch.autograd.functional.jacobian(lambda x: order_scores(x, x), images)
    ).all()


def test_four_of_five_pairs_are_wrong() -> None:
    images, texts = golden_pairs()
    first, second, matches = mismatched_pairs(images, texts, DIFFERENT)
    assert len(first) == len(second) == 30 and int(matches.sum()) == 6
    repeated = mismatched_pairs(images, texts, IDS)[2]
    # pairs (0, 2) and (3, 5) are equal texts, two places apart, one way and the other
    assert int(repeated.sum()) == 6 + 4
    assert len(mismatched_pairs(images[:1], texts[:1], IDS[:1])[0]) == 1


def test_semantic_regularisation_is_a_shared_cross_entropy() -> None:
    torch.manual_seed(0)
    loss = MODELS.build(
        dict(
            type='mmext.JointEmbeddingLoss',
            dim=8,
            num_classes=3,
            semantic_weight=0.5,
            loss_weight=2.0,
        )
    )
    images, texts = golden_pairs()
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    tags, words = torch.eye(6), texts
    values = loss(images, texts, DIFFERENT, labels, tags, words)
    by_hand = sum(
        float(torch.nn.functional.cross_entropy(loss.semantic(v), labels)) for v in (images, texts)
    )
    assert float(values['loss_semantic']) == pytest.approx(2 * 0.5 * by_hand, rel=1e-5)
    assert float(values['loss_embedding']) == pytest.approx(2 * 0.431357, abs=1e-5)


def test_words_are_judged_one_by_one() -> None:
    rng = np.random.default_rng(1)
    cosines = torch.from_numpy(rng.uniform(-1, 1, (3, 5))).requires_grad_()
    tags = torch.from_numpy(rng.integers(0, 2, (3, 5)))
    scale_bias = torch.tensor([4.0, -1.0], requires_grad=True)
    loss = word_loss(cosines, tags, scale_bias)
    total = 0.0
    for row in range(3):
        for word in range(5):
            probability = 1 / (1 + np.exp(-(4.0 * float(cosines[row, word].detach()) - 1)))
            total -= np.log(probability if tags[row, word] else 1 - probability)
    assert float(loss.detach()) == pytest.approx(total / 3, rel=1e-6)
    loss.backward()
    assert ((cosines.grad < 0) == (tags == 1)).all() and (scale_bias.grad != 0).all()
    assert float(word_loss(torch.zeros(0, 5), torch.zeros(0, 5), scale_bias).detach()) == 0
