"""A head for search beside the box head: what it learns, and that it teaches nothing else."""

import copy
from typing import Any

import pytest
import torch
from mmdet.structures.bbox import bbox2roi
from tiny_words import features, proposals, roi_head, samples, tiny_model

from mmext.errors import InputError
from mmext.language.search_head import SearchHead
from mmext.registry import MODELS

SEARCH = dict(type='mmext.SearchHead', size=8, channels=4, hidden=16, dim=8, scale=1.5)
LOSS = dict(type='mmext.JointEmbeddingLoss', dim=8, num_classes=3, word_weight=1.0)


def images(count: int = 2, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 3, 96, 96, generator=torch.Generator().manual_seed(seed))


def searching_head(stages: int = 1, loss: dict | None = LOSS, **search: Any) -> Any:
    head = roi_head(stages, loss, dict(SEARCH, **search), learn_table=True)
    head.see(images())
    return head


def test_it_looks_around_a_region() -> None:
    """What is around the box counts up to its scale, nothing beyond, of the image that is meant."""
    head: SearchHead = MODELS.build(SEARCH)
    pictures = torch.zeros(2, 3, 96, 96)
    pictures[1, :, 10:70, 5:35] = 1  # the box 10, 20, 30, 60, half as large again
    pixels = head.look(pictures, torch.tensor([[1.0, 10, 20, 30, 60], [0, 10, 20, 30, 60]]))
    assert pixels.shape == (2, 3, 8, 8)
    assert torch.allclose(pixels[0, :, 1:-1, 1:-1], torch.ones(3, 6, 6))
    assert not pixels[1].any()
    wider = MODELS.build(dict(SEARCH, scale=3.0)).look(
        pictures, torch.tensor([[1.0, 10, 20, 30, 60]])
    )
    assert not wider[0, :, 0].any() and wider[0, :, 4, 4].all()


def test_colors_are_told_before_pixels_are_averaged() -> None:
    """Red beside green is not what their mean is, anywhere else in the same cell."""
    head = SearchHead()  # of few channels, all may lie on one side of their ReLUs
    stripes = torch.zeros(1, 3, 16, 16)
    stripes[:, 0, :, ::2] = stripes[:, 1, :, 1::2] = 2.0
    mixed = torch.zeros(1, 3, 16, 16)
    mixed[:, :2] = 1.0
    mirrored = stripes.flip(3)
    assert torch.allclose(head(stripes), head(mirrored), atol=1e-6)
    assert not torch.allclose(head(stripes), head(mixed), atol=1e-3)


def test_vectors_are_those_of_the_layers() -> None:
    head: SearchHead = MODELS.build(SEARCH)
    pixels = torch.randn(5, 3, 8, 8)
    told = head(pixels)
    raw = head.layers(pixels)
    assert torch.allclose(told, raw / raw.norm(dim=1, keepdim=True), atol=1e-6)
    pictures = images().requires_grad_()
    head(head.look(pictures, torch.tensor([[0.0, 10, 20, 30, 60]]))).sum().backward()
    assert pictures.grad is None and float(head.layers[0].weight.grad.abs().sum()) > 0


@pytest.mark.parametrize('wrong', [dict(size=12), dict(size=0), dict(memory=10, draw=20),
                                   dict(memory=10, draw=0)])  # fmt: skip
def test_values_that_cannot_be(wrong: dict) -> None:
    with pytest.raises(InputError, match='SearchHead'):
        MODELS.build(dict(SEARCH, **wrong))


def test_a_memory_keeps_the_last_regions_with_what_is_said_of_them() -> None:
    head: SearchHead = MODELS.build(dict(SEARCH, memory=5, draw=4))
    seen: set[int] = set()
    for first in (0, 3, 6):
        numbers = torch.arange(first, first + 3)
        pixels = numbers[:, None, None, None] * torch.ones(3, 3, 8, 8)
        drawn, tags, labels = head.recall(pixels, numbers[:, None].float(), numbers)
        assert len(labels) == min(4, first + 3) and len(set(labels.tolist())) == len(labels)
        assert torch.equal(drawn[:, 0, 0, 0], labels.float())
        assert torch.equal(tags[:, 0], labels.float())
    for _ in range(20):
        seen |= set(head.recall(pixels[:0], tags[:0], labels[:0])[2].tolist())
    assert seen == {4, 5, 6, 7, 8}


