"""Attribute losses and values against loops over faces and attributes."""

import math
from collections.abc import Sequence

import pytest
import torch

from mmext.retinaface.attributes import AttributeTable, attribute_losses, decode_attributes

ENTRIES = [
    dict(name='hair', values=('fair', 'dark', 'none'), kind='categorical'),
    dict(name='glasses', values=('no', 'yes'), kind='binary'),
    dict(name='age', values=('young', 'grown', 'old', 'very old'), kind='ordinal'),
    dict(name='smile', values=('no', 'yes'), kind='categorical', weight=0.5),
]
TABLE = AttributeTable.from_config(ENTRIES)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def parts(logits: Sequence[float]) -> dict[str, Sequence[float]]:
    return dict(hair=logits[:3], glasses=logits[3:4], age=logits[4:7], smile=logits[7:9])


def plain_loss(logits: Sequence[float], kind: str, label: int) -> float:
    if label < 0:
        return 0.0
    if kind == 'categorical':
        return math.log(sum(math.exp(x) for x in logits)) - logits[label]
    return -sum(math.log(sigmoid(x) if label > k else sigmoid(-x)) for k, x in enumerate(logits))


def plain_value(logits: Sequence[float], kind: str) -> tuple[int, float]:
    if kind == 'categorical':
        best = max(logits)
        return logits.index(best), math.exp(best) / sum(math.exp(x) for x in logits)
    value = sum(x > 0 for x in logits)
    above_below = sigmoid(logits[value - 1]) if value else 1.0
    not_above = sigmoid(-logits[value]) if value < len(logits) else 1.0
    return value, above_below * not_above


def test_losses_and_values_equal_loops() -> None:
    torch.manual_seed(0)
    logits = torch.randn(20, TABLE.num_logits) * 2
    labels = torch.stack([torch.randint(-1, len(e['values']), (20,)) for e in ENTRIES], dim=1)
    losses = attribute_losses(logits, labels, TABLE)
    values, scores = decode_attributes(logits, TABLE)
    for number, entry in enumerate(ENTRIES):
        rows = [parts(row)[entry['name']] for row in logits.tolist()]
        wanted = [
            plain_loss(row, entry['kind'], label)
            for row, label in zip(rows, labels[:, number].tolist(), strict=True)
        ]
        assert losses[number].item() == pytest.approx(sum(wanted), rel=1e-4)
        pairs = [plain_value(row, entry['kind']) for row in rows]
        assert values[:, number].tolist() == [value for value, _ in pairs]
        assert scores[:, number].tolist() == pytest.approx([s for _, s in pairs], rel=1e-4)


def test_sure_logits_cost_nothing_and_come_back() -> None:
    logits = torch.tensor([[-30, 30, -30, 30, 30, 30, -30, 30, -30]], dtype=torch.float32)
    labels = torch.tensor([[1, 1, 2, 0]])
    assert attribute_losses(logits, labels, TABLE).max() < 1e-6
    values, scores = decode_attributes(logits, TABLE)
    assert torch.equal(values, labels)
    torch.testing.assert_close(scores, torch.ones(1, 4))


def test_unknown_labels_have_no_gradient() -> None:
    logits = torch.randn(3, TABLE.num_logits, requires_grad=True)
    attribute_losses(logits, torch.full((3, 4), -1), TABLE).sum().backward()
    assert not logits.grad.any()


def test_no_faces() -> None:
    values, scores = decode_attributes(torch.zeros(0, 9), TABLE)
    assert values.shape == scores.shape == (0, 4)
    assert attribute_losses(torch.zeros(0, 9), torch.zeros(0, 4).long(), TABLE).tolist() == [0] * 4


@pytest.mark.parametrize(
    ('entry', 'message'),
    [
        (dict(name='a', values=('x', 'y', 'z'), kind='binary'), r"'a' \(binary\): expected 2"),
        (dict(name='a', values=('x',)), 'expected 2 or more values, got 1'),
        (dict(name='a', values=('x', 'y'), kind='fuzzy'), "got 'fuzzy'"),
    ],
)
def test_refuses_what_is_no_attribute(entry: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AttributeTable.from_config([entry])


def test_refuses_a_name_twice() -> None:
    with pytest.raises(ValueError, match='names that differ'):
        AttributeTable.from_config([ENTRIES[0], ENTRIES[0]])
