"""The text of a config: what the host's says, laid out at once."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from yapf.yapflib import yapf_api

from mmext.configuration import load_config
from mmext.host_repairs import config_text
from mmext.host_repairs.config_text import lay_out

FAULT = """
from mmengine.config import Config
from yapf.yapflib import yapf_api
calls, made = [], yapf_api.FormatCode
yapf_api.FormatCode = lambda *args, **options: calls.append(1) or made(*args, **options)
config = Config(dict(model=dict(type='UPSNet')))
config.pretty_text, config.pretty_text
print(len(calls))
"""
ODD = {
    'empty': dict(a={}, b=[], c=(), d=''),
    'one': (1,),
    'nested': [[(1, 2.5), [None, True]], dict(type='A', of=[dict(lr=1e-3), dict(lr=-2)])],
    'quotes': ['it\'s "so"', 'two\nlines', 'a\\b', 'ä'],
    'names': {'a b': 1, 'of.c': dict(d=2), 3: 'three'},
    'type': dict(of=dict, other=[int, Path]),
    'long': 'x' * 200,
    'many': list(range(60)),
}


def values_of(text: str) -> dict[str, Any]:
    """What the assignments of a text say."""
    names: dict[str, Any] = {}
    exec('import pathlib\n' + text.replace('pathlib._local.', 'pathlib.'), names)
    return {name: value for name, value in names.items() if name in ODD}


def test_the_host_still_makes_it_anew() -> None:
    done = subprocess.run([sys.executable, '-c', FAULT], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ['2'], 'the repair can go'


def test_values_come_back() -> None:
    text = lay_out(ODD)
    assert values_of(text) == ODD
    assert [line.partition(' ')[0] for line in text.splitlines() if line[0] not in ' )]}'] == (
        sorted(ODD)
    )
    assert lay_out({}) == ''


@pytest.mark.parametrize('name', ['retinaface_demo.py', 'centernet_triplet_demo.py'])
def test_it_says_what_the_hosts_text_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config_text.repair()
    config_text.repair()
    config = load_config(f'mmext::{name}')
    monkeypatch.setattr(yapf_api, 'FormatCode', lambda text, **_: (text, True))
    theirs = Config.pretty_text.fget.__wrapped__(config)
    assert ast.dump(ast.parse(theirs)) == ast.dump(ast.parse(config.pretty_text))


@pytest.mark.parametrize('name', ['densepose.py', 'language_demo.py', 'vpsnet.py'])
def test_shipped_configs_are_read_again(name: str) -> None:
    config_text.repair()
    config = load_config(f'mmext::{name}')
    text = config.pretty_text
    assert Config.fromstring(text, '.py').to_dict() == config.to_dict()
    assert max(map(len, text.splitlines())) < 140  # a long string stands in its line


def test_what_fits_stands_in_a_line() -> None:
    inner = dict(type='Adam', betas=(0.9, 0.999))
    assert lay_out(dict(optimizer=inner)) == ("optimizer = dict(betas=(0.9, 0.999), type='Adam')\n")
    words = [f'word {number}' for number in range(9)]
    lines = lay_out(dict(b=2, a=dict(words=words, inner=inner))).splitlines()
    assert lines[:4] == [
        'a = dict(',
        "    inner=dict(betas=(0.9, 0.999), type='Adam'),",
        '    words=[',
        "        'word 0',",
    ]
    assert lines[-3:] == ['    ],', ')', 'b = 2']


def test_names_that_python_does_not_take() -> None:
    text = lay_out({'a b': 1, 'class': dict(of=2)})
    assert ast.literal_eval(text.replace('dict(of=2)', "{'of': 2}")) == {
        'a b': 1,
        'class': {'of': 2},
    }


def test_what_cannot_be_written_is_refused() -> None:
    with pytest.raises(SyntaxError, match='cannot be written as Python'):
        lay_out(dict(model=object()))
