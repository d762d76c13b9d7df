"""Renaming by table: every key is renamed, dropped, or an error."""

import pytest
import torch

from mmext.formats.checkpoint_keys import Drop, Rename, rename_keys

TABLE = [
    Rename(r'body\.(\d+)\.(.+)', r'stages.\1.\2'),
    Drop(r'fc\..+', 'the classifier'),
    Rename(r'(head)\.(.+)', r'\1.\2'),
]


def state(*keys: str) -> dict[str, torch.Tensor]:
    return {key: torch.full((1,), float(number)) for number, key in enumerate(keys)}


@pytest.mark.parametrize('prefix', ['', 'module.', 'module.module.'])
def test_renames_and_drops(prefix: str) -> None:
    keys = [f'{prefix}{key}' for key in ('body.3.weight', 'fc.bias', 'head.bias')]
    source = state(*keys)
    converted = rename_keys(source, TABLE)
    assert list(converted.state) == ['stages.3.weight', 'head.bias']
    assert converted.state['head.bias'] is source[keys[2]]
    assert converted.dropped == {keys[1]: 'the classifier'}


def test_the_first_line_that_matches_counts() -> None:
    lines = [Drop('body.0.bias', 'of no use'), *TABLE]
    converted = rename_keys(state('body.0.bias', 'body.0.weight'), lines)
    assert list(converted.state) == ['stages.0.weight'] and 'body.0.bias' in converted.dropped


def test_a_prefix_of_some_keys_is_part_of_their_names() -> None:
    with pytest.raises(ValueError, match=r'1 of 2 keys are unknown: module\.head\.bias'):
        rename_keys(state('module.head.bias', 'head.bias'), TABLE)


def test_names_unknown_keys() -> None:
    with pytest.raises(ValueError, match=r'4 of 5 keys are unknown: a, b, c, \.\.\.$'):
        rename_keys(state('a', 'b', 'c', 'd', 'head.bias'), TABLE)


def test_refuses_two_keys_that_become_one() -> None:
    with pytest.raises(ValueError, match="'x' and 'y' both become 'z'"):
        rename_keys(state('x', 'y'), [Rename('x|y', 'z')])


def test_nothing() -> None:
    assert rename_keys({}, TABLE).state == {}
