"""The track head: size, loss against plain cross entropies, targets, degenerate images."""

import math

import pytest
import torch

from mmext.registry import MODELS
from mmext.vpsnet.track_head import TrackHead
from mmext.vpsnet.track_targets import match_targets

torch.set_num_threads(1)


@pytest.fixture
def head():
    torch.manual_seed(0)
    head = MODELS.build(
        dict(type='mmext.TrackHead', in_channels=3, roi_size=2, fc_channels=5, loss_weight=0.5)
    )
    head.init_weights()
    return head


def ids(*values):
    return torch.tensor(values, dtype=torch.long)


def test_parameter_count_of_the_released_model():
    assert sum(p.numel() for p in TrackHead().parameters()) == 13_895_680


def test_no_activation_after_the_last_layer(head):
    embeddings = head(torch.randn(20, 3, 2, 2, generator=torch.Generator().manual_seed(0)))
    assert embeddings.shape == (20, 5)
    assert (embeddings < 0).any()
    assert head(torch.zeros(0, 3, 2, 2)).shape == (0, 5)


def test_targets_against_a_loop():
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        own, references = (
            torch.randint(0, 6, (int(n),), generator=generator)
            for n in torch.randint(0, 7, (2,), generator=generator)
        )
        expected = [
            references.tolist().index(i) + 1 if i in references.tolist() else 0
            for i in own.tolist()
        ]
        actual = match_targets(own, references)
        assert actual.tolist() == expected
        assert actual.dtype == torch.long


def test_id_zero_is_an_id():
    assert match_targets(ids(0, 4, 0), ids(3, 0)).tolist() == [2, 0, 2]


def test_loss_is_the_mean_over_positives_then_over_images(head):
    generator = torch.Generator().manual_seed(1)
    embeddings = [torch.randn(n, 5, generator=generator) for n in (4, 1)]
    references = [torch.randn(n, 5, generator=generator) for n in (3, 2)]
    own, others = [ids(8, 2, 8, 5), ids(1)], [ids(2, 8, 9), ids(4, 6)]
    per_image, hits = [], []
    for emb, refs, a, b in zip(embeddings, references, own, others, strict=True):
        losses = []
        for row, i in zip(emb, a.tolist(), strict=True):
            logits = [0.0, *(float(row @ ref) for ref in refs)]
            target = b.tolist().index(i) + 1 if i in b.tolist() else 0
            losses.append(math.log(sum(map(math.exp, logits))) - logits[target])
            hits.append(logits.index(max(logits)) == target)
        per_image.append(sum(losses) / len(losses))
    actual = head.loss_by_feat(embeddings, references, own, others)
    assert actual['loss_match'].item() == pytest.approx(0.5 * sum(per_image) / 2, rel=1e-5)
    assert actual['match_accuracy'].item() == pytest.approx(100 * sum(hits) / 5)


@pytest.mark.parametrize(('positives', 'references'), [(0, 2), (0, 0), (3, 0)])
def test_degenerate_images_give_a_finite_loss_with_gradients(head, positives, references):
    embeddings, remembered = (head(torch.randn(n, 3, 2, 2)) for n in (positives, references))
    losses = head.loss_by_feat(
        [embeddings], [remembered], [torch.arange(positives)], [torch.arange(references)]
    )
    assert losses['loss_match'].item() == 0  # no positive, or no choice but "new"
    assert torch.isfinite(losses['match_accuracy'])
    losses['loss_match'].backward()
    assert all(p.grad is not None and (p.grad == 0).all() for p in head.parameters())


def test_learns_to_tell_objects_apart():
    torch.manual_seed(3)
    head = TrackHead(in_channels=3, roi_size=2, fc_channels=32)
    looks = torch.randn(4, 3, 2, 2)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.01)
    for _ in range(100):
        embeddings, references = head(looks + 0.1 * torch.randn_like(looks)), head(looks[:3])
        losses = head.loss_by_feat([embeddings], [references], [ids(4, 5, 6, 7)], [ids(4, 5, 6)])
        optimizer.zero_grad()
        losses['loss_match'].backward()
        optimizer.step()
    assert losses['loss_match'].item() < 0.05
    assert losses['match_accuracy'].item() == 100


def test_at_least_one_layer():
    with pytest.raises(ValueError, match='num_fcs'):
        TrackHead(num_fcs=0)