def test_a_memory_goes_on_from_a_checkpoint() -> None:
    """What is drawn after it is the same; floats, which ranks average, are none of its buffers."""
    one, other = (MODELS.build(dict(SEARCH, memory=5, draw=4)) for _ in range(2))
    batch = torch.randn(7, 3, 8, 8).half().float(), torch.rand(7, 2).half().float(), torch.arange(7)
    one.recall(*batch)
    other.load_state_dict(one.state_dict())
    assert not any(buffer.is_floating_point() for buffer in other.buffers())
    drawn = []
    for search in (one, other):
        torch.manual_seed(3)
        drawn.append(search.recall(*(values[:1] for values in batch)))
    for own, resumed, given in zip(*drawn, batch, strict=True):
        assert torch.equal(own, resumed) and torch.equal(own, given[drawn[0][2]])
    larger = MODELS.build(dict(SEARCH, memory=6, draw=4))
    larger.load_state_dict(one.state_dict())
    assert larger.recall(*(values[:1] for values in batch))[2].tolist() == [0]  # begun anew


def test_without_a_memory_a_batch_learns_from_its_own() -> None:
    head: SearchHead = MODELS.build(SEARCH)
    batch = (torch.randn(3, 3, 8, 8), torch.eye(3), torch.arange(3))
    for _ in range(2):
        assert all(a is b for a, b in zip(head.recall(*batch), batch, strict=True))


def test_a_batch_without_objects_learns_from_the_memory() -> None:
    head = searching_head(memory=64, draw=16)
    head.loss(features(), proposals(), samples())
    losses = head.loss(features(), proposals(), samples(objects=0))
    own = [v for k, v in losses.items() if k.endswith(('embedding', 'words'))]
    assert len(own) == 2 and all(value.item() > 0 for value in own)


def test_a_detector_that_shows_no_images_is_named() -> None:
    head = roi_head(1, LOSS, SEARCH, learn_table=True)
    with pytest.raises(InputError, match=r'mmext\.PixelRCNN'):
        head.loss(features(), proposals(), samples())


def test_a_detector_of_the_host_shows_its_images() -> None:
    model = tiny_model()
    model.type = 'mmext.PixelRCNN'
    model.roi_head.search_head = SEARCH
    torch.manual_seed(0)
    detector = MODELS.build(model).eval()
    with torch.no_grad():
        told = detector.predict(images(), samples(), rescale=False)
        boxes = [sample.pred_instances.bboxes for sample in told]
        search = detector.roi_head.search_head
        wanted = search(search.look(images(), bbox2roi(boxes)))
        alone = detector.predict(images()[1:], samples()[1:], rescale=False)[0].pred_instances
    assert len(wanted)
    found = torch.cat([sample.pred_instances.embeddings for sample in told])
    assert torch.allclose(found, wanted, atol=1e-6)
    assert torch.allclose(alone.embeddings, told[1].pred_instances.embeddings, atol=1e-5)
    detector.predict(images().requires_grad_() * 1, samples(), rescale=False)
    copy.deepcopy(detector)  # as explanations and fast copies do


@pytest.mark.parametrize('stages', [1, 2])
def test_it_teaches_nothing_but_itself(stages: int) -> None:
    """Neither the pyramid, nor the box head, nor the vectors of its classes."""
    head = searching_head(stages)
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
    assert len([n for n in taught if n.startswith('search_head')]) == 10
    assert (head.embedder.fc_cls.table.grad.abs().sum(1) > 0).tolist() == [False] * 3 + [True] * 2


def without_search(head: Any, stages: int) -> Any:
    """The same head, to the last weight, without the part for search."""
    plain = roi_head(stages, learn_table=True)
    assert not plain.load_state_dict(head.state_dict(), strict=False).missing_keys
    return plain


def test_the_box_head_learns_as_without_it() -> None:
    beside = searching_head()
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
    head = searching_head(stages, None).eval()
    metas = [sample.metainfo for sample in samples()]
    with torch.no_grad():
        results = head.predict_bbox(features(), metas, proposals(), head.test_cfg)
        head.see(images()[1:])
        alone = head.predict_bbox((features()[0][1:],), metas[1:], proposals()[1:], head.test_cfg)
        others = without_search(head, stages).eval()
        plain = others.predict_bbox(features(), metas, proposals(), others.test_cfg)
        wanted = head.search_head(head.search_head.look(images(), bbox2roi([results[0].bboxes])))
    assert torch.equal(results[0].bboxes, plain[0].bboxes)
    assert torch.allclose(results[0].embeddings, wanted, atol=1e-6)
    assert torch.allclose(alone[0].embeddings, results[1].embeddings, atol=1e-5)


def test_images_without_objects() -> None:
    head = searching_head()
    losses = head.loss(features(), proposals(), samples(objects=0))
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in head.parameters())
