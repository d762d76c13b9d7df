"""The classifier by cosines: alone, in mmdet's box heads, with another vocabulary."""

import math
from pathlib import Path

import pytest
import torch
from tiny_words import CLASSES, WORDS, features, proposals, roi_head, samples, words

from mmext.errors import InputError
from mmext.language.embedding_classifier import EmbeddingClassifier
from mmext.language.table import TextTable
from mmext.registry import MODELS


def classifier(**options: object) -> EmbeddingClassifier:
    torch.manual_seed(0)
    return EmbeddingClassifier(6, 4, words(), classes=CLASSES, **options)


def test_logits_equal_a_loop_of_cosines() -> None:
    model = classifier(temperature=13.0)
    model.requires_grad_(False)
    x = torch.randn(5, 6)
    kept = x.clone()
    logits = model(x)
    rows = [*(model.table[WORDS.index(name)] for name in CLASSES), model.background_vector]
    for n in range(5):
        v = [sum(w * f for w, f in zip(row, x[n], strict=True)) + b
             for row, b in zip(model.project.weight, model.project.bias, strict=True)]  # fmt: skip
        for c, row in enumerate(rows):
            dot = sum(a * b for a, b in zip(v, row, strict=True))
            norms = math.sqrt(sum(a * a for a in v)) * math.sqrt(sum(b * b for b in row))
            assert float(logits[n, c]) == pytest.approx(float(13 * dot / norms), abs=1e-4)
    assert torch.equal(x, kept)


def test_words_that_are_kept_of_a_table(tmp_path: Path) -> None:
    table = words()
    table.save(tmp_path / 'words.npz')
    for source in (table, str(tmp_path / 'words.npz')):
        chosen = EmbeddingClassifier(6, 3, source, words=('tree', 'ball'))
        assert chosen.words == chosen.classes == ('tree', 'ball')
        assert torch.equal(chosen.table, torch.from_numpy(table.of(('tree', 'ball')).vectors))


def test_permuted_words_permute_the_logits() -> None:
    model, x = classifier(), torch.randn(5, 6)
    logits = model(x)
    turned = (*WORDS[::-1],)
    model.replace(words().of(turned), ('tree', 'ball', 'crate'))
    assert torch.equal(model(x), logits[:, [2, 0, 1, 3]])


def test_a_feature_that_is_a_word_gets_the_temperature() -> None:
    model = classifier(temperature=10.0)
    with torch.no_grad():
        model.project.weight.copy_(torch.eye(8)[:, :6])
        model.project.bias.zero_()
    model.replace(TextTable(CLASSES, torch.eye(8)[:3].numpy() * 5))
    logits = model(torch.tensor([[0.0, 7.0, 0, 0, 0, 0]]))
    assert float(logits[0, 1]) == pytest.approx(10.0)
    assert logits[0, [0, 2]].tolist() == pytest.approx([0, 0], abs=1e-5)


def test_zero_features_and_no_regions() -> None:
    model = classifier(background='zero')
    with torch.no_grad():
        model.project.bias.zero_()
    assert (model(torch.zeros(2, 6)) == 0).all()
    assert model(torch.zeros(0, 6)).shape == (0, 4)


def test_low_precision_keeps_the_cosines() -> None:
    model, x = classifier(), torch.randn(50, 6)
    with torch.autocast('cpu', torch.bfloat16):
        low = model(x)
    assert low.dtype == torch.float32
    assert (low - model(x)).abs().max() < 0.5  # of a temperature of 20: only W x is in bf16


def test_fixed_words_do_not_learn_and_learned_ones_do() -> None:
    fixed, learned = classifier(), EmbeddingClassifier(6, 4, words=WORDS, classes=CLASSES, dim=8)
    for model, learns in ((fixed, False), (learned, True)):
        model(torch.randn(4, 6)).logsumexp(1).sum().backward()
        assert ('table' in dict(model.named_parameters())) is learns
        assert model.project.weight.grad.abs().sum() > 0
        assert abs(model.log_temperature.grad) > 0
    rows = learned.table.grad.abs().sum(1) > 0
    assert rows.tolist() == [True, True, True, False, False]  # the colors are no classes


def test_temperature_is_bounded() -> None:
    model = classifier()
    with torch.no_grad():
        model.log_temperature.fill_(50.0)
    assert float(model.temperature) == 100


def test_a_checkpoint_does_not_bring_back_its_vocabulary() -> None:
    old, new = classifier(), EmbeddingClassifier(6, 3, words(('x', 'y'), seed=5))
    missing = new.load_state_dict(old.state_dict())
    assert not missing.missing_keys and not missing.unexpected_keys
    assert torch.equal(new.table, torch.from_numpy(words(('x', 'y'), seed=5).vectors))
    assert torch.equal(new.project.weight, old.project.weight)


def test_vocabularies_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(InputError, match='5 words for a head of num_classes 3'):
        EmbeddingClassifier(6, 4, words())
    with pytest.raises(InputError, match='no vector for fish'):
        EmbeddingClassifier(6, 4, words(), classes=('ball', 'crate', 'fish'))
    with pytest.raises(InputError, match='name a table'):
        EmbeddingClassifier(6, 4)
    with pytest.raises(InputError, match='no table of text vectors'):
        EmbeddingClassifier(6, 4, str(tmp_path / 'no.npz'))
    with pytest.raises(InputError, match="'ball' is there twice among the classes"):
        EmbeddingClassifier(6, 4, words(), classes=('ball', 'crate', 'Ball'))
    with pytest.raises(InputError, match=r'dim 0 \(above 0\)'):
        EmbeddingClassifier(6, 3, words=('a', 'b'), dim=0)
    with pytest.raises(InputError, match="background 'none'"):
        classifier(background='none')
    with pytest.raises(InputError, match='vectors of 4 numbers, the classifier was trained with 8'):
        classifier().replace(words(dim=4))


@pytest.mark.parametrize('loss', ['softmax', 'sigmoid'])
@pytest.mark.parametrize('stages', [1, 2])
def test_heads_of_mmdet_learn_with_it(stages: int, loss: str) -> None:
    options = {}
    if loss == 'sigmoid':
        options = dict(background='zero')
    head = roi_head(stages, **options)
    for box_head in [head.bbox_head] if stages == 1 else head.bbox_head:
        if loss == 'sigmoid':
            box_head.loss_cls = MODELS.build(dict(type='mmext.SigmoidClassLoss'))
    losses = head.loss(features(), proposals(), samples())
    total = sum(value for name, value in losses.items() if 'loss' in name)
    total.backward()
    classifiers = [m for m in head.modules() if isinstance(m, EmbeddingClassifier)]
    assert len(classifiers) == stages
    assert all(m.project.weight.grad.abs().sum() > 0 for m in classifiers)
    start = float(losses['loss_cls' if stages == 1 else 's0.loss_cls'])
    assert start < 12  # not the certainty of nonsense


def test_another_number_of_classes_without_a_step() -> None:
    head = roi_head()
    metas = [sample.metainfo for sample in samples()]
    before = head.predict_bbox(features(), metas, proposals(), head.test_cfg)
    merged = words().merged(
        {'thing': ('ball', 'crate'), 'tree': ('tree',), 'red': ('red',), 'x': ('green',)}
    )
    head.bbox_head.fc_cls.replace(merged)
    head.bbox_head.num_classes = 4
    after = head.predict_bbox(features(), metas, proposals(), head.test_cfg)
    assert {int(label) for image in before for label in image.labels} <= {0, 1, 2}
    assert 3 in {int(label) for image in after for label in image.labels}
