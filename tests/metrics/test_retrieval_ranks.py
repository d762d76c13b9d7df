"""Ranks, recalls and precisions against plain loops."""

import numpy as np
import pytest
import torch
from metric_runs import evaluate_metric

from mmext.errors import InputError
from mmext.metrics.language.ranks import first_ranks, precision_of, retrieval_values
from mmext.registry import METRICS


def whole_numbers(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Vectors whose products are exact, with many ties."""
    return rng.integers(-2, 3, shape).astype(np.float32)


def slow_rank(query: np.ndarray, gallery: np.ndarray, relevant: np.ndarray) -> int:
    if not relevant.any():
        return -1
    scores = [float(sum(query * item)) for item in gallery]
    best = max(s for s, r in zip(scores, relevant, strict=True) if r)
    return sum(s >= best and not r for s, r in zip(scores, relevant, strict=True))


@pytest.mark.parametrize('seed', range(3))
def test_ranks_equal_a_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    queries, gallery = whole_numbers(rng, 15, 4), whole_numbers(rng, 40, 4)
    ids, gallery_ids = rng.integers(0, 8, 15), rng.integers(0, 7, 40)  # nothing has the id 7
    kept = queries.copy()
    ranks, back = first_ranks(queries, gallery, ids, gallery_ids)
    assert ranks.tolist() == [
        slow_rank(query, gallery, gallery_ids == own)
        for query, own in zip(queries, ids, strict=True)
    ]
    assert (queries == kept).all()
    assert back.tolist() == [
        slow_rank(item, queries, ids == own) for item, own in zip(gallery, gallery_ids, strict=True)
    ]


def test_many_blocks() -> None:
    rng = np.random.default_rng(3)
    images, texts = whole_numbers(rng, 150, 8), whole_numbers(rng, 330, 8)
    image_ids, text_ids = rng.permutation(150), rng.integers(0, 160, 330)
    of_images, of_texts = first_ranks(images, texts, image_ids, text_ids)
    assert of_images.tolist() == [
        slow_rank(image, texts, text_ids == own)
        for image, own in zip(images, image_ids, strict=True)
    ]
    assert of_texts.tolist() == first_ranks(texts, images, text_ids, image_ids)[0].tolist()
    assert (of_texts == -1).sum() == (text_ids >= 150).sum() > 0


def test_equal_scores_have_the_worst_rank() -> None:
    same = np.ones((5, 2), np.float32)
    assert first_ranks(same, same, np.arange(5), np.arange(5))[0].tolist() == [4] * 5
    vector = np.random.default_rng(0).standard_normal(64).astype(np.float32)
    many = np.tile(vector, (301, 1))  # rounding differs from place to place of a product
    assert first_ranks(many, many, np.arange(301), np.arange(301))[1].tolist() == [300] * 301
    nothing = np.zeros((0, 3), np.float32)
    assert len(first_ranks(nothing, same[:, :1].repeat(3, 1), np.arange(0), np.arange(5))[0]) == 0
    assert first_ranks(same, nothing[:, :2], np.arange(5), np.arange(0))[0].tolist() == [-1] * 5


def test_values_by_hand() -> None:
    values = retrieval_values(np.array([0, 0, 4, 7, 30, -1]))
    assert values == {'R@1': 40, 'R@5': 60, 'R@10': 80, 'MedR': 5, 'MeanR': pytest.approx(9.2)}
    assert np.isnan(retrieval_values(np.array([-1]))['R@1'])
    assert np.isnan(list(retrieval_values(np.zeros(0, np.int64)).values())).all()


def test_precisions_by_hand() -> None:
    scores, relevant = np.array([4.0, 3, 2, 1]), np.array([True, False, True, False])
    assert precision_of(scores, relevant) == (True, pytest.approx((1 + 2 / 3) / 2))
    assert precision_of(scores[::-1], relevant) == (False, pytest.approx((1 / 2 + 2 / 4) / 2))
    assert precision_of(np.zeros(4), relevant) == (False, pytest.approx((1 / 3 + 2 / 4) / 2))


def sample(image: int, vector: list[float], texts: list[list[float]]) -> dict:
    return dict(
        img_id=image, image_embedding=torch.tensor(vector), text_embeddings=torch.tensor(texts)
    )


SAMPLES = [
    sample(0, [1.0, 0.0], [[2.0, 0.1], [0.0, 1.0]]),
    sample(1, [0.0, 3.0], [[0.1, 2.0]]),
    sample(2, [-1.0, 0.0], [[-1.0, 0.2], [-2.0, -0.1]]),
]


def test_metric_by_hand() -> None:
    values = evaluate_metric('mmext.RetrievalMetric', SAMPLES, {})
    assert values['retrieval/text/R@1'] == pytest.approx(200 / 3)  # image 1 finds a text of image 0
    assert values['retrieval/image/R@1'] == pytest.approx(
        80
    )  # the second text is nearer to image 1
    assert values['retrieval/image/MeanR'] == pytest.approx(1.4)  # and as near to 2 as to its own
    assert values['retrieval/rsum'] == pytest.approx(200 / 3 + 80 + 400)


def test_order_repetition_and_folds() -> None:
    values = evaluate_metric('mmext.RetrievalMetric', SAMPLES, {})
    assert evaluate_metric('mmext.RetrievalMetric', [*SAMPLES[::-1], SAMPLES[0]], {}) == values
    alone = evaluate_metric('mmext.RetrievalMetric', SAMPLES, {}, fold_images=1)
    assert alone['retrieval/rsum'] == 600


def test_numbers_and_names_as_ids() -> None:
    named = [dict(SAMPLES[0], img_id='a'), *SAMPLES[1:]]
    values = evaluate_metric('mmext.RetrievalMetric', SAMPLES, {})
    assert evaluate_metric('mmext.RetrievalMetric', named, {}) == values


def test_a_model_without_vectors() -> None:
    with pytest.raises(InputError, match='no image_embedding'):
        evaluate_metric('mmext.RetrievalMetric', [{'img_id': 0}], {})
    with pytest.raises(
        InputError, match='text_embeddings of image 0 has values that are no number'
    ):
        spoilt = sample(0, [1.0, 0.0], [[float('nan'), 0.0]])
        evaluate_metric('mmext.RetrievalMetric', [spoilt], {})
    wide = sample(1, [1.0, 0, 0], [[1.0, 0, 0]])
    for wrong in ([SAMPLES[0], wide], [sample(1, [1.0, 0], [[1.0, 0, 0]])]):
        with pytest.raises(InputError, match=r'of image 1 has . numbers, .* have one length'):
            evaluate_metric('mmext.RetrievalMetric', wrong, {})
    with pytest.raises(InputError, match='no image was predicted'):
        METRICS.build(dict(type='mmext.RetrievalMetric')).compute_metrics([])
    with pytest.raises(InputError, match='fold_images is 9'):
        evaluate_metric('mmext.RetrievalMetric', SAMPLES, {}, fold_images=9)
