import hashlib

from mmext.hooks.mlflow_logging.delivery.params import MAX_VALUE_LENGTH, compare, flatten


def test_nested_lists_and_empty_parts() -> None:
    config = {
        'model': {'strides': (4, 8), 'heads': [{'type': 'A'}, {'type': 'B', 'x': []}], 'none': {}},
        'pipeline': [[{'type': 'Flip'}], 'text'],
        3: None,
    }
    assert flatten(config) == {
        'model.strides': '(4, 8)',
        'model.heads.0.type': 'A',
        'model.heads.1.type': 'B',
        'model.heads.1.x': '[]',
        'model.none': '{}',
        'pipeline.0.0.type': 'Flip',
        'pipeline.1': 'text',
        '3': 'None',
    }
    assert flatten({}) == {}


def test_long_values_keep_their_start_and_a_digest() -> None:
    long = 'x' * 10_000
    value = flatten({'long': long, 'short': 'x' * MAX_VALUE_LENGTH})
    assert value['short'] == 'x' * MAX_VALUE_LENGTH
    assert len(value['long']) <= MAX_VALUE_LENGTH
    assert value['long'].endswith(hashlib.sha256(long.encode()).hexdigest()[:16])


def test_compare() -> None:
    old, new = {'a': '1', 'b': '2', 'gone': '0'}, {'a': '1', 'b': '3', 'c': '4'}
    assert compare(old, new) == ({'c': '4'}, {'b': {'was': '2', 'is': '3'}})
