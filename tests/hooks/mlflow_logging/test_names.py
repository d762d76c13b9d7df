import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmext.hooks.mlflow_logging.delivery.names import MAX_KEY_LENGTH, decode, encode

_TRICKY = st.text(alphabet='_atu5f@/. %plus()', max_size=30)


@pytest.mark.parametrize(
    ('name', 'key'),
    [
        ('train/loss', 'train/loss'),
        ('coco/AR@100', 'coco/AR_at_100'),
        ('AP (50%)', 'AP _u28_50_pct__u29_'),
        ('a//b', 'a/_u_/b'),
        ('../x', '_u2e__u2e_/x'),
        ('', '_u_'),
    ],
)
def test_spelling(name: str, key: str) -> None:
    assert encode(name) == key
    assert decode(key) == name


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=40) | _TRICKY)
def test_every_name_is_taken_by_mlflow_and_comes_back(name: str) -> None:
    from mlflow.utils.validation import _validate_metric_name

    key = encode(name)
    _validate_metric_name(key)
    assert decode(key) == name


@given(st.text(alphabet=string.printable, min_size=251, max_size=400))
@settings(max_examples=50, deadline=None)
def test_long_names_are_cut_but_stay_apart(name: str) -> None:
    from mlflow.utils.validation import _validate_metric_name

    _validate_metric_name(encode(name))
    assert len(encode(name)) <= MAX_KEY_LENGTH
    assert encode(name) != encode(name + '!')
