"""Streaming searches against searches in one piece."""

from pathlib import Path

import numpy as np
import pytest

from mmext.explain import nearest
from mmext.explain.nearest import StrongestPlaces, VectorFile, nearest_rows


@pytest.mark.parametrize('block_bytes', [1, 4000, 2**25])
def test_blocks_do_not_change_the_neighbors(
    monkeypatch: pytest.MonkeyPatch, block_bytes: int
) -> None:
    monkeypatch.setattr(nearest, '_BLOCK_BYTES', block_bytes)
    rng = np.random.default_rng(0)
    vectors = rng.integers(-2, 3, (150, 4)).astype(np.float16)  # with many ties
    queries = rng.integers(-2, 3, (5, 4)).astype(np.float32)
    rows, products = nearest_rows(vectors, queries, 7)
    whole = queries @ vectors.T.astype(np.float32)
    expected = np.argsort(-whole, axis=1, kind='stable')[:, :7]
    assert rows.tolist() == expected.tolist()
    assert products.tolist() == np.take_along_axis(whole, expected, 1).tolist()


def test_rows_that_are_not_wanted() -> None:
    vectors = np.eye(3, dtype=np.float32)
    rows, products = nearest_rows(vectors, vectors[:2], 3, left_out=[[0], [1, 2]])
    assert rows[0].tolist() == [1, 2, -1]
    assert rows[1].tolist() == [0, -1, -1]
    assert products[1].tolist() == [0, -np.inf, -np.inf]


def test_fewer_vectors_than_wanted() -> None:
    rows, _ = nearest_rows(np.eye(2, dtype=np.float32), np.ones((1, 2)), 5)
    assert rows.tolist() == [[0, 1]]
    assert nearest_rows(np.zeros((0, 2)), np.ones((1, 2)), 5)[0].shape == (1, 0)


def test_wrong_lengths_are_named() -> None:
    with pytest.raises(ValueError, match=r'expected \[Q, 3\], got \[1, 2\]'):
        nearest_rows(np.eye(3), np.ones((1, 2)), 1)
    with pytest.raises(ValueError, match='k: expected 1'):
        nearest_rows(np.eye(3), np.ones((1, 3)), 0)


def test_the_strongest_places_of_each_channel() -> None:
    rng = np.random.default_rng(1)
    activations = rng.integers(0, 6, (12, 3, 4, 5)).astype(np.float32)
    places = StrongestPlaces(3, 4)
    for image, maps in enumerate(activations):
        places.add(image, maps)
    flat = activations.reshape(12, 3, -1)
    for channel in range(3):
        strongest = flat[:, channel].max(1)
        order = np.argsort(-strongest, kind='stable')[:4]
        assert places.images[channel].tolist() == order.tolist()
        assert places.values[channel].tolist() == strongest[order].tolist()
        for image, (y, x) in zip(order, places.cells_yx[channel], strict=True):
            assert activations[image, channel, y, x] == strongest[image]


def test_fewer_images_than_places() -> None:
    places = StrongestPlaces(1, 3)
    places.add(5, np.ones((1, 2, 2), np.float32))
    assert places.images.tolist() == [[5, -1, -1]]
    assert places.cells_yx[0, 0].tolist() == [0, 0]


def test_vectors_in_a_file_are_those_in_memory(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float16)
    path = tmp_path / 'vectors.f16'
    path.write_bytes(vectors.tobytes() + b'torn')
    stored = VectorFile(path, 40, 6)
    assert np.array_equal(stored[7:19], vectors[7:19])
    assert np.array_equal(stored[[3, 39, 3]], vectors[[3, 39, 3]])
    assert stored[:].shape == stored.shape == (40, 6)
    assert stored[[]].shape == (0, 6)
    queries = vectors[:2].astype(np.float32)
    in_file, in_memory = (nearest_rows(v, queries, 3) for v in (stored, vectors))
    assert np.array_equal(in_file[0], in_memory[0])
    even = np.arange(40) % 2 == 0
    assert (nearest_rows(stored, queries, 3, wanted=even)[0] % 2 == 0).all()
