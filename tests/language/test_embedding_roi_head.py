"""Embeddings in the results, losses of tags, and images that label only some classes."""

import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from tiny_words import (
    CLASSES,
    EXTRACTOR,
    features,
    head_config,
    proposals,
    roi_head,
    samples,
    words,
)

from mmext.errors import InputError
from mmext.language.partial_labels import fold_unlabelled, unlabelled_rows
from mmext.registry import MODELS

LOSS = dict(type='mmext.JointEmbeddingLoss', dim=8, num_classes=3)


@pytest.mark.parametrize('stages', [1, 2])
def test_detections_have_embeddings(stages: int) -> None:
    head = roi_head(stages).eval()
    metas = [sample.metainfo for sample in samples()]
    with torch.no_grad():
        results = head.predict_bbox(features(), metas, proposals(), head.test_cfg, rescale=False)
        scaled = head.predict_bbox(features(), metas, proposals(), head.test_cfg, rescale=True)
        alone = head.predict_bbox(
            (features()[0][1:],), metas[1:], proposals()[1:], head.test_cfg, rescale=False
        )
    for image, large in zip(scaled, results, strict=True):
        assert torch.allclose(image.bboxes * 2, large.bboxes)
        assert torch.equal(image.embeddings, large.embeddings)
        assert large.embeddings.shape == (len(large), 8)
        assert torch.allclose(large.embeddings.norm(dim=1), torch.ones(len(large)))
    assert torch.allclose(alone[0].embeddings, results[1].embeddings, atol=1e-5)
    # they are those of the boxes themselves
    classifier = head.embedder.fc_cls
    with torch.no_grad():
        boxes = head.embed_boxes(features(), [image.bboxes for image in results])
    assert torch.equal(boxes, torch.cat([image.embeddings for image in results]))
    assert classifier.kept is None and not classifier.keeps


def test_no_detection_has_no_embedding() -> None:
    head = roi_head().eval()
    empty = [InstanceData(bboxes=torch.zeros(0, 4), scores=torch.zeros(0)) for _ in range(2)]
    metas = [sample.metainfo for sample in samples()]
    results = head.predict_bbox(features(), metas, empty, head.test_cfg, rescale=True)
    assert [tuple(image.embeddings.shape) for image in results] == [(0, 8), (0, 8)]


def test_candidates_are_those_of_the_host() -> None:
    head = roi_head().eval()
    metas = [sample.metainfo for sample in samples()]
    results = head.predict_bbox(features(), metas, proposals(), None)
    assert 'embeddings' not in results[0] and results[0].scores.shape == (12, 4)


@pytest.mark.parametrize(
    ('stages', 'kind'),
    [
        (2, 'infonce'),
        *((1, kind) for kind in ('infonce', 'max_hinge', 'sum_hinge', 'order', 'cosine')),
    ],
)
def test_losses_of_tags_reach_the_words(stages: int, kind: str) -> None:
    head = roi_head(stages, {**LOSS, 'kind': kind}, learn_table=True)
    losses = head.loss(features(), proposals(), samples())
    name = 'loss_embedding' if stages == 1 else 's1.loss_embedding'
    assert float(losses[name]) > 0 and losses[name.replace('embedding', 'semantic')] > 0
    losses[name].backward()
    gradient = head.embedder.fc_cls.table.grad.abs().sum(1) > 0
    assert gradient.tolist() == [True] * 4 + [False]  # nothing is green
    assert head.embedder.fc_cls.kept is None


def test_images_without_objects() -> None:
    head = roi_head(embedding_loss=LOSS, learn_table=True)
    losses = head.loss(features(), proposals(), samples(objects=0))
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    assert float(losses['loss_embedding']) == 0 == float(losses['loss_semantic'])
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in head.parameters())


def test_bad_configs_are_one_line() -> None:
    head = roi_head(embedding_loss=LOSS)
    with pytest.raises(InputError, match=r'mmext\.MeasureTags'):
        head.loss(features(), proposals(), samples(tags=False))
    truth = samples()
    for sample in truth:
        sample.gt_instances.tags = sample.gt_instances.tags[:, :4]
    with pytest.raises(InputError, match='4 words, the classifier has 5'):
        head.loss(features(), proposals(), truth)
    with pytest.raises(InputError, match='got Linear'):
        config = head_config()
        config.pop('cls_predictor_cfg')
        MODELS.build(
            dict(type='mmext.EmbeddingRoIHead', bbox_roi_extractor=EXTRACTOR, bbox_head=config)
        )
    with pytest.raises(InputError, match="kind 'l2'"):
        MODELS.build(dict(type='mmext.JointEmbeddingLoss', kind='l2'))


