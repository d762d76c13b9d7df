"""Folds: a partition, groups whole, classes spread."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmext.errors import InputError
from mmext.formats.folds import folds_of, group_of, groups_of


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), min_size=1, max_size=60),
    st.integers(2, 5),
    st.integers(0, 3),
)
def test_groups_stay_together_and_no_fold_is_empty(
    images: list[tuple[int, int]], count: int, seed: int
) -> None:
    groups = [str(group) for group, _ in images]
    contents = [{'a': objects} for _, objects in images]
    if len(set(groups)) < count:
        with pytest.raises(InputError, match=f'{count} of {len(set(groups))} groups'):
            folds_of(groups, contents, count, seed)
        return
    folds = folds_of(groups, contents, count, seed)
    assert set(folds) == set(range(count))
    assert len({(group, fold) for group, fold in zip(groups, folds, strict=True)}) == len(
        set(groups)
    )
    assert folds == folds_of(groups, contents, count, seed)


def test_a_rare_class_is_in_every_fold() -> None:
    contents = [{'common': 3, **({'rare': 1} if i % 10 == 0 else {})} for i in range(50)]
    folds = folds_of([str(i) for i in range(50)], contents, 5)
    assert set(Counter(folds).values()) == {10}
    rare = Counter(f for f, c in zip(folds, contents, strict=True) if 'rare' in c)
    assert rare == dict.fromkeys(range(5), 1)


def test_one_fold_is_none() -> None:
    with pytest.raises(InputError, match='at least 2'):
        folds_of(['a', 'b'], [{}, {}], 1)


def test_groups_by_name() -> None:
    assert group_of('a/b/c.jpg', None) == 'a/b/c.jpg'
    assert group_of('a/b/c.jpg', 'folder') == 'a/b'
    assert group_of('clip3_001.jpg', r'clip\d+') == 'clip3'
    assert group_of('other.jpg', r'clip\d+') == 'other.jpg'
    with pytest.raises(InputError, match='is no pattern'):
        group_of('x', '(')


def test_a_pattern_that_keeps_nothing_together_is_refused() -> None:
    names = ['clip3_001.jpg', 'clip3_002.jpg', 'other.jpg']
    assert groups_of(names, r'clip\d+') == ['clip3', 'clip3', 'other.jpg']
    assert groups_of(names, None) == names and groups_of([], 'x') == []
    with pytest.raises(InputError, match=r"'film.*' matches no file name, as 'clip3_001.jpg'"):
        groups_of(names, r'film\d+')
