"""A head for search beside the box head: what it learns, and that it teaches nothing else."""

from typing import Any

import pytest
import torch
from tiny_words import features, proposals, roi_head, samples

from mmext.language.search_head import SearchHead
from mmext.registry import MODELS

SEARCH = dict(
    type='mmext.SearchHead', in_channels=8, roi_feat_size=3, channels=16, dim=8, scale=1.5
)
LOSS = dict(type='mmext.JointEmbeddingLoss', dim=8, num_classes=3, word_weight=1.0)


def test_boxes_grow_around_their_centers() -> None:
    grown = MODELS.build(SEARCH).grow(torch.tensor([[10.0, 20, 30, 60]]))
    assert grown.tolist() == [[5, 10, 35, 70]]


def test_vectors_are_those_of_the_layers() -> None:
    head: SearchHead = MODELS.build(SEARCH)
    regions = torch.randn(5, 8, 3, 3, requires_grad=True)
    first, last = head.layers[1], head.layers[3]
    hidden = (regions.detach().reshape(5, -1) @ first.weight.T + first.bias).clamp(min=0)
    wanted = hidden @ last.weight.T + last.bias
    told = head(regions)
    assert torch.allclose(told, wanted / wanted.norm(dim=1, keepdim=True), atol=1e-6)
    told.sum().backward()
    assert regions.grad is None and float(first.weight.grad.abs().sum()) > 0


@pytest.mark.parametrize('stages', [1, 2])
def test_it_teaches_nothing_but_itself(stages: int) -> None:
    """Neither the pyramid, nor the box head, nor the vectors of its classes."""
    head = roi_head(stages, LOSS, SEARCH, learn_table=True)
    pyramid = features()[0].requires_grad_()
    losses = head.loss((pyramid,), proposals(), samples())
    own = [value for name, value in losses.items() if name.split('.')[-1] in ('loss_embedding',
           'loss_semantic', 'loss_words')]  # fmt: skip
    assert len(own) == 3
    sum(own).backward()
    taught = {name for name, p in head.named_parameters() if p.grad is not None and p.grad.any()}
    table = f'bbox_head{"" if stages == 1 else ".1"}.fc_cls.table'
    assert pyramid.grad is None
    assert {n for n in taught if not n.startswith(('search_head', 'embedding_loss'))} == {table}
    assert len([n for n in taught if n.startswith('search_head')]) == 4
    assert (head.embedder.fc_cls.table.grad.abs().sum(1) > 0).tolist() == [False] * 3 + [True] * 2


def without_search(head: Any, stages: int) -> Any:
    """The same head, to the last weight, without the part for search."""
    plain = roi_head(stages, learn_table=True)
    assert not plain.load_state_dict(head.state_dict(), strict=False).missing_keys
    return plain


def test_the_box_head_learns_as_without_it() -> None:
    beside = roi_head(1, LOSS, SEARCH, learn_table=True)
    plain = without_search(beside, 1)
    for head in (beside, plain):
        torch.manual_seed(0)
        losses = head.loss(features(), proposals(), samples())
        sum(value for name, value in losses.items() if 'loss' in name).backward()
    for (name, own), other in zip(
        beside.bbox_head.named_parameters(), plain.bbox_head.parameters(), strict=True
    ):
        rows = slice(0, 3) if name == 'fc_cls.table' else slice(None)  # the classes
        assert torch.equal(torch.atleast_1d(own.grad)[rows], torch.atleast_1d(other.grad)[rows]), (
            name
        )


@pytest.mark.parametrize('stages', [1, 2])
def test_detections_have_its_vectors(stages: int) -> None:
    head = roi_head(stages, None, SEARCH, learn_table=True).eval()
    metas = [sample.metainfo for sample in samples()]
    with torch.no_grad():
        results = head.predict_bbox(features(), metas, proposals(), head.test_cfg)
        alone = head.predict_bbox((features()[0][1:],), metas[1:], proposals()[1:], head.test_cfg)
        others = without_search(head, stages).eval()
        plain = others.predict_bbox(features(), metas, proposals(), others.test_cfg)
        grown = head.search_head.grow(results[0].bboxes)
        rois = torch.cat([torch.zeros(len(grown), 1), grown], 1)
        extractor = head.bbox_roi_extractor if stages == 1 else head.bbox_roi_extractor[-1]
        wanted = head.search_head(extractor(features(), rois))
    assert torch.equal(results[0].bboxes, plain[0].bboxes)
    assert torch.allclose(results[0].embeddings, wanted, atol=1e-6)
    assert torch.allclose(alone[0].embeddings, results[1].embeddings, atol=1e-5)


def test_images_without_objects() -> None:
    head = roi_head(1, LOSS, SEARCH, learn_table=True)
    losses = head.loss(features(), proposals(), samples(objects=0))
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in head.parameters())
