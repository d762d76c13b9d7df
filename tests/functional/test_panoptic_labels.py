"""Panoptic ids and the translation between label and channel order."""

import numpy as np
import pytest
import torch

from mmext.functional.panoptic_labels import ClassOrder, decode_panoptic, encode_panoptic


def test_ids_round_trip():
    labels = torch.tensor([0, 79, 132, 133], dtype=torch.int32)
    numbers = torch.tensor([1, 300, 0, 0], dtype=torch.int32)
    ids = encode_panoptic(labels, numbers)
    assert ids.tolist() == [1000, 300079, 132, 133]
    assert ids.dtype == torch.int32
    assert [part.tolist() for part in decode_panoptic(ids)] == [labels.tolist(), numbers.tolist()]


def test_things_first_order_by_hand():
    order = ClassOrder.things_first(2, 3)
    assert (order.num_things, order.num_stuff, order.is_things_first) == (2, 3, True)
    assert order.channel_of_label == (3, 4, 0, 1, 2)
    assert order.label_of_channel == (2, 3, 4, 0, 1)


def test_stuff_first_order_is_the_identity():
    order = ClassOrder.from_names(['road', 'sky', 'car'], ['car'])
    assert order.channel_of_label == order.label_of_channel == (0, 1, 2)
    assert not order.is_things_first


def test_any_order_round_trips():
    rng = np.random.default_rng(0)
    for _ in range(50):
        order = ClassOrder(tuple(bool(v) for v in rng.random(rng.integers(1, 12)) < 0.5))
        count = len(order.is_thing)
        kinds = [order.is_thing[label] for label in order.label_of_channel]
        assert kinds == sorted(kinds)
        assert [order.channel_of_label[label] for label in order.label_of_channel] == [
            *range(count)
        ]
        for kind in (False, True):  # each kind keeps the order of the data set
            labels = [label for label in order.label_of_channel if order.is_thing[label] == kind]
            assert labels == sorted(labels)
        logits = torch.tensor(rng.normal(size=(count, 2, count)))
        for dim in (0, 2):
            channels = order.to_channels(logits, dim)
            assert torch.equal(order.to_labels(channels, dim), logits)
            for label, channel in enumerate(order.channel_of_label):
                assert torch.equal(channels.select(dim, channel), logits.select(dim, label))


def test_errors():
    with pytest.raises(ValueError, match=r"\['a'\] more than once"):
        ClassOrder.from_names(['a', 'b', 'a'], ['b'])
    with pytest.raises(ValueError, match=r"\['c'\] not among"):
        ClassOrder.from_names(['a', 'b'], ['b', 'c'])
    with pytest.raises(ValueError, match='expected 2 classes, got 3'):
        ClassOrder.things_first(1, 1).to_labels(torch.zeros(3))
