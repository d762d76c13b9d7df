"""The vote of the semantic labels, against one mask per id."""

import numpy as np
import pytest
import torch

from mmext.upsnet.panoptic_merging import merge_by_vote, resize_ids_nearest

torch.set_num_threads(1)


def oracle(channels, semantic, instance_labels, num_things, num_stuff, limit):
    num_classes = num_things + num_stuff
    paper_channel = np.where(semantic < num_things, semantic + num_stuff, semantic - num_things)
    result = np.full(channels.shape, num_classes)
    for stuff in range(num_stuff):
        result[channels == stuff] = num_things + stuff
    present = [int(i) for i in np.unique(channels) if i >= num_stuff]
    for position, channel in enumerate(present):
        if channel == num_stuff + len(instance_labels):
            continue
        region = channels == channel
        label = instance_labels[channel - num_stuff]
        values, counts = np.unique(paper_channel[region], return_counts=True)
        winner, count = values[counts.argmax()], counts.max()
        if winner == num_stuff + label:
            result[region] = label + 1000 * (position + 1)
        elif count / region.sum() >= 0.5 and winner < num_stuff:
            result[region] = num_things + winner
        else:
            result[region] = label + 1000 * (position + 1)
    for stuff in range(num_things, num_classes):
        if (result == stuff).sum() < limit:
            result[result == stuff] = num_classes
    return result


def merge(channels, semantic, instance_labels, *rest):
    channels, semantic = torch.as_tensor(channels), torch.as_tensor(semantic)
    labels = torch.as_tensor(instance_labels, dtype=torch.long)
    return merge_by_vote(channels, semantic, labels, *rest)


@pytest.mark.parametrize('seed', range(5))
def test_equals_the_oracle(seed):
    rng = np.random.default_rng(seed)
    for _ in range(60):
        num_things, num_stuff = int(rng.integers(1, 4)), int(rng.integers(0, 4))
        count = int(rng.integers(0, 6))
        shape = tuple(rng.integers(1, 9, 2))
        channels = rng.integers(0, num_stuff + count + 1, shape)
        semantic = rng.integers(0, num_things + num_stuff, shape)
        labels = rng.integers(0, num_things, count)
        rest = num_things, num_stuff, int(rng.integers(0, 12))
        actual = merge(channels, semantic, labels, *rest)
        np.testing.assert_array_equal(actual.numpy(), oracle(channels, semantic, labels, *rest))
        assert actual.dtype == torch.int32


def test_vote_by_hand():
    # things 0, 1; stuff 2, 3 = channels 0, 1; instances of class 0 are channels 2, 3, 4
    channels = [[2, 2, 2, 2], [3, 3, 3, 3], [4, 4, 4, 4]]
    semantic = [[0, 1, 3, 3], [0, 1, 1, 1], [3, 2, 0, 1]]
    merged = merge(channels, semantic, [0, 0, 0], 2, 2, 0)
    assert merged[0].tolist() == [3] * 4  # exactly half is stuff 3
    assert merged[1].tolist() == [2000] * 4  # a thing majority changes nothing; number 2
    assert merged[2].tolist() == [3000] * 4  # stuff 2 wins the tie, but has less than half


def test_a_tie_of_stuff_and_own_class_goes_to_stuff():
    assert merge([[1, 1]], [[0, 1]], [0], 1, 1, 0).tolist() == [[1, 1]]


def test_area_limit_counts_converted_instances_and_spares_things():
    channels, semantic = [[0, 0, 1, 2]], [[1, 1, 1, 0]]  # thing 0, stuff 1
    assert merge(channels, semantic, [0, 0], 1, 1, 3).tolist() == [[1, 1, 1, 2000]]
    assert merge(channels, semantic, [0, 0], 1, 1, 4).tolist() == [[2, 2, 2, 2000]]


def test_numbers_of_tracked_instances_replace_the_positions():
    channels = [[2, 2, 4, 4], [3, 3, 3, 3], [0, 0, 1, 5]]  # instances 2, 3, 4; 5 is unknown
    semantic = [[0, 0, 1, 1], [3, 3, 3, 0], [2, 2, 3, 0]]
    numbers = torch.tensor([31, 7, 2000])
    merged = merge_by_vote(
        *(torch.tensor(part) for part in (channels, semantic, [0, 0, 1])), 2, 2, 0, numbers
    )
    assert merged[0].tolist() == [31000, 31000, 2_000_001, 2_000_001]
    assert merged[1].tolist() == [3] * 4  # became stuff, its number is not used
    assert merged[2].tolist() == [2, 2, 3, 4]
    assert numbers.tolist() == [31, 7, 2000]


def test_unknown_is_void():
    assert merge([[0, 2, 1]], [[1, 1, 0]], [0], 1, 1, 0).tolist() == [[1, 2, 1000]]


def test_channels_beyond_255():
    channels = np.arange(400).reshape(20, 20)
    merged = merge(channels, np.zeros((20, 20), int), np.zeros(398, int), 1, 1, 0)
    assert merged.flatten().tolist() == [1, *(1000 * i for i in range(1, 399)), 2]


def test_maps_must_have_one_size():
    with pytest.raises(ValueError, match='semantic_labels'):
        merge(np.zeros((2, 2), int), np.zeros((2, 3), int), [], 1, 1)


@pytest.mark.parametrize('new', [(7, 9), (13, 4), (1, 1), (5, 6), (50, 60)])
def test_nearest_resize_reads_the_pixel_under_its_centre(new):
    ids = torch.arange(30, dtype=torch.int32).view(5, 6) + 1_000_000
    resized = resize_ids_nearest(ids, new)
    assert resized.shape == new
    assert resized.dtype == torch.int32
    for y in range(new[0]):
        for x in range(new[1]):
            assert resized[y, x] == ids[int((y + 0.5) * 5 / new[0]), int((x + 0.5) * 6 / new[1])]
