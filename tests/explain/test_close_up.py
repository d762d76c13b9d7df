"""The part of a photo that is shown of a small object."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmext.explain.sheets import close_up


@given(st.data(), st.integers(8, 500), st.integers(8, 500))
def test_it_lies_in_the_photo_around_the_object(
    data: st.DataObject, height: int, width: int
) -> None:
    x1, y1 = data.draw(st.integers(0, width - 2)), data.draw(st.integers(0, height - 2))
    x2, y2 = data.draw(st.integers(x1 + 1, width - 1)), data.draw(st.integers(y1 + 1, height - 1))
    found = close_up((x1, y1, x2, y2), (height, width))
    large = 4 * max((x2 - x1) / width, (y2 - y1) / height) >= 0.5
    assert (found is None) == large
    if found is not None:
        left, top, right, bottom = found
        assert 0 <= left <= x1 and x2 <= right <= width
        assert 0 <= top <= y1 and y2 <= bottom <= height
        assert right - left == pytest.approx(
            (bottom - top) * width / height, abs=width / height + 1
        )


def test_a_box_without_area_has_none() -> None:
    assert close_up((5, 5, 5, 5), (100, 100)) is None