@pytest.mark.parametrize('exclusive', [True, False])
def test_folded_logits(exclusive: bool) -> None:
    logits = torch.randn(4, 4, requires_grad=True)
    missing = torch.tensor([[False] * 3, [True, False, False], [True, True, False], [True] * 3])
    folded = fold_unlabelled(logits, missing, exclusive)
    assert torch.allclose(folded[0], logits[0])
    if exclusive:
        # "background or one of the classes that are not labelled", by probabilities
        whole, kept = logits.softmax(1), folded.softmax(1)
        for row in range(4):
            hidden = missing[row].nonzero()[:, 0]
            assert torch.allclose(kept[row, 3], whole[row, 3] + whole[row, hidden].sum())
            assert (kept[row, hidden] == 0).all()
        # a region called background pushes no unlabelled class away from the background
        background = torch.full((4,), 3)
        torch.nn.functional.cross_entropy(folded, background, reduction='sum').backward()
        assert (logits.grad[:, :3][missing] <= 0).all() and (logits.grad[1:, 3] <= 0).all()
        assert (logits.grad[3].abs() < 1e-6).all()
    else:
        targets = torch.zeros(4, 3)
        torch.nn.functional.binary_cross_entropy_with_logits(
            folded[:, :-1], targets, reduction='sum'
        ).backward()
        assert (logits.grad[:, :3][missing] == 0).all()
        assert (logits.grad[:, :3][~missing] > 0).all()


def test_which_classes_an_image_does_not_label() -> None:
    rows = unlabelled_rows([None, [0, 2]], torch.tensor([1, 0]), 3)
    assert rows.tolist() == [[False, True, False], [False, False, False]]


def test_an_image_that_labels_all_is_as_before() -> None:
    plain = roi_head().loss(features(), proposals(), samples())
    torch.manual_seed(0)
    some = samples(labelled_classes=[0, 1, 2])
    told = roi_head().loss(features(), proposals(), some)
    assert float(told['loss_cls']) == pytest.approx(float(plain['loss_cls']), rel=1e-5)
    fewer = roi_head().loss(features(), proposals(), samples(labelled_classes=[]))
    assert float(fewer['loss_cls']) != pytest.approx(float(plain['loss_cls']), rel=1e-2)


def test_the_scores_of_sigmoids() -> None:
    loss = MODELS.build(dict(type='mmext.SigmoidClassLoss'))
    logits = torch.tensor([[0.0, 2.0, -1.0, 9.0], [-5.0, -5.0, -5.0, 9.0]])
    scores = loss.get_activation(logits)
    assert torch.allclose(scores[:, :3], logits[:, :3].sigmoid())
    assert torch.allclose(scores[:, 3], 1 - logits[:, :3].sigmoid().amax(1))
    labels = torch.tensor([1, 3])
    by_hand = sum(
        -torch.log(p if labels[n] == c else 1 - p)
        for n in range(2)
        for c, p in enumerate(logits[n, :3].sigmoid())
    )
    assert float(loss(logits, labels, avg_factor=2)) == pytest.approx(float(by_hand) / 2, rel=1e-5)
    assert float(loss.get_accuracy(logits, labels)['acc']) == 100
    assert loss.get_activation(logits[:0]).shape == (0, 4)


def test_classes_of_the_table_are_the_labels() -> None:
    head = roi_head()
    assert head.bbox_head.fc_cls.classes == CLASSES
    assert head.bbox_head.fc_cls.text_table().digest == words().digest


def test_upsnet_gives_its_detections_embeddings() -> None:
    """Its prediction picks detections outside of the RoI head."""
    from mmext.configuration import load_config

    init_default_scope('mmdet')
    model = load_config('mmext::language_demo.py').model
    model.backbone.update(base_channels=8, stem_channels=8)
    model.neck.update(in_channels=[8, 16, 32, 64], out_channels=8)
    model.rpn_head.update(in_channels=8, feat_channels=8)
    for part in ('bbox', 'mask'):
        model.roi_head[f'{part}_roi_extractor'].out_channels = 8
        model.roi_head[f'{part}_head'].update(in_channels=8, conv_out_channels=8)
    model.semantic_head.update(in_channels=8, inner_channels=8)
    model.test_cfg.rcnn.score_thr = 0.0
    torch.manual_seed(0)
    detector = MODELS.build(model)
    detector.init_weights()
    detector.eval()
    with torch.no_grad():
        told = detector.predict(torch.randn(2, 3, 96, 96), samples())
    for sample in told:
        found = sample.pred_instances
        assert len(found) > 0 and found.embeddings.shape == (len(found), 64)
        assert torch.allclose(found.embeddings.norm(dim=1), torch.ones(len(found)), atol=1e-5)
        assert len(found.masks) == len(found)
