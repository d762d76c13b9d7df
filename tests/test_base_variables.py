"""Base variables without a value are refused; texts that only look like one are taken."""

from pathlib import Path

import pytest

from mmext.configuration import load_config
from mmext.errors import InputError

BASE = """
data_root = 'data/coco/'
names = dict(inner='value')
model = dict(type='X')
"""


def write(folder: Path, text: str, name: str = 'leaf.py') -> str:
    """A config below the base; returns its path."""
    (folder / 'base.py').write_text(BASE)
    (folder / name).write_text(f"_base_ = 'base.py'\n{text}" if name.endswith('.py') else text)
    return str(folder / name)


@pytest.mark.parametrize(
    ('text', 'key', 'variable'),
    [
        ("a = dict(b=[dict(c={{_base_.data_root}} + 'x')])", 'a.b.0.c', 'data_root'),
        ("a = 'x/' + {{ _base_.data_root }}", 'a', 'data_root'),
        ("a = f'x{ {{_base_.data_root}} }'", 'a', 'data_root'),
        ("a = '{}/x'.format({{_base_.data_root}})", 'a', 'data_root'),
        ("a = ('x', ['{{_base_.data_root}}/x'])", 'a.1.0', 'data_root'),
        ("root = {{_base_.data_root}}\na = root + 'x'", 'a', 'data_root'),
        ('a = {{_base_.data_root}}[:-1]', 'a', 'data_root'),
        ('a = {{_base_.data_root}}.upper()', 'a', 'data_root'),
        ("a = {{_base_.names.inner}} + 'x'", 'a', 'names.inner'),
        ('a = { {{_base_.data_root}}: 1 }', 'a.', 'data_root'),
    ],
)
def test_a_variable_without_value_is_refused(
    text: str, key: str, variable: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as raised:
        load_config(write(tmp_path, text))
    message = str(raised.value)
    assert f'{{{{_base_.{variable}}}}} has no value in {key}' in message
    assert f'write _base_.{variable} without braces' in message and '\n' not in message


def test_in_a_config_that_another_inherits_from(tmp_path: Path) -> None:
    write(tmp_path, "a = dict(file={{_base_.data_root}} + 'x', n=1)", 'middle.py')
    (tmp_path / 'leaf.py').write_text("_base_ = 'middle.py'\na = dict(n=2)")
    with pytest.raises(InputError, match=r'no value in a\.file='):
        load_config(str(tmp_path / 'leaf.py'))


def test_in_a_config_of_another_format(tmp_path: Path) -> None:
    text = '{"_base_": "base.py", "a": {{_base_.data_root}}}'
    assert load_config(write(tmp_path, text, 'whole.json')).a == 'data/coco/'
    text = '_base_: base.py\na: x{{_base_.data_root}}\n'
    with pytest.raises(InputError, match='no value in a='):
        load_config(write(tmp_path, text, 'leaf.yaml'))


def test_variables_with_their_values_are_taken(tmp_path: Path) -> None:
    config = load_config(
        write(
            tmp_path,
            'a = dict(b=[{{_base_.data_root}}, ({{_base_.names}}, 1)])\n'
            "c = _base_.data_root + 'x'\n",
        )
    )
    assert config.a == dict(b=['data/coco/', (dict(inner='value'), 1)])
    assert config.c == 'data/coco/x'


@pytest.mark.parametrize(
    'name', ['my_model_20261128_120000.pth', 'x_model_58ff5f/y', '_model_047c81', '_MODEL_0']
)
def test_a_name_that_looks_like_a_placeholder_is_taken(name: str, tmp_path: Path) -> None:
    """The variable is used, and the name ends as its placeholder does."""
    text = f'model = dict(again={{{{_base_.model}}}}, file={name!r})'
    config = load_config(write(tmp_path, text))
    assert config.model.file == name and config.model.again == dict(type='X')
