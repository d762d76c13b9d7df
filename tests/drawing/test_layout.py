"""Pictures beside each other, with titles."""

import numpy as np
import pytest

from mmext.drawing.layout import side_by_side


def grey(height: int, width: int) -> np.ndarray:
    """A plain picture."""
    return np.full((height, width, 3), 100, np.uint8)


def test_side_by_side() -> None:
    left, right = grey(40, 60), np.zeros((20, 10, 3), np.uint8)
    joined = side_by_side([left, right])
    assert joined.shape == (40, 60 + 4 + 20, 3)
    assert (joined[:, :60] == left).all() and (joined[:, 60:64] == 255).all()
    titled = side_by_side([left, right], ['photo', 'a very long title'])
    assert titled.shape == (40 + 16, 84, 3)
    assert (titled[16:] == joined).all() and titled[:16].max() > 100


def test_titles_are_one_for_each_picture() -> None:
    for pictures, titles in (([], None), ([grey(2, 2)], ['a', 'b'])):
        with pytest.raises(ValueError, match='titles'):
            side_by_side(pictures, titles)
